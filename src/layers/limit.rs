//! Charges the limits, last of all: only what the policy allows costs anything.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower::{Layer, Service};

use super::early::Early;
use super::exchange::{Reply, Subject};
use super::linger::linger_unread;
use super::passage::{Judged, Selected};
use crate::audit::SelectionRecord;
use crate::limits::Charge;
use crate::policy::{Refusal, Ruling, Verdict};
use crate::qstash::operation::Operation;
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
    S: Service<Judged, Response = Reply, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = Early<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, judged: Judged) -> Self::Future {
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
            let refusal = snapshot.limits.charge(charge).err();
            return self.conclude(judged, refusal);
        }
        let clone = self.inner.clone();
        let mut ready = Limit {
            inner: std::mem::replace(&mut self.inner, clone),
            metrics: self.metrics.clone(),
        };
        Early::asking(async move {
            let charge = charge(operation, &caller.name, client, messages);
            let refusal = snapshot.limits.charge_shared(charge).await.err();
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
                if let (Some(record), Some(selected)) = (&mut reply.denied, &judged.selected) {
                    record.selection = Some(selected.to_record(SelectionRecord::IDS_OF_A_DENIAL));
                }
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

fn charge(operation: Operation, caller: &str, client: IpAddr, messages: Option<u64>) -> Charge<'_> {
    Charge {
        operation,
        caller,
        client,
        messages,
    }
}
