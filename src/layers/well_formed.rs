//! Refuses HTTP that no server should act on: `CONNECT` and `TRACE`, no Host or two, a transfer coding other than
//! chunked.

use std::convert::Infallible;
use std::task::{Context, Poll};

use http::header::{HOST, TRANSFER_ENCODING};
use http::{Method, Version, request};
use tower::{Layer, Service};

use super::early::Early;
use super::exchange::{Exchange, Reply, Subject};
use crate::policy::{Code, Refusal};
use crate::qstash::operation::Verb;
use crate::qstash::target::Target;

/// Layer of [`WellFormed`].
#[derive(Clone, Copy, Debug)]
pub struct WellFormedLayer;

/// See the module.
#[derive(Clone, Debug)]
pub struct WellFormed<S> {
    inner: S,
}

impl<S> Layer<S> for WellFormedLayer {
    type Service = WellFormed<S>;

    fn layer(&self, inner: S) -> WellFormed<S> {
        WellFormed { inner }
    }
}

impl<S> Service<Exchange> for WellFormed<S>
where
    S: Service<Exchange, Response = Reply, Error = Infallible>,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = Early<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, exchange: Exchange) -> Self::Future {
        match verify(&exchange.head) {
            Ok(()) => Early::below(self.inner.call(exchange)),
            Err(refusal) => {
                let subject = Subject::of(&exchange.head, &exchange.origin);
                let target = Target::read(exchange.head.uri.path().as_bytes());
                let operation = target.operation(Verb::read(exchange.head.method.as_str()));
                let reply = Reply::refused(&subject, operation, refusal);
                Early::answered(reply)
            }
        }
    }
}

/// Whether a head is one that a server should act on.
///
/// # Errors
/// The refusal of one that is not.
pub fn verify(head: &request::Parts) -> Result<(), Refusal> {
    let is = |method: Method| head.method.as_str().eq_ignore_ascii_case(method.as_str());
    if is(Method::CONNECT) || is(Method::TRACE) {
        let message = format!(
            "{} is not served here; send the request to QStash's API itself.",
            head.method
        );
        return Err(Refusal::new(Code::MethodNotServed, message));
    }
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = hosts.next().is_some() || (head.version == Version::HTTP_2 && head.uri.authority().is_some());
    if !host || hosts.next().is_some() {
        return Err(Refusal::new(
            Code::MalformedRequest,
            "A request has one Host header (RFC 9112 section 3.2).",
        ));
    }
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    let chunked = codings
        .next()
        .is_none_or(|coding| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"));
    if !chunked || codings.next().is_some() {
        return Err(Refusal::new(
            Code::MalformedRequest,
            "The only transfer coding that is served is chunked, once (RFC 9112 section 7).",
        ));
    }
    Ok(())
}
