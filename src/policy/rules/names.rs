//! The names that stand in conditions, resolved at load.

use super::variables::{FILTERS, NAMES, filters};
use crate::policy::nearest::nearest;
use crate::qstash::selection::quoted;

/// Types that CEL has names for, as in `type(x) == string`.
const TYPES: &[&str] = &[
    "bool",
    "bytes",
    "double",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "type",
    "uint",
];

/// What a name stands for: the variable, by its full name, that its segments spell.
///
/// # Errors
/// What is wrong with it and what was probably meant.
pub(super) fn resolve(segments: &[&str]) -> Result<String, String> {
    let full = segments.join(".");
    let Some((&root, members)) = segments.split_first() else {
        return Err("a name is empty".to_owned());
    };
    if is_variable(&full) || (members.is_empty() && TYPES.contains(&root)) {
        return Ok(full);
    }
    // The longest part that is a variable: what stands behind it is one member too many.
    let known = (1..segments.len())
        .rev()
        .map(|length| segments[..length].join("."))
        .find(|name| is_variable(name));
    if let Some(known) = known {
        if known != FILTERS {
            return Err(format!(
                "`{known}` has no members; take {} out",
                quoted(&full[known.len()..])
            ));
        }
        let asked = members.get(1).copied().unwrap_or_default();
        return Err(match nearest(asked, filters().iter().copied()) {
            Some(near) => format!("{} is not a filter; did you mean `{FILTERS}.{near}`?", quoted(asked)),
            None => format!(
                "{} is not a filter; filters are {}",
                quoted(asked),
                filters().join(", ")
            ),
        });
    }
    let siblings: Vec<&str> = NAMES
        .iter()
        .filter_map(|name| name.strip_prefix(root)?.strip_prefix('.'))
        .collect();
    if siblings.is_empty() {
        let roots = NAMES.iter().map(|name| name.split('.').next().unwrap_or(name));
        return Err(match nearest(root, roots) {
            Some(near) => format!("there is no variable {}; did you mean `{near}`?", quoted(root)),
            None => format!(
                "there is no variable {}; there are caller, client, request, operation and cancel",
                quoted(root)
            ),
        });
    }
    let Some(&asked) = members.first() else {
        return Err(format!(
            "`{root}` is no value itself; name a member: {}",
            siblings.join(", ")
        ));
    };
    Err(match nearest(asked, siblings.iter().copied()) {
        Some(near) => format!(
            "`{root}` has no member {}; did you mean `{root}.{near}`?",
            quoted(asked)
        ),
        None => format!(
            "`{root}` has no member {}; its members are {}",
            quoted(asked),
            siblings.join(", ")
        ),
    })
}

/// Whether a variable has this full name.
pub(super) fn is_variable(name: &str) -> bool {
    NAMES.contains(&name)
        || name
            .strip_prefix(FILTERS)
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(|filter| filters().contains(&filter))
}
