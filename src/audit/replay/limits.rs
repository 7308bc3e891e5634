//! Rate limits, counted by the times of a trail.
//!
//! They are as good as the trail: buckets are full where a guard started, what was never recorded costs nothing, and a
//! limit that counts requests without a record is left out. A recorded time is that of the writing, somewhat later than
//! the decision; where a bucket refills within [`SLACK`] of it, what was recorded stands.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::nanos::Nanos;

use super::Candidate;
use super::recorded::Recorded;
use crate::audit::read::Entry;
use crate::limits::{AppliesTo, Charge, Limit, Limiter};
use crate::policy::{Code, Refusal, Treatment};
use crate::qstash::operation::Operation;

/// How much later than its decision a record may be written, at most in ordinary times.
const SLACK: Duration = Duration::from_secs(2);

/// Charges that may still be settled; more requests than a guard has under way at once.
const MOST_OPEN: usize = 100_000;

/// One guard's limits, from a start on.
pub(super) struct Counted {
    clock: Recording,
    limits: Vec<(String, Limiter<Recording>)>,
    /// Charges by request, until the outcome tells how many messages went.
    open: HashMap<String, Open>,
    candidate: Vec<Limit>,
}

struct Open {
    operation: Operation,
    caller: String,
    client: std::net::IpAddr,
    messages: Option<u64>,
}

/// The limits that can be counted: all requests for which they apply leave a record.
fn countable(candidate: Candidate<'_>) -> impl Iterator<Item = &Limit> {
    candidate.limits.iter().filter(move |limit| match &limit.applies_to {
        AppliesTo::Operations(operations) => {
            let guarded = |op: &Operation| candidate.policy.operations.of(*op) == Treatment::Guard;
            operations.iter().all(guarded)
        }
        AppliesTo::Denied => false,
    })
}

/// Whether any limit is counted.
pub(super) fn any(candidate: Candidate<'_>) -> bool {
    countable(candidate).next().is_some()
}

/// The names of the limits on requests that are not counted.
pub(super) fn left_out(candidate: Candidate<'_>) -> Vec<String> {
    let counted: Vec<&String> = countable(candidate).map(|limit| &limit.name).collect();
    let on_requests = candidate
        .limits
        .iter()
        .filter(|limit| limit.applies_to != AppliesTo::Denied);
    on_requests
        .filter(|limit| !counted.contains(&&limit.name))
        .map(|limit| limit.name.clone())
        .collect()
}

impl Counted {
    /// Full buckets.
    pub(super) fn new(candidate: Candidate<'_>) -> Self {
        Counted {
            clock: Recording::default(),
            limits: Vec::new(),
            open: HashMap::new(),
            candidate: countable(candidate).cloned().collect(),
        }
    }

    /// Charges a request that the policy allows.
    pub(super) fn charge(&mut self, recorded: &Recorded, entry: &Entry) -> Option<Refusal> {
        let now = Duration::try_from(recorded.time.duration_since(jiff::Timestamp::UNIX_EPOCH)).ok()?;
        if self.limits.is_empty() {
            // Buckets count from when they are made, and the clock may be set back by the slack.
            self.clock.set(now.saturating_sub(SLACK));
            let limiter = |limit: &Limit| {
                (
                    limit.name.clone(),
                    Limiter::with_clock(vec![limit.clone()], self.clock.clone()),
                )
            };
            self.limits = self.candidate.iter().map(limiter).collect();
        }
        let charge = Charge {
            operation: recorded.operation,
            caller: &recorded.caller.name,
            client: recorded.client,
            messages: recorded.messages,
        };
        for (name, limiter) in &self.limits {
            let was_over = !recorded.passed && entry.limit.as_ref() == Some(name);
            self.clock.set(if was_over { now.saturating_sub(SLACK) } else { now });
            let Err(refusal) = limiter.charge(charge) else { continue };
            let wait = refusal.limit().and_then(|limit| limit.retry_after);
            let refills_at_once = wait.is_some_and(|wait| wait <= SLACK);
            if recorded.passed && refusal.code() == Code::RateLimited && refills_at_once {
                self.clock.set(now + SLACK);
                if limiter.charge(charge).is_ok() {
                    continue;
                }
            }
            return Some(refusal);
        }
        if let Some(id) = entry.request_id.clone().filter(|_| self.open.len() < MOST_OPEN) {
            let open = Open {
                operation: recorded.operation,
                caller: recorded.caller.name.to_string(),
                client: recorded.client,
                messages: recorded.messages,
            };
            self.open.insert(id, open);
        }
        None
    }

    /// Charges what went beyond the charge, as an outcome tells it.
    pub(super) fn settle(&mut self, outcome: &Entry) {
        let open = outcome.request_id.as_ref().and_then(|id| self.open.remove(id));
        let (Some(open), Some(cancelled)) = (open, outcome.cancelled) else {
            return;
        };
        let charge = Charge {
            operation: open.operation,
            caller: &open.caller,
            client: open.client,
            messages: open.messages,
        };
        for (_, limiter) in &self.limits {
            limiter.settle(charge, cancelled);
        }
    }
}

/// A clock that stands at the time of the record that is decided, nanoseconds since 1970.
#[derive(Clone, Debug, Default)]
struct Recording(Arc<AtomicU64>);

impl Recording {
    fn set(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.store(nanos, Ordering::Relaxed);
    }
}

impl Clock for Recording {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.load(Ordering::Relaxed).into()
    }
}
