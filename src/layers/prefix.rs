//! Serves one path prefix alone, and cuts it off: what is judged and forwarded stands behind it.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use http::uri::PathAndQuery;
use tower::{Layer, Service};

use super::early::Early;
use super::exchange::{Exchange, Reply, Subject};
use crate::policy::{Code, Refusal};
use crate::qstash::operation::Operation;

/// Layer of [`Prefix`].
#[derive(Clone, Debug)]
pub struct PrefixLayer {
    /// The prefix, starting with a slash and not ending in one; empty for none.
    pub prefix: Arc<str>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Prefix<S> {
    inner: S,
    prefix: Arc<str>,
}

impl<S> Layer<S> for PrefixLayer {
    type Service = Prefix<S>;

    fn layer(&self, inner: S) -> Prefix<S> {
        Prefix {
            inner,
            prefix: Arc::clone(&self.prefix),
        }
    }
}

impl<S> Service<Exchange> for Prefix<S>
where
    S: Service<Exchange, Response = Reply, Error = Infallible>,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = Early<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut exchange: Exchange) -> Self::Future {
        if let Err(refusal) = cut(&mut exchange.head.uri, &self.prefix) {
            let reply = Reply::refused(
                &Subject::of(&exchange.head, &exchange.origin),
                Operation::Unknown,
                refusal,
            );
            return Early::answered(reply);
        }
        Early::below(self.inner.call(exchange))
    }
}

/// Cuts the prefix, as it is spelled in the configuration, off a target.
///
/// # Errors
/// The refusal of a target that does not start with it.
pub fn cut(uri: &mut Uri, prefix: &str) -> Result<(), Refusal> {
    if prefix.is_empty() {
        return Ok(());
    }
    let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let rest = target.strip_prefix(prefix).and_then(|rest| match rest.as_bytes() {
        [] => Some("/".to_owned()),
        [b'/', ..] => Some(rest.to_owned()),
        [b'?', ..] => Some(format!("/{rest}")),
        _ => None,
    });
    match rest.and_then(|rest| PathAndQuery::try_from(rest).ok()) {
        Some(rest) => {
            *uri = Uri::from(rest);
            Ok(())
        }
        None => Err(Refusal::new(
            Code::NotServed,
            format!(
                "Only paths under {prefix} are served here; put it before QStash's own path, like {prefix}/v2/messages."
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_goes_and_the_rest_keeps_its_bytes() {
        for (target, rest) in [
            ("/qstash/v2/messages?label=%61", Some("/v2/messages?label=%61")),
            (
                "/qstash/v2/publish/https://e.com//a/../?x",
                Some("/v2/publish/https://e.com//a/../?x"),
            ),
            ("/qstash", Some("/")),
            ("/qstash/", Some("/")),
            ("/qstash?qstash_token=t", Some("/?qstash_token=t")),
            ("/qstash//v2/messages", Some("//v2/messages")),
            ("/qstash/../v2/messages", Some("/../v2/messages")),
            ("http://guard.internal/qstash/v2/keys", Some("/v2/keys")),
            ("/v2/messages", None),
            ("/qstashed/v2/messages", None),
            ("/QStash/v2/messages", None),
            ("/%71stash/v2/messages", None),
            ("//qstash/v2/messages", None),
            ("/", None),
            ("*", None),
        ] {
            let mut uri: Uri = target.parse().unwrap();
            let cut = cut(&mut uri, "/qstash").is_ok();
            assert_eq!(cut.then(|| uri.to_string()).as_deref(), rest, "{target}");
        }
    }
}
