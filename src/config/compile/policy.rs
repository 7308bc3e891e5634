//! `policy`.

use super::rules;
use crate::config::keys::policy as keys;
use crate::config::section::Section;
use crate::config::suggest;
use crate::config::tree::Node;
use crate::config::value::Value;
use crate::config::values;
use crate::policy::{
    BulkCancel, Callers, CapEnforcedBy, Caps, MAX_MESSAGE_IDS, Mode, OnMissingCap, Operations, OperationsFault, Policy,
    Treatment,
};
use crate::qstash::operation::Operation;
use crate::qstash::selection::{MESSAGE_FILTERS, Parameters, TOKEN_PARAMETER, quoted};
use crate::upstream::Origin;

/// What an operator of a hosted upstream has to know about caps.
pub(super) const HOSTED_IGNORES_COUNT: &str = "hosted QStash has ignored `count` on filter cancels since September 2026, and nothing else would enforce it; write \
     `guard` or `auto`";

/// `certificates`: whether callers have names by their certificates too.
pub(super) fn compile(mut section: Section<'_>, upstream: &Origin, callers: Callers, certificates: bool) -> Policy {
    let mode = section.value("mode", Mode::Enforce, |value| {
        let mode = values::one_of(value, &keys::MODES)?;
        if mode == Mode::Monitor {
            value.warn("policy.mode is monitor: nothing is refused, violations are only recorded");
        }
        Ok(mode)
    });
    let (bulk_cancel, caps) = bulk_cancel(section.section("bulk_cancel"), upstream);
    let operations = operations(section.section("operations"));
    let qstash_destinations = section.value("qstash_destinations", false, |value| {
        values::one_of(value, &keys::DESTINATIONS)
    });
    let policy = Policy {
        mode,
        rules: rules::compile(
            section.get("rules"),
            &bulk_cancel,
            &operations,
            (&callers, certificates),
        ),
        bulk_cancel,
        caps,
        operations,
        callers,
        qstash_destinations,
        upstream_host: upstream.host.clone(),
        upstream_has_path: !upstream.prefix.is_empty(),
        digest: String::new(),
    };
    section.finish();
    policy
}

fn bulk_cancel(mut section: Section<'_>, upstream: &Origin) -> (BulkCancel, Caps) {
    let require_filter = section.value("require_filter", true, |value| {
        let required = values::boolean(value)?;
        if !required {
            value.warn(
                "require_filter is false: a cancel without any filter, which is of every message, is let through",
            );
        }
        Ok(required)
    });
    let caps = caps(&mut section, upstream);
    let parameters = Parameters::messages(section.value("extra_parameters", Vec::new(), |value| {
        Ok(unique(
            value.list("a list of names, or `[]` for none", extra_parameter)?,
        ))
    }));
    let default = BulkCancel {
        require_filter,
        parameters,
        ..BulkCancel::default()
    };
    let bulk_cancel = bounds(&mut section, &default);
    section.finish();
    (bulk_cancel, caps)
}

fn caps(section: &mut Section<'_>, upstream: &Origin) -> Caps {
    let enforced_by = section.value("cap_enforced_by", CapEnforcedBy::default(), |value| {
        let enforced_by = values::one_of(value, &keys::CAP_ENFORCED_BY)?;
        if enforced_by == CapEnforcedBy::Qstash && upstream.is_hosted_qstash() {
            value.warn(HOSTED_IGNORES_COUNT);
        }
        Ok(enforced_by)
    });
    let on_missing = section.value("on_missing_cap", OnMissingCap::default(), |value| {
        let on_missing = values::one_of(value, &keys::ON_MISSING_CAP)?;
        if on_missing == OnMissingCap::ApplyMaxCount && enforced_by == CapEnforcedBy::Qstash {
            return Err(format!(
                "{} needs a cap that the guard enforces, and cap_enforced_by is qstash; write `deny`, or \
                 `cap_enforced_by: guard`",
                value.written()
            ));
        }
        Ok(on_missing)
    });
    Caps {
        enforced_by,
        on_missing,
    }
}

/// The bounds that a rule can set too. `require_filter` is read before: each place warns of it in words of its own.
pub(super) fn bounds(section: &mut Section<'_>, default: &BulkCancel) -> BulkCancel {
    BulkCancel {
        require_filter: default.require_filter,
        require_cap: section.value("require_cap", default.require_cap, values::boolean),
        max_count: section.value("max_count", default.max_count, |value| {
            values::whole(value, 1..=u64::MAX)
        }),
        max_message_ids: section.value("max_message_ids", default.max_message_ids, |value| {
            let number = values::whole(value, 1..=MAX_MESSAGE_IDS as u64)?;
            Ok(usize::try_from(number).unwrap_or(MAX_MESSAGE_IDS))
        }),
        allowed_filters: section.value("allowed_filters", default.allowed_filters.clone(), allowed_filters),
        narrowing_filters: section.value("narrowing_filters", default.narrowing_filters.clone(), |value| {
            let names = value.list("a list of filters like `[queueName, label]`, or `[]` for none", filter)?;
            Ok(unique(names))
        }),
        parameters: default.parameters.clone(),
    }
}

fn allowed_filters(value: &Value<'_>) -> Result<Option<Vec<String>>, String> {
    let expected = "all, or a list of filters like `[queueName, label]`";
    if let Node::Sequence(_) = value.node.value {
        return value.list(expected, filter).map(unique).map(Some);
    }
    match value.text(expected)?.as_str() {
        "all" => Ok(None),
        _ => Err(format!(
            "{} is not a value of {}; write {expected}",
            value.written(),
            value.path
        )),
    }
}

