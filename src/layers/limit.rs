//! Charges the limits, last of all: only what the policy allows costs anything.
//!
//! Where the guard enforces a cancel's cap, the layer stands on both sides of the listing: requests are charged before it,
//! messages after it, when it is known how many there are. Everything else is charged at once, in the order listed.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower::{Layer, Service};

use super::early::Early;
use super::exchange::{Reply, Subject};
use super::passage::{Judged, Selected};
use crate::limits::{Charge, Unit};
use crate::policy::{Refusal, Ruling, Verdict};
use crate::qstash::operation::Operation;
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
    S: Service<Judged, Response = Reply, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = Early<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, judged: Judged) -> Self::Future {
        let is_listed = judged.selected.as_ref().is_some_and(|selected| selected.cap.is_some());
        let unit = match self.side {
            Side::Before => is_listed.then_some(Unit::Requests),
            Side::After if is_listed => Some(Unit::Messages),
            Side::After => return Early::below(self.inner.call(judged)),
        };
        // What would be denied anyway costs nothing, in rehearsal as in earnest.
        if !matches!(judged.ruling.verdict, Verdict::Allow(_)) {
            return self.conclude(judged, None);
        }
        let caller = judged.subject().caller();
        let (operation, client) = (judged.operation, judged.origin.client);
        let messages = judged.selected.as_ref().and_then(Selected::reach);
        let snapshot = Arc::clone(&judged.origin.snapshot);
        if !snapshot.limits.asks_store(operation) {
            let charge = charge(operation, &caller.name, client, messages);
            let charged = match unit {
                None => snapshot.limits.charge(charge),
                Some(unit) => snapshot.limits.charge_in(unit, charge),
            };
            return self.conclude(judged, charged.err());
        }
        let clone = self.inner.clone();
        let mut ready = Limit {
            inner: std::mem::replace(&mut self.inner, clone),
            metrics: self.metrics.clone(),
            side: self.side,
        };
        Early::asking(async move {
            let charge = charge(operation, &caller.name, client, messages);
            let refusal = snapshot.limits.charge_shared(charge, unit).await.err();
            ready.conclude(judged, refusal).await
        })
    }
}

impl<S> Limit<S>
where
    S: Service<Judged, Response = Reply, Error = Infallible>,
{
    /// Refuses a request or lets it go on, as limits and mode say.
    fn conclude(&mut self, judged: Judged, refusal: Option<Refusal>) -> Early<S::Future> {
        if let Some(limit) = refusal.as_ref().and_then(|refusal| refusal.limit()) {
            self.metrics.rate_limited(&limit.name);
        }
        let mode = judged.origin.snapshot.policy.mode;
        match judged.ruling.verdict.and(mode, refusal) {
            Verdict::Deny(refusal) => {
                let subject = Subject::of(&judged.head, &judged.origin);
                let mut reply = Reply::refused(&subject, judged.operation, refusal);
                reply.note_selection(judged.selected.as_ref());
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

fn charge(operation: Operation, caller: &str, client: IpAddr, messages: Option<u64>) -> Charge<'_> {
    Charge {
        operation,
        caller,
        client,
        messages,
    }
}
