//! `policy.rules`.

use std::collections::HashMap;

use jiff::Timestamp;

use super::policy::{self, bounds};
use crate::config::keys::rules::LONGEST_CALLER;
use crate::config::section::Section;
use crate::config::source::Place;
use crate::config::suggest;
use crate::config::tree::Node;
use crate::config::value::Value;
use crate::config::values;
use crate::policy::rules::{Action, Condition, Rule, Rules};
use crate::policy::{BulkCancel, Callers, Mode, Operations, Treatment};
use crate::qstash::operation::Operation;
use crate::qstash::selection::{FILTERS, Parameters};

const LONGEST_NAME: usize = 64;

/// The longest text of a denial, in characters: it stands in every answer and record of one.
const LONGEST_TEXT: usize = 500;

/// The most rules: each costs the requests that it names a little time.
const MOST_RULES: usize = 1000;

/// What a rule does; each has one of these keys.
const ACTIONS: [&str; 3] = ["deny", "allow", "bulk_cancel"];

/// What rules are compiled against.
struct Given<'g> {
    limits: &'g BulkCancel,
    operations: &'g Operations,
    callers: &'g Callers,
    /// Whether callers have names by their certificates too.
    certificates: bool,
}

pub(super) fn compile(
    value: Option<Value<'_>>,
    limits: &BulkCancel,
    operations: &Operations,
    (callers, certificates): (&Callers, bool),
) -> Rules {
    let Some(value) = value else { return Rules::default() };
    let items = match value.items("a list of rules, or `[]` for none") {
        Ok(items) => items,
        Err(message) => {
            value.fault(message);
            return Rules::default();
        }
    };
    if items.len() > MOST_RULES {
        value.fault(format!(
            "there are {} rules, and at most {MOST_RULES} are taken; let one rule stand for several callers",
            items.len()
        ));
        return Rules::default();
    }
    let given = Given {
        limits,
        operations,
        callers,
        certificates,
    };
    let mut before = Before::default();
    let rules = items.into_iter().filter_map(|item| rule(item, &given, &mut before));
    Rules::new(rules.collect())
}

/// What stands before a rule.
#[derive(Default)]
struct Before {
    /// The names that are taken.
    names: HashMap<String, Place>,
    /// The operations that a rule always decides, and that rule.
    decided: Vec<(Operation, String)>,
}

fn rule(item: Value<'_>, given: &Given<'_>, before: &mut Before) -> Option<Rule> {
    let place = item.place();
    let mut section = Section::of(item);
    let name = section.required("name", "name: nightly-drain", |value| {
        let name = line(value, LONGEST_NAME)?;
        if let Some(first) = before.names.insert(name.clone(), value.own_place()) {
            let message = format!("two rules are named {}; rename one", value.written());
            value.fault_beside(first, "first given here", message);
        }
        Ok(name)
    });
    let named = section.get("name").filter(|_| name.is_some());
    let shown = named.as_ref().map(Value::written).unwrap_or_default();
    let callers = section.value("callers", None, |value| callers(value, given).map(Some));
    let operations = section.value("operations", vec![Operation::MessagesBulkCancel], operations);
    let when = section
        .get("when")
        .map(|value| condition(&value, &operations, given.operations));
    let mode = section.value("mode", Mode::Enforce, |value| {
        values::one_of(value, &[("enforce", Mode::Enforce), ("monitor", Mode::Monitor)])
    });
    let expires = section.get("expires").and_then(|value| expires(&value, &shown));
    let action = action(&mut section, place, given, &operations);
    if let Some(named) = &named {
        warn_if_never_reached(named, &operations, &before.decided);
    }
    let is_for_all = |patterns: &Vec<String>| patterns.iter().any(|pattern| pattern.bytes().all(|byte| byte == b'*'));
    let always = callers.as_ref().is_none_or(is_for_all)
        && when
            .as_ref()
            .is_none_or(|when| when.as_ref().is_some_and(Condition::is_always))
        && mode == Mode::Enforce;
    if always && action.is_some() && section.get("expires").is_none() {
        before
            .decided
            .extend(operations.iter().map(|&operation| (operation, shown.clone())));
    }
    if action == Some(Action::Allow)
        && always
        && operations.contains(&Operation::MessagesBulkCancel)
        && let Some(value) = section.get("allow")
    {
        value.warn("this rule is for everybody and always holds: it lets every bulk cancel through");
    }
    section.finish();
    Some(Rule {
        name: name?.into(),
        callers,
        operations,
        // A faulty condition is reported; its rule goes with it.
        when: match when {
            None => None,
            Some(condition) => Some(condition?),
        },
        action: action?,
        expires,
        mode,
    })
}

