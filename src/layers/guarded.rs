//! A guarded request from its intent on: what its records say of it, and what its answer is counted as.

use uuid::Uuid;

use super::answer::{Answered, Part};
use super::exchange::Origin;
use super::owed::Owed;
use super::passage::Selected;
use crate::audit::{Event, Outcome, Record, Trail};
use crate::limits::Charge;
use crate::policy::Code;
use crate::qstash::operation::Operation;
use crate::telemetry::Metrics;

/// See the module.
pub(super) struct Guarded {
    /// The id of its records.
    pub(super) request_id: Uuid,
    /// Its operation.
    pub(super) operation: Operation,
    /// Who asked, as records name it.
    pub(super) caller: String,
    /// What it selects, where that could be read.
    pub(super) selected: Option<Selected>,
    /// Whether limits were charged for it.
    pub(super) charged: bool,
    /// How many messages it was said to have taken.
    pub(super) accounted: Option<u64>,
    /// The last of the cancels that were sent in its place, where not all went well.
    pub(super) part: Option<Part>,
    /// Whether it was seen to take more than it allowed.
    pub(super) overran: bool,
    /// Where it comes from, and what it was judged by.
    pub(super) origin: Origin,
}

impl Guarded {
    /// A record of it behind its intent.
    pub(super) fn record(&self, event: Event) -> Record {
        Record {
            request_id: Some(self.request_id),
            caller: Some(self.caller.clone()),
            client: Some(self.origin.client),
            operation: Some(self.operation),
            policy: Some(self.origin.snapshot.policy.digest.clone()),
            ..Record::new(event)
        }
    }

    /// Writes the outcome. The client is answered for what happened, also when this fails: the trail then has an
    /// intent without outcome, which `audit verify` lists.
    pub(super) async fn conclude(
        &self,
        owed: &mut Owed,
        answered: &Answered,
        status: Option<u16>,
        error: Option<&str>,
        trail: &Trail,
    ) {
        let Some(record) = owed.record.take() else { return };
        let record = Record {
            result: Some(outcome(status, answered, error)),
            upstream_status: status,
            cancelled: answered.cancelled,
            action_id: answered.action_id.clone(),
            duration_ms: Some(Record::millis(owed.since.elapsed())),
            error: error.map(str::to_owned),
            ..record
        };
        if let Err(error) = trail.commit(record).await {
            tracing::error!(%error, "the outcome of a guarded request could not be recorded");
        }
    }

    /// Counts the messages that went, under the caller's name where it has one, and charges what went beyond what the
    /// request was charged for. Told a larger number later, it takes in the difference.
    pub(super) async fn account(&mut self, cancelled: u64, metrics: &Metrics) {
        let before = self.accounted.replace(cancelled);
        let callers = &self.origin.snapshot.policy.callers;
        let named = callers.is_named(&self.caller).then_some(self.caller.as_str());
        metrics.cancelled(named, cancelled.saturating_sub(before.unwrap_or_default()));
        if self.charged {
            let reach = self.selected.as_ref().and_then(Selected::reach);
            let charge = Charge {
                operation: self.operation,
                caller: &self.caller,
                client: self.origin.client,
                messages: reach.max(before),
            };
            self.origin.snapshot.limits.settle_shared(charge, cancelled).await;
        }
    }
}

/// What became of a guarded request.
fn outcome(status: Option<u16>, answered: &Answered, error: Option<&str>) -> Outcome {
    if let Some(result) = answered.result {
        return result;
    }
    let unsent = [Code::UpstreamUnreachable, Code::CapNotHonoured].map(|code| Some(code.as_str()));
    match (status, error) {
        (_, error) if unsent.contains(&error) => Outcome::Unsent,
        (Some(200..=299), None) if answered.action_id.is_some() => Outcome::Accepted,
        (Some(200..=299), None) if answered.cancelled.is_some() && !answered.goes_on_unnamed => Outcome::Completed,
        (Some(401 | 403 | 404 | 405 | 412), None) => Outcome::Refused,
        _ => Outcome::Uncertain,
    }
}
