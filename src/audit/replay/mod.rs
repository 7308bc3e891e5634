//! Deciding recorded requests again, under another policy.
//!
//! 1. Every guarded request in a trail is taken from its record: an `intent` passed, a `denied` was refused.
//! 2. It is judged by what the record holds of it, above all its selection; never by a target, which is recorded in parts.
//! 3. Where the record holds too little to tell for certain, that is counted with its reason, and nothing is guessed.
//! 4. Rate limits are counted anew (`limits`), as well as a trail lets them.

mod again;
mod doubt;
mod limits;
mod recorded;
mod tell;

use std::collections::BTreeMap;
use std::io::Write;

use self::again::again;
use self::limits::Counted;
use self::recorded::Recorded;
use super::read::{Entry, Inputs, Records, ShowError};
use crate::limits::Limit;
use crate::policy::{Code, Mode, Policy, Treatment, unenforceable};
use crate::qstash::operation::Operation;

pub use doubt::Doubt;
pub use tell::{Tell, Told};

/// A policy that recorded requests are held against.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// What it allows.
    pub policy: &'a Policy,
    /// How often.
    pub limits: &'a [Limit],
}

/// What is decided about a request, or was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruled {
    /// Whether it goes no further.
    pub refused: bool,
    /// Whether it goes on and would be refused were the mode `enforce`.
    pub would_deny: bool,
    /// The first violation's code.
    pub code: Option<String>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// The limit that decided.
    pub limit: Option<String>,
}

/// A request that passed and would be refused, or the reverse.
#[derive(Debug)]
pub struct Change<'a> {
    /// Its record.
    pub entry: &'a Entry,
    /// What was decided.
    pub before: Ruled,
    /// What the candidate says.
    pub after: Ruled,
}

/// How many requests were decided how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Those that passed and would pass, or were refused and would be refused.
    pub unchanged: u64,
    /// Those that passed and would be refused.
    pub now_refused: u64,
    /// Those that were refused and would pass.
    pub now_pass: u64,
    /// Those that could not be decided again, by reason.
    pub undecided: BTreeMap<Doubt, u64>,
    /// Denials without a record of their own: they are in no other number.
    pub suppressed_denials: u64,
    /// The limits that a trail tells too little about, and so were left out.
    pub limits_left_out: Vec<String>,
    /// Whether any limit was counted.
    pub limits_counted: bool,
}

impl Totals {
    /// Whether anybody would be refused who passed, or the reverse.
    pub fn changed(&self) -> bool {
        self.now_refused + self.now_pass > 0
    }

    /// How many guarded requests were found.
    pub fn requests(&self) -> u64 {
        self.unchanged + self.now_refused + self.now_pass + self.undecided.values().sum::<u64>()
    }
}

/// Decides every guarded request of some trails again, in the order of their times; `tell` gets each change. Lines that
/// are no records are named on `faults` with file and line, and left out.
///
/// # Errors
/// A file cannot be read, or an output not be written.
pub fn replay(
    inputs: &Inputs,
    candidate: Candidate<'_>,
    faults: &mut dyn Write,
    mut tell: impl FnMut(&Change<'_>) -> std::io::Result<()>,
) -> Result<Totals, ShowError> {
    let mut records = Records::new(inputs, false);
    // Limits are each guard's own, and begin anew with each start.
    let mut counted: Vec<Counted> = inputs.chains.iter().map(|_| Counted::new(candidate)).collect();
    let mut totals = Totals {
        limits_left_out: limits::left_out(candidate),
        limits_counted: limits::any(candidate),
        ..Totals::default()
    };
    while let Some((chain, record)) = records.next(faults)? {
        let entry = &record.entry;
        let counted = &mut counted[chain];
        match entry.event.as_str() {
            "started" => *counted = Counted::new(candidate),
            "outcome" => counted.settle(entry),
            "denials_suppressed" => totals.suppressed_denials += entry.leading_number(),
            "intent" | "denied" if is_guarded(entry, candidate.policy) => match decide(entry, candidate, counted) {
                Ok(after) => {
                    let change = Change {
                        before: Ruled::recorded(entry),
                        entry,
                        after,
                    };
                    match (change.before.refused, change.after.refused) {
                        (false, true) => totals.now_refused += 1,
                        (true, false) => totals.now_pass += 1,
                        _ => {
                            totals.unchanged += 1;
                            continue;
                        }
                    }
                    tell(&change)?;
                }
                Err(doubt) => *totals.undecided.entry(doubt).or_default() += 1,
            },
            _ => {}
        }
    }
    Ok(totals)
}

/// Whether a record is of a guarded request. A denial without a selection is one where the candidate guards its
/// operation, or every guard does.
fn is_guarded(entry: &Entry, policy: &Policy) -> bool {
    let operation = entry.operation.as_deref().unwrap_or_default();
    let guarded =
        |op: &&Operation| **op == Operation::MessagesBulkCancel || policy.operations.of(**op) == Treatment::Guard;
    entry.event == "intent"
        || entry.selection.is_some()
        || Operation::ALL.iter().filter(guarded).any(|op| op.as_str() == operation)
}

fn decide(entry: &Entry, candidate: Candidate<'_>, counted: &mut Counted) -> Result<Ruled, Doubt> {
    let recorded = Recorded::of(entry, candidate.policy)?;
    let ruled = again(candidate.policy, &recorded);
    // What a limit refused was allowed until then; of what cannot be decided, what passed did cost something.
    let charged = match &ruled {
        Ok(ruled) => !ruled.refused,
        Err(_) => recorded.passed,
    };
    let over = if charged && candidate.policy.mode == Mode::Enforce {
        counted.charge(&recorded, entry)
    } else {
        None
    };
    match (ruled?, over) {
        (_, Some(refusal)) => Ok(Ruled {
            refused: true,
            code: Some(refusal.code().as_str().to_owned()),
            limit: refusal.limit().map(|limit| limit.name.clone()),
            ..Ruled::default()
        }),
        // Something else than the policy refused it: whether that would happen again is not known here.
        (after, None)
            if !after.refused
                && !recorded.passed
                && !recorded.code.is_some_and(is_of_the_policy)
                && !was_unenforceable(entry, recorded.operation) =>
        {
            Err(Doubt::NotOfThePolicy)
        }
        (after, None) => Ok(after),
    }
}

/// Whether a request was refused since nobody would enforce its cap, which is the policy's word; not since QStash was seen
/// not to.
fn was_unenforceable(entry: &Entry, operation: Operation) -> bool {
    let said = unenforceable(operation);
    let mut violations = entry.violations.iter();
    violations.any(|violation| violation.code == said.code.as_str() && violation.message == said.message)
}

/// Whether a code is the word of a policy and its limits. All others depend on credentials, or on the state of trail,
/// store and upstream.
fn is_of_the_policy(code: Code) -> bool {
    matches!(
        code,
        Code::AmbiguousRequest
            | Code::UnsupportedBody
            | Code::BodyTooLarge
            | Code::OperationDenied
            | Code::DestinationIsQstash
            | Code::UnknownParameter
            | Code::DeniedByRule
            | Code::UnfilteredCancel
            | Code::FilterNotAllowed
            | Code::UncappedCancel
            | Code::CountOverCap
            | Code::TooManyMessageIds
            | Code::CountOverBudget
            | Code::RateLimited
    )
}

impl Ruled {
    fn recorded(entry: &Entry) -> Self {
        Ruled {
            refused: entry.event == "denied",
            would_deny: entry.decision.as_deref() == Some("would_deny"),
            code: entry.code.clone(),
            rule: entry.rule.clone(),
            limit: entry.limit.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