/// A text of one line.
fn line(value: &Value<'_>, longest: usize) -> Result<String, String> {
    let text = value.text("a text")?;
    if text.trim().is_empty() {
        return Err(format!("`{}` is empty; write a text", value.path));
    }
    if text.chars().count() > longest || text.chars().any(char::is_control) {
        return Err(format!(
            "`{}` takes at most {longest} characters in one line; shorten it",
            value.path
        ));
    }
    Ok(text)
}

fn callers(value: &Value<'_>, given: &Given<'_>) -> Result<Vec<String>, String> {
    let expected = "a list of callers like `[billing-*]`";
    if value.items(expected)?.is_empty() {
        return Err(format!(
            "`{}` is empty; write {expected}, or leave it out for everybody",
            value.path
        ));
    }
    value.list(expected, |item| {
        let pattern = line(item, LONGEST_CALLER)?;
        let matches = |name: &str| Rule::matches_caller(&pattern, name);
        // Callers without a name are called by their fingerprint, or anonymous; names of certificates are not known here.
        let unnamed = given.certificates || pattern.starts_with("token:") || matches("anonymous") || matches("token:");
        if !unnamed && !given.callers.sorted().iter().any(|(name, _)| matches(name)) {
            item.warn(format!("{} matches none of `callers`", item.written()));
        }
        Ok(pattern)
    })
}

fn operations(value: &Value<'_>) -> Result<Vec<Operation>, String> {
    let expected = "a list of operations like `[messages.bulk_cancel]`";
    if value.items(expected)?.is_empty() {
        return Err(format!("`{}` is empty; write {expected}", value.path));
    }
    let lists = value.list(expected, |item| {
        let text = item.text("the name of an operation")?;
        policy::matching(&text).ok_or_else(|| policy::unknown_operation(item, &text, &[]))
    })?;
    let mut operations = lists.concat();
    operations.sort_unstable();
    operations.dedup();
    Ok(operations)
}

/// A condition; `None` where it is faulty, which is reported at its place in the expression.
fn condition(value: &Value<'_>, operations: &[Operation], treatments: &Operations) -> Option<Condition> {
    let text = match value.text("a condition in CEL, like `cancel.kind == \"ids\"`") {
        Ok(text) => text,
        Err(message) => {
            value.fault(message);
            return None;
        }
    };
    let guarded = |operation| treatments.of(operation) == Treatment::Guard;
    let compiled = Condition::compile(&text, operations, guarded);
    if let Ok(condition) = &compiled {
        warn_of_absent_filters(value, condition, operations, &guarded);
    }
    compiled
        .map_err(|faults| {
            // What comes from the environment is not shown, nor are pieces of it.
            if value.is_substituted() {
                value.fault(format!("{} is no condition that can be used here", value.written()));
                return;
            }
            for fault in faults {
                value.fault_within(&text, fault.place, fault.message);
            }
        })
        .ok()
}

/// Warns of filters that none of the rule's guarded operations has: their lists are always empty there.
fn warn_of_absent_filters(
    value: &Value<'_>,
    condition: &Condition,
    operations: &[Operation],
    guarded: &impl Fn(Operation) -> bool,
) {
    let has = |name: &str| {
        let parameters = operations.iter().filter(|operation| guarded(**operation));
        let mut parameters = parameters.filter_map(|operation| Parameters::of(*operation, &[]));
        parameters.any(|parameters| parameters.filters.contains(&name))
    };
    let absent: Vec<String> = FILTERS
        .iter()
        .map(|name| (name, format!("cancel.filters.{name}")))
        .filter(|(name, variable)| condition.uses(variable) && !has(name))
        .map(|(_, variable)| format!("`{variable}`"))
        .collect();
    if !absent.is_empty() && operations.iter().any(|operation| guarded(*operation)) {
        value.warn(format!(
            "no guarded operation of this rule has {}: always an empty list",
            absent.join(", ")
        ));
    }
}

