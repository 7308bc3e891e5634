//! Moves a `qstash_token` pair from the query into the Authorization header, or exchanges a guard key for the guard's token.

use std::convert::Infallible;
use std::task::{Context, Poll};

use http::header::{AUTHORIZATION, HeaderName};
use http::uri::PathAndQuery;
use http::{HeaderValue, Uri, request};
use tower::{Layer, Service};

use super::broker;
use super::conceal::Concealed;
use super::early::Early;
use super::exchange::{Exchange, Reply, Subject};
use super::settings::{self, HeaderForwardToken};
use crate::policy::{Code, Refusal};
use crate::qstash::credential::{self, CredentialFault, QueryToken};
use crate::qstash::operation::Verb;
use crate::qstash::target::Target;
use crate::telemetry::Metrics;

/// Layer of [`Credentials`].
#[derive(Clone, Debug)]
pub struct CredentialsLayer {
    /// Where moved tokens are counted.
    pub metrics: Metrics,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Credentials<S> {
    inner: S,
    metrics: Metrics,
}

impl<S> Layer<S> for CredentialsLayer {
    type Service = Credentials<S>;

    fn layer(&self, inner: S) -> Credentials<S> {
        Credentials {
            inner,
            metrics: self.metrics.clone(),
        }
    }
}

impl<S> Service<Exchange> for Credentials<S>
where
    S: Service<Exchange, Response = Reply, Error = Infallible>,
    S::Future: Send,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = Concealed<Early<S::Future>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut exchange: Exchange) -> Self::Future {
        let Exchange { head, origin, .. } = &mut exchange;
        let snapshot = &origin.snapshot;
        let held = snapshot.broker.as_ref().map(|broker| broker.held());
        let settled = match &held {
            None => settle(head, snapshot.credentials).map(|settled| {
                if settled == Settled::Moved {
                    self.metrics.query_token_moved();
                }
            }),
            Some(held) => {
                let (settings, callers) = (snapshot.credentials, &snapshot.policy.callers);
                broker::exchange(head, settings, callers, origin.caller.clone(), held)
                    .map(|caller| origin.caller = Some(caller))
            }
        };
        if let Err(refusal) = settled {
            let operation = Target::read(head.uri.path().as_bytes()).operation(Verb::read(head.method.as_str()));
            let reply = Reply::refused(&Subject::of(head, origin), operation, refusal);
            return Concealed::of(None, Early::answered(reply));
        }
        Concealed::of(held, Early::below(self.inner.call(exchange)))
    }
}

/// What became of a request's credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The head is as it was.
    Untouched,
    /// The query pair is gone, and the header now holds its token.
    Moved,
    /// The query pair is gone: it was empty, or the header held the same token.
    Dropped,
}

/// Brings a head's credential where it belongs. Pure, and allocates only where there is a query token.
///
/// # Errors
/// The refusal of a credential that is double, malformed or in the wrong place.
pub fn settle(head: &mut request::Parts, settings: settings::Credentials) -> Result<Settled, Refusal> {
    let lines = head.headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
    let shown = credential::read(lines, head.uri.query().map(str::as_bytes)).map_err(faulty)?;
    let (has_bearer, other_scheme) = (shown.bearer.is_some(), shown.other_scheme);
    let Some(pair) = shown.query else {
        return Ok(Settled::Untouched);
    };
    forbidden(head, settings)?;
    let Some(token) = &pair.token else {
        head.uri = without(&head.uri, &pair)?;
        return Ok(Settled::Dropped);
    };
    if settings.header_forward_token == HeaderForwardToken::Keep && forwards_headers(head) {
        return Ok(Settled::Untouched);
    }
    if other_scheme {
        return Ok(Settled::Untouched);
    }
    if !has_bearer {
        let mut value = HeaderValue::from_bytes(&token.to_bearer()).map_err(|_| faulty(CredentialFault::Malformed))?;
        value.set_sensitive(true);
        head.headers.insert(AUTHORIZATION, value);
    }
    head.uri = without(&head.uri, &pair)?;
    Ok(if has_bearer { Settled::Dropped } else { Settled::Moved })
}

/// Refuses a query token where the settings want none.
///
/// # Errors
/// The refusal.
pub(super) fn forbidden(head: &request::Parts, settings: settings::Credentials) -> Result<(), Refusal> {
    let message = if settings.query_token == settings::QueryToken::Reject {
        "Tokens in the query are not accepted here; send Authorization: Bearer instead of qstash_token."
    } else if settings.header_forward_token == HeaderForwardToken::Reject && forwards_headers(head) {
        "A token in the query beside Upstash-Header-Forward is not accepted here; send Authorization: Bearer instead of \
         qstash_token."
    } else {
        return Ok(());
    };
    Err(Refusal::new(Code::QueryTokenForbidden, message))
}

pub(super) fn faulty(fault: CredentialFault) -> Refusal {
    let code = match fault {
        CredentialFault::TwoAuthorizations | CredentialFault::TwoQueryTokens | CredentialFault::Differing => {
            Code::ConflictingCredentials
        }
        CredentialFault::Malformed => Code::MalformedCredential,
    };
    Refusal::new(code, fault.message())
}

/// Whether the request asks QStash to send its headers on to the destination.
pub(super) fn forwards_headers(head: &request::Parts) -> bool {
    head.headers
        .get_all(HEADER_FORWARD)
        .iter()
        .any(|value| credential::forwards_headers(value.as_bytes()))
        || head
            .uri
            .query()
            .is_some_and(|query| credential::query_forwards_headers(query.as_bytes()))
}

/// The target without the pair, in origin-form.
fn without(uri: &Uri, pair: &QueryToken) -> Result<Uri, Refusal> {
    let rest = uri.query().and_then(|query| pair.cut_from(query));
    let path = if uri.path().is_empty() { "/" } else { uri.path() };
    let target = match rest {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    PathAndQuery::try_from(target)
        .map(Uri::from)
        .map_err(|_| Refusal::new(Code::MalformedRequest, "The target is not a path with a query."))
}

const HEADER_FORWARD: HeaderName = HeaderName::from_static("upstash-header-forward");
