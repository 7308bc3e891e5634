//! The ruling on a request: rules first, then what bounds a bulk cancel.

use std::net::IpAddr;

use jiff::Timestamp;

use super::callers::Caller;
use super::caps::{Cap, Overrun};
use super::guarded_cap::GuardedCap;
use super::nearest::nearest;
use super::permit::Verdict;
use super::refusal::{Code, Refusal, Violation};
use super::rules::{Applied, Effect, Facts, Tried};
use super::ruling::Ruling;
use super::settings::{BulkCancel, MAX_MESSAGE_IDS, Policy};
use crate::qstash::operation::Operation;
use crate::qstash::selection::{Kind, Reading, Selection, quoted_parameter};

/// Who asks, from where and when.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// The client's address.
    pub client: IpAddr,
    /// When: rules expire, and may look at it.
    pub time: Timestamp,
}

/// A request whose operation is known.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The operation that the judged copy names.
    pub operation: Operation,
    /// The method token as sent.
    pub method: &'a str,
    /// The path as sent, without query.
    pub path: &'a str,
    /// Who asks, from where and when.
    pub context: &'a Context<'a>,
    /// The caps that QStash was seen not to honour for this operation.
    pub overrun: Overrun,
}

/// Rules on a request: its selection is read where it is guarded. All violations are found, in the order of their
/// precedence; `earlier` ones (of the path, under monitor mode) come first.
///
/// Rules are tried where the selection can be read in one way only and is no longer than any policy allows. With
/// `tried`, it is noted what became of each rule.
pub fn decide(
    policy: &Policy,
    asked: &Asked<'_>,
    reading: Option<&Reading>,
    earlier: Vec<Violation>,
    tried: Option<&mut Vec<Tried>>,
) -> Ruling {
    let table = &policy.bulk_cancel;
    let mut found = earlier;
    let kind = reading.map(|reading| table.kind(&reading.selection));
    if let Some(reading) = reading {
        if let Some(fault) = &reading.unsupported {
            found.push(Violation::new(Code::UnsupportedBody, fault));
        } else {
            let ambiguous = |message| Violation::new(Code::AmbiguousRequest, message);
            found.extend(reading.ambiguities.iter().map(ambiguous));
            found.extend(reading.unknown.iter().map(|name| unknown_parameter(table, name)));
        }
        if reading.unsupported.is_some() || !reading.ambiguities.is_empty() {
            let verdict = Verdict::of(policy.mode, Refusal::of(found));
            return Ruling {
                kind,
                ..Ruling::without_rules(verdict)
            };
        }
    }
    let selection = reading.map(|reading| &reading.selection);
    let facts = Facts {
        asked,
        selection,
        kind,
        fills_missing_caps: policy.fills_missing_caps(),
    };
    let applied = if selection.is_some_and(|selection| selection.ids.len() > MAX_MESSAGE_IDS) {
        Applied::default()
    } else {
        policy.rules.apply(&facts, tried)
    };
    // Where no rule decides, the policy's own bounds do.
    let (rule, effect) = match applied.decided {
        Some((rule, effect)) => (Some(rule), effect),
        None => (None, Effect::Limits(table)),
    };
    let violations = effect.violations(&facts);
    let limits = if let Effect::Limits(own) = effect { own } else { table };
    let is_bounded = matches!(effect, Effect::Limits(_));
    let cap = selection.and_then(|selection| cap(policy, asked.operation, limits, is_bounded, selection));
    // A rule is named in a refusal that it has a part in; a typo in a parameter is refused under every rule.
    let refused_by = rule.clone().filter(|_| !violations.is_empty());
    found.extend(violations);
    if cap.is_some() {
        let extra = selection.and_then(|selection| selection.extra.first());
        found.extend(extra.map(|name| not_resolvable(name)));
    }
    // Where the guard enforces the cap, nothing rests on `count`.
    found.extend(match cap {
        Some(_) => asked.overrun.violation_of(Cap::Listed),
        None => selection.and_then(|selection| policy.overrun_violation(asked.overrun, selection)),
    });
    let refusal = Refusal::of(found).map(|refusal| refusal.by_rule(refused_by));
    Ruling {
        verdict: Verdict::of(policy.mode, refusal),
        kind: selection.map(|selection| limits.kind(selection)),
        cap,
        rule,
        rehearsed: applied.rehearsed,
    }
}

/// The cap that the guard enforces: that of a cancel by filter, or of all. One by ids bounds itself; one that may go
/// without a cap, by the policy or by a rule, goes on as it is.
fn cap(
    policy: &Policy,
    operation: Operation,
    limits: &BulkCancel,
    is_bounded: bool,
    selection: &Selection,
) -> Option<GuardedCap> {
    if operation != Operation::MessagesBulkCancel || !policy.enforces_caps() || limits.kind(selection) == Kind::Ids {
        return None;
    }
    let fills = is_bounded && limits.require_cap && policy.fills_missing_caps();
    let count = selection.count.or(fills.then_some(limits.max_count))?;
    Some(GuardedCap {
        count,
        max_message_ids: limits.max_message_ids.min(MAX_MESSAGE_IDS),
    })
}

/// The violation of a filter that the guard cannot apply itself; without it, the cancel would take more.
pub fn not_resolvable(filter: &str) -> Violation {
    Violation::new(
        Code::FilterNotResolvable,
        format!(
            "The guard caps this cancel itself, and QStash's listing does not show what {} selects, so nothing was sent; \
             use another filter, or messageIds.",
            quoted_parameter(filter)
        ),
    )
}

/// The verdict on a request whose body could not be read to its end: refused, or recorded under monitor mode.
pub fn malformed_selection(policy: &Policy, violation: Violation, earlier: Vec<Violation>) -> Ruling {
    let mut found = earlier;
    found.push(violation);
    Ruling::without_rules(Verdict::of(policy.mode, Refusal::of(found)))
}

fn unknown_parameter(rules: &BulkCancel, name: &str) -> Violation {
    let nearest = nearest(name, rules.parameters.names());
    let known = match (name, nearest) {
        ("messageId", _) => "did you mean `messageIds`, or DELETE /v2/messages/ID for one message?".to_owned(),
        ("urlGroup", _) => "did you mean `topicName`, QStash's name for a URL group?".to_owned(),
        (_, Some(known)) => format!("did you mean `{known}`?"),
        (_, None) => format!("known are {}.", rules.parameters.names().collect::<Vec<_>>().join(", ")),
    };
    Violation::new(
        Code::UnknownParameter,
        format!(
            "{} is no parameter of a bulk cancel, and QStash would ignore it; {known}",
            quoted_parameter(name)
        ),
    )
}
