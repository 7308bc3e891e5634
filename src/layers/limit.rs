//! Charges the limits, last of all: only what the policy allows costs anything.
//!
//! Where the guard enforces a cancel's cap, the layer stands on both sides of the listing: requests are charged before it,
//! messages after it, when it is known how many there are. Everything else is charged at once, in the order listed.

use std::convert::Infallible;
use std::task::{Context, Poll};

use tower::{Layer, Service};

use super::early::Early;
use super::exchange::{Reply, Subject};
use super::linger::linger_unread;
use super::passage::{Judged, Selected};
use crate::limits::{Charge, Unit};
use crate::policy::{Ruling, Verdict};
use crate::telemetry::Metrics;

/// Layer of [`Limit`].
#[derive(Clone, Debug)]
pub struct LimitLayer {
    /// Where refused requests are counted.
    pub metrics: Metrics,
    /// On which side of the listing it stands.
    pub side: Side,
}

/// A side of the listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Above: nothing is listed yet.
    Before,
    /// Below.
    After,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Limit<S> {
    inner: S,
    metrics: Metrics,
    side: Side,
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limit<S>;

    fn layer(&self, inner: S) -> Limit<S> {
        Limit {
            inner,
            metrics: self.metrics.clone(),
            side: self.side,
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
        let is_listed = judged.selected.as_ref().is_some_and(|selected| selected.cap.is_some());
        if self.side == Side::After && !is_listed {
            return Early::below(self.inner.call(judged));
        }
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
        let charged = match self.side {
            _ if !allowed => Ok(()),
            Side::Before if is_listed => snapshot.limits.charge_in(Unit::Requests, charge),
            Side::Before => snapshot.limits.charge(charge),
            Side::After => snapshot.limits.charge_in(Unit::Messages, charge),
        };
        let refusal = charged.err();
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
