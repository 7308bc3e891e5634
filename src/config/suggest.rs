//! What was probably meant.

use super::keys::{self, Key, Takes};

/// The name nearest to one that is not known; none where all are too far away to be meant.
pub(super) fn nearest<'n>(written: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let simple = |name: &str| name.to_ascii_lowercase().replace('-', "_");
    let written = simple(written);
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&written, &simple(name)), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1) || begins(&written, &simple(name)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Whether one is the other with something left out at the end: `enforced`, `monitoring`, `bulk`.
fn begins(written: &str, name: &str) -> bool {
    written.len() >= 4 && (name.starts_with(written) || written.starts_with(name))
}

/// The section that has a key of this name, where there is one such section in the whole configuration; what stands in
/// lists comes after everything else.
pub(super) fn elsewhere(key: &str) -> Option<String> {
    let mut found = Vec::new();
    collect(&keys::ROOT, "", key, &mut found);
    let (in_lists, sections): (Vec<_>, Vec<_>) = found.into_iter().partition(|path| path.contains('['));
    let only = |mut paths: Vec<String>| paths.pop().filter(|path| paths.is_empty() && !path.is_empty());
    if sections.is_empty() {
        return only(in_lists).map(|path| format!("an item of `{}`", path.trim_end_matches("[]")));
    }
    only(sections).map(|path| format!("`{path}`"))
}

/// The paths of the mappings that have a key; `[]` stands behind a list.
fn collect(mapping: &[Key], path: &str, key: &str, found: &mut Vec<String>) {
    for Key { name, takes, .. } in mapping {
        if *name == key {
            found.push(path.to_owned());
        }
        let below = if path.is_empty() {
            (*name).to_owned()
        } else {
            format!("{path}.{name}")
        };
        let either = match takes {
            Takes::Either(either) => either,
            one => std::slice::from_ref(one),
        };
        for takes in either {
            match takes {
                Takes::Mapping(keys, _) | Takes::SomeOf(keys) => collect(keys, &below, key, found),
                Takes::List(Takes::Mapping(keys, _), _) => collect(keys, &format!("{below}[]"), key, found),
                _ => {}
            }
        }
    }
}

/// `a`, `a or b`, `a, b or c`.
pub(super) fn choice(names: &[&str]) -> String {
    joined(names, "or")
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(names: &[&str]) -> String {
    joined(names, "and")
}

fn joined(names: &[&str], word: &str) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} {word} {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_meant() {
        let names = ["max_count", "max_message_ids", "require_cap"];
        assert_eq!(nearest("max_cuont", names), Some("max_count"));
        assert_eq!(nearest("maxCount", names), Some("max_count"));
        assert_eq!(nearest("require-cap", names), Some("require_cap"));
        assert_eq!(nearest("require", names), Some("require_cap"));
        assert_eq!(nearest("timeout", names), None);
        assert_eq!(nearest("", names), None);
    }

    #[test]
    fn a_key_of_one_other_section_is_found() {
        assert_eq!(elsewhere("max_count").as_deref(), Some("`policy.bulk_cancel`"));
        assert_eq!(elsewhere("certificate").as_deref(), Some("`listen.tls`"));
        assert_eq!(elsewhere("burst").as_deref(), Some("an item of `rate_limits`"));
        assert_eq!(elsewhere("idle_timeout"), None, "listen and upstream have it");
        assert_eq!(elsewhere("policy"), None);
    }
}
