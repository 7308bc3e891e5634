//! Names the operation and chooses the way: straight to forward, or through judgement.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::Either;
use http::{HeaderMap, HeaderName, Request};
use tower::Service;

use super::early::Early;
use super::exchange::{Exchange, Reply, Subject};
use super::passage::{Inspection, Outbound, Pending};
use crate::policy::{Route, Verdict, route};
use crate::upstream::{Source, Upload};

/// Chooses between two services: `forward` for requests that pass, `judged` for those that are read, limited or
/// recorded.
#[derive(Clone, Debug)]
pub struct Classify<J, F> {
    /// Where requests that pass go.
    pub forward: F,
    /// Where the others go.
    pub judged: J,
    /// How long a body may stand still.
    pub body_idle: Duration,
}

impl<J, F> Service<Exchange> for Classify<J, F>
where
    J: Service<Inspection, Response = Reply, Error = Infallible>,
    F: Service<Outbound, Response = Reply, Error = Infallible>,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = Early<Either<F::Future, J::Future>>;

    // Both ways are always ready: nothing below holds a request back.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, exchange: Exchange) -> Self::Future {
        let Exchange { head, body, origin } = exchange;
        let snapshot = &origin.snapshot;
        let routed = route(
            &snapshot.policy,
            head.method.as_str(),
            head.uri.path().as_bytes(),
            has_method_override(&head.headers),
        );
        let operation = routed.operation;
        let pending = match routed.route {
            Route::Pass(permit) if !snapshot.record_all && !snapshot.limits.applies_to(operation) => {
                let body = Upload::new(Source::Client(body), self.body_idle);
                let outbound = Outbound {
                    request: Request::from_parts(head, body),
                    operation,
                    permit,
                    guarded: false,
                    request_id: None,
                    listed: None,
                };
                return Early::below(Either::Left(self.forward.call(outbound)));
            }
            Route::Pass(permit) => Pending::Judged(Verdict::Allow(permit)),
            Route::Rules => Pending::Rules,
            Route::Judged(Verdict::Deny(refusal)) => {
                let reply = Reply::refused(&Subject::of(&head, &origin), operation, refusal);
                return Early::answered(reply);
            }
            Route::Judged(verdict) => Pending::Judged(verdict),
            Route::Inspect(violations) => Pending::Inspect(violations),
        };
        let inspection = Inspection {
            head,
            body,
            operation,
            pending,
            origin,
        };
        Early::below(Either::Right(self.judged.call(inspection)))
    }
}

/// Whether a header is there that some servers let overrule the method.
pub fn has_method_override(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| METHOD_OVERRIDES.contains(name))
}

// One pass over the names is cheaper than a look-up of each.
static METHOD_OVERRIDES: [HeaderName; 3] = [
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-http-method"),
];