fn filter(value: &Value<'_>) -> Result<String, String> {
    let text = value.text("the name of a filter")?;
    if MESSAGE_FILTERS.contains(&text.as_str()) {
        return Ok(text);
    }
    // What comes from the environment is not to be guessed from what it is like.
    let near = suggest::nearest(&text, MESSAGE_FILTERS.iter().copied()).filter(|_| !value.is_substituted());
    let meant = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("filters are {}", suggest::list(MESSAGE_FILTERS)),
    };
    Err(format!(
        "{} is not a filter of messages.bulk_cancel; {meant}",
        value.written()
    ))
}

fn extra_parameter(value: &Value<'_>) -> Result<String, String> {
    let text = value.text("the name of a parameter")?;
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(format!("{} is not the name of a parameter", value.written()));
    }
    if text == TOKEN_PARAMETER || Parameters::messages(Vec::new()).names().any(|known| known == text) {
        return Err(format!(
            "{} is known already, and not to be listed in {}; take it out",
            value.written(),
            list_of(value)
        ));
    }
    Ok(text)
}

/// The list that an item stands in.
fn list_of<'v>(item: &'v Value<'_>) -> &'v str {
    item.path.split('[').next().unwrap_or_default()
}

fn unique(mut names: Vec<String>) -> Vec<String> {
    let mut seen = Vec::new();
    names.retain(|name| {
        !seen.contains(name) && {
            seen.push(name.clone());
            true
        }
    });
    names
}

fn operations(section: Section<'_>) -> Operations {
    let choices = [
        ("allow", Treatment::Allow),
        ("deny", Treatment::Deny),
        ("guard", Treatment::Guard),
    ];
    let mut entries = Vec::new();
    for (pattern, key, value) in section.free_entries() {
        match values::one_of(&value, &choices) {
            Ok(treatment) => entries.push((pattern, key, value, treatment)),
            Err(message) => value.fault(message),
        }
    }
    section.finish_free("operations and what happens to them, like `keys.rotate: deny`");
    let pairs: Vec<(&str, Treatment)> = entries
        .iter()
        .map(|(pattern, .., treatment)| (*pattern, *treatment))
        .collect();
    let faults = match Operations::compile(&pairs) {
        Ok(operations) => {
            if let Some((.., value, _)) = entries.iter().find(|(pattern, .., treatment)| {
                *pattern == Operation::MessagesBulkCancel.as_str() && *treatment == Treatment::Allow
            }) {
                value.warn(
                    "messages.bulk_cancel is allowed: every bulk cancel passes unread, that of every message too",
                );
            }
            return operations;
        }
        Err(faults) => faults,
    };
    for (index, fault) in faults {
        let (pattern, key, value, _) = &entries[index];
        match fault {
            OperationsFault::Unknown if value.context.is_full() => {
                value.fault_at(*key, format!("{} is not an operation", quoted(pattern)));
            }
            OperationsFault::Unknown => value.fault_at(*key, unknown_name(pattern, &[])),
            OperationsFault::NotGuardable => value.fault(format!(
                "{} cannot be guarded in this version, only messages.bulk_cancel can; write allow or deny",
                quoted(pattern)
            )),
        }
    }
    Operations::default()
}

/// The operations that a name or glob stands for; `None` where there are none.
pub(super) fn matching(pattern: &str) -> Option<Vec<Operation>> {
    let denied = Operations::compile(&[(pattern, Treatment::Deny)]).ok()?;
    Some(
        Operation::ALL
            .iter()
            .copied()
            .filter(|operation| denied.of(*operation) == Treatment::Deny)
            .collect(),
    )
}

/// The fault of a name that no operation has, as an item of a list; `also` are names that the list takes besides.
pub(super) fn unknown_operation(item: &Value<'_>, text: &str, also: &[&'static str]) -> String {
    if item.is_substituted() || item.context.is_full() {
        return format!("{} is not an operation", item.written());
    }
    unknown_name(text, also)
}

fn unknown_name(name: &str, also: &[&'static str]) -> String {
    let shown = quoted(name);
    if name.contains('*') {
        let group = name.split(['.', '*']).next().unwrap_or_default();
        let groups = Operation::ALL
            .iter()
            .filter_map(|operation| operation.as_str().split('.').next());
        let near = suggest::nearest(group, groups).map(|near| format!("{near}{}", &name[group.len()..]));
        return match near.filter(|glob| matching(glob).is_some()) {
            Some(near) => format!("{shown} matches no operation; did you mean `{near}`?"),
            None => format!("{shown} matches no operation; write a glob like `dlq.*`"),
        };
    }
    let names = Operation::ALL
        .iter()
        .map(|operation| operation.as_str())
        .chain(also.iter().copied());
    if let Some(near) = suggest::nearest(name, names) {
        return format!("{shown} is not an operation; did you mean `{near}`?");
    }
    let group = name.split('.').next().unwrap_or_default();
    let siblings: Vec<&str> = Operation::ALL
        .iter()
        .map(|operation| operation.as_str())
        .filter(|known| known.split('.').next() == Some(group))
        .collect();
    if siblings.is_empty() {
        return format!("{shown} is not an operation; write a name like messages.bulk_cancel, or a glob like `dlq.*`");
    }
    format!(
        "{shown} is not an operation; those of {group} are {}",
        suggest::list(&siblings)
    )
}
