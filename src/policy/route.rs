//! Which operation a request is, and which way it goes: the judgement that every request gets.

use super::permit::{Permit, Verdict};
use super::refusal::{Code, Refusal, Violation};
use super::settings::{Policy, Treatment};
use crate::qstash::destination;
use crate::qstash::operation::{Operation, Verb};
use crate::qstash::target::{Ambiguity, Target};

/// A request's operation and the way it goes.
#[derive(Debug)]
pub struct Routed {
    /// The operation that the judged copy names.
    pub operation: Operation,
    /// The way.
    pub route: Route,
}

/// The way of a request.
#[derive(Debug)]
pub enum Route {
    /// It passes unread.
    Pass(Permit),
    /// Rules have a word on it, and need no body for it: see [`decide`](super::decide()).
    Rules,
    /// What it selects must be read and judged. Violations found so far (only under monitor mode) are carried along.
    Inspect(Vec<Violation>),
    /// Judged without being read: refused, or to be recorded as such.
    Judged(Verdict),
}

/// Judges a request by its method and path. `overridden` tells whether it carries a method-override header.
///
/// Allocates nothing for a request that passes (see [`Target::read`] for odd paths).
pub fn route(policy: &Policy, method: &str, path: &[u8], overridden: bool) -> Routed {
    let verb = Verb::read(method);
    let target = Target::read(path);
    let operation = target.operation(verb);
    // What rules may refuse is read in one way only, too. An odd path all of whose readings are one operation, as those
    // of many a publish are, gets past no rule but one that looks at the path.
    let guards = |op| policy.operations.must_be_unambiguous(op) || (op != operation && policy.rules.may_refuse(op));
    let needs_one_reading = |op| guards(op) || policy.rules.look_at_path(op);
    let ambiguity = target
        .is_ambiguous(verb, needs_one_reading)
        .map(Ambiguity::message)
        .or_else(|| {
            (overridden && target.reaches(guards))
                .then_some("A method-override header may turn this request into a bulk cancel; send it without one.".into())
        })
        .or_else(|| {
            (policy.rules.look_at_path(operation) && destination::has_foreign_host(&target)).then_some(
                "The destination's host has other characters than ASCII, which are read in more ways than one; write it \
                 in ASCII (xn--…)."
                    .into(),
            )
        });
    let ambiguity = ambiguity.or_else(|| {
        (policy.upstream_has_path && target.climbs()).then_some(
            "The path has a dot segment that leads above its root, and so out of the path that QStash is reached under; \
             write it without."
                .into(),
        )
    });
    let treatment = policy.operations.of(operation);
    // An override may turn any method into the POST that publishes.
    let posted = if overridden { Verb::Post } else { verb };
    let violation = if let Some(message) = ambiguity {
        Some(Violation::new(Code::AmbiguousRequest, message))
    } else if treatment == Treatment::Deny {
        Some(Violation::new(
            Code::OperationDenied,
            format!("The policy denies {operation}; ask whoever keeps it (policy.operations) if you need it."),
        ))
    } else if !policy.qstash_destinations && destination::is_qstash(&target, posted, &policy.upstream_host) {
        Some(Violation::new(
            Code::DestinationIsQstash,
            "The destination is QStash itself: the message would make it send a request that the guard never sees; \
             send that request through the guard instead.",
        ))
    } else {
        None
    };
    let route = match (violation, treatment) {
        (None, Treatment::Guard) => Route::Inspect(Vec::new()),
        (None, _) if policy.rules.concern(operation) => Route::Rules,
        (None, _) => match Verdict::of(policy.mode, None) {
            Verdict::Allow(permit) => Route::Pass(permit),
            verdict => Route::Judged(verdict),
        },
        (Some(violation), treatment) => match Verdict::of(policy.mode, Refusal::of(vec![violation])) {
            Verdict::WouldDeny(_, refusal) if treatment == Treatment::Guard => {
                Route::Inspect(refusal.violations().cloned().collect())
            }
            verdict => Route::Judged(verdict),
        },
    };
    Routed { operation, route }
}
