//! Charges the limits, last of all: only what the policy allows costs anything.

use std::convert::Infallible;
use std::task::{Context, Poll};

use tower::{Layer, Service};

use super::early::Early;
use super::exchange::{Reply, Subject};
use super::linger::linger_unread;
use super::passage::{Judged, Selected};
use crate::limits::Charge;
use crate::policy::{Ruling, Verdict};
use crate::telemetry::Metrics;

/// Layer of [`Limit`].
#[derive(Clone, Debug)]
pub struct LimitLayer {
    /// Where refused requests are counted.
    pub metrics: Metrics,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Limit<S> {
    inner: S,
    metrics: Metrics,
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limit<S>;

    fn layer(&self, inner: S) -> Limit<S> {
        Limit {
            inner,
            metrics: self.metrics.clone(),
        }
    }
}

impl<S> Service<Judged> for Limit<S>
where
    S: Service<Judged, Response = Reply, Error = Infallible>,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = Early<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, judged: Judged) -> Self::Future {
        let subject = judged.subject();
        let caller = subject.caller();
        let charge = Charge {
            operation: judged.operation,
            caller: &caller.name,
            client: judged.origin.client,
            messages: judged.selected.as_ref().and_then(Selected::reach),
        };
        let snapshot = &judged.origin.snapshot;
        // What would be denied anyway costs nothing, in rehearsal as in earnest.
        let allowed = matches!(judged.ruling.verdict, Verdict::Allow(_));
        let refusal = if allowed {
            snapshot.limits.charge(charge).err()
        } else {
            None
        };
        if let Some(limit) = refusal.as_ref().and_then(|refusal| refusal.limit()) {
            self.metrics.rate_limited(&limit.name);
        }
        let mode = snapshot.policy.mode;
        match judged.ruling.verdict.and(mode, refusal) {
            Verdict::Deny(refusal) => {
                let subject = Subject::of(&judged.head, &judged.origin);
                let mut reply = Reply::refused(&subject, judged.operation, refusal);
                reply.note_selection(judged.selected.as_ref());
                linger_unread(&judged.head.headers, judged.body);
                Early::answered(reply)
            }
            verdict => {
                let ruling = Ruling {
                    verdict,
                    ..judged.ruling
                };
                Early::below(self.inner.call(Judged { ruling, ..judged }))
            }
        }
    }
}