/// Warns of a rule all of whose operations an earlier one always decides.
fn warn_if_never_reached(name: &Value<'_>, operations: &[Operation], decided: &[(Operation, String)]) {
    let by = |operation: &Operation| {
        decided
            .iter()
            .find(|(known, _)| known == operation)
            .map(|(_, rule)| rule)
    };
    if let Some(rules) = operations.iter().map(by).collect::<Option<Vec<_>>>()
        && let Some(rule) = rules.first()
    {
        name.warn(format!(
            "this rule is never reached: {rule}, which stands before it, is for everybody and always holds"
        ));
    }
}

/// When a rule is over; `rule` is its name as it is shown.
fn expires(value: &Value<'_>, rule: &str) -> Option<Timestamp> {
    let expected = "a time like `2026-12-01T00:00:00Z`";
    let parsed = value.text(expected).and_then(|text| {
        text.parse::<Timestamp>()
            .map_err(|_| format!("{} is not a time for {}; write {expected}", value.written(), value.path))
    });
    let time = parsed.map_err(|message| value.fault(message)).ok()?;
    value.warn_from(time, format!("the rule {rule} has expired and is skipped; take it out"));
    Some(time)
}

fn action(section: &mut Section<'_>, place: Place, given: &Given<'_>, operations: &[Operation]) -> Option<Action> {
    let mut found: Vec<(Value<'_>, Option<Action>)> = Vec::new();
    if let Some(value) = section.get("deny") {
        let text = line(&value, LONGEST_TEXT).map(Action::Deny);
        let action = text.map_err(|message| value.fault(message)).ok();
        found.push((value, action));
    }
    if let Some(value) = section.get("allow") {
        let allowed = values::boolean(&value).and_then(|allowed| {
            let instead = "to refuse, write `deny` and what clients are told";
            let message = || format!("`{}` is only ever true; {instead}", value.path);
            allowed.then_some(Action::Allow).ok_or_else(message)
        });
        let action = allowed.map_err(|message| value.fault(message)).ok();
        found.push((value, action));
    }
    if let Some(value) = section.get("bulk_cancel") {
        let action = own_limits(section, &value, given, operations);
        found.push((value, action));
    }
    let choice = suggest::choice(&ACTIONS);
    match found.as_mut_slice() {
        [] => {
            section.fault(place, format!("the rule does nothing; give it one of {choice}"));
            None
        }
        [(_, action)] => action.take(),
        [(first, _), others @ ..] => {
            for (value, _) in others {
                let message = format!("a rule does one thing; keep one of {choice}");
                value.fault_beside(first.place(), "beside this", message);
            }
            None
        }
    }
}

fn own_limits(
    section: &mut Section<'_>,
    value: &Value<'_>,
    given: &Given<'_>,
    operations: &[Operation],
) -> Option<Action> {
    let guarded = |operation: &&Operation| given.operations.of(**operation) == Treatment::Guard;
    let unguarded = operations.iter().find(|operation| !guarded(operation));
    if let Some(operation) = unguarded {
        value.fault(format!(
            "{operation} is not guarded, so that no limits apply to it; take it out of the rule's operations"
        ));
    }
    if value.is_null() || matches!(&value.node.value, Node::Mapping(entries) if entries.is_empty()) {
        value.fault(format!(
            "`{}` sets nothing; write a limit like `max_count: 500`",
            value.path
        ));
    }
    let mut own = section.section("bulk_cancel");
    if let Some(value) = own.get("narrowing_filters")
        && !operations.contains(&Operation::MessagesBulkCancel)
    {
        value.fault(
            "narrowing_filters are of messages.bulk_cancel, which this rule is not for; of other operations what narrows is \
             fixed"
                .to_owned(),
        );
    }
    let require_filter = own.value("require_filter", given.limits.require_filter, |value| {
        let required = values::boolean(value)?;
        if !required && given.limits.require_filter {
            value.warn("require_filter is false: under this rule a cancel of every message is let through");
        }
        Ok(required)
    });
    let limits = BulkCancel {
        require_filter,
        ..bounds(&mut own, given.limits)
    };
    own.finish();
    unguarded.is_none().then(|| Action::BulkCancel(Box::new(limits)))
}
