//! What was probably meant.

use std::sync::LazyLock;

use super::tree::{self, Node};

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

/// The section that has a key of this name, where there is one such section in the whole configuration.
pub(super) fn elsewhere(key: &str) -> Option<&'static str> {
    /// Every key of the shipped file, which has them all, and the section it stands in.
    static KEYS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
        let mut keys = Vec::new();
        if let Ok(root) = tree::read(super::locate::BUILT_IN) {
            collect(&root.value, "", &mut keys);
        }
        keys
    });
    let mut sections = KEYS
        .iter()
        .filter(|(name, _)| name == key)
        .map(|(_, section)| section.as_str());
    sections
        .next()
        .filter(|section| !section.is_empty() && sections.next().is_none())
}

fn collect(node: &Node, section: &str, keys: &mut Vec<(String, String)>) {
    let Node::Mapping(entries) = node else { return };
    for (name, value) in entries {
        keys.push((name.value.clone(), section.to_owned()));
        let below = if section.is_empty() {
            name.value.clone()
        } else {
            format!("{section}.{}", name.value)
        };
        collect(&value.value, &below, keys);
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
        assert_eq!(elsewhere("max_count"), Some("policy.bulk_cancel"));
        assert_eq!(elsewhere("idle_timeout"), None, "listen and upstream have it");
        assert_eq!(elsewhere("policy"), None);
    }
}
