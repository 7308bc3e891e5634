//! What of a line may be a credential, judged by its text alone: also where the file is no YAML, or a key is misspelt.

use std::ops::Range;

use crate::policy::Callers;

/// Keys with such a word in them may hold a credential.
const WORDS: [&str; 4] = ["token", "secret", "password", "passwd"];

/// Keys that have one of the words and hold none.
const HARMLESS: [&str; 4] = ["query_token", "header_forward_token", "token_file", "token_sha256"];

/// Whether a key of this name may hold a credential.
pub(super) fn is_suspect(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    WORDS.iter().any(|word| key.contains(word)) && !HARMLESS.contains(&key.as_str())
}

/// The pieces of one line of `text` that may be a credential.
pub(super) fn in_line(text: &str, line: Range<usize>) -> Vec<Range<usize>> {
    let shown = &text[line.clone()];
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut rest = 0;
    while let Some(colon) = shown[rest..].find(':').map(|at| rest + at) {
        rest = colon + 1;
        if is_suspect(key_before(&shown[..colon])) {
            found.extend(value_after(shown, colon + 1));
        }
        if shown[colon..].starts_with("://") {
            found.extend(user_info(shown, colon + 3));
        }
    }
    found.extend(guard_keys(shown));
    // The value of a key may stand on the next line.
    let above = text[..line.start].lines().next_back().unwrap_or_default();
    if let Some((key, value)) = above.split_once(':')
        && is_suspect(key_before(key))
        && matches!(value.trim(), "" | "|" | ">" | "|-" | ">-" | "|+" | ">+")
        && key_of(shown).is_none()
    {
        found.push(shown.len() - shown.trim_start().len()..shown.len());
    }
    found
        .into_iter()
        .map(|range| line.start + range.start..line.start + range.end)
        .collect()
}

/// The word right before a colon, quotes cut.
fn key_before(text: &str) -> &str {
    let text = text.trim_end().trim_end_matches(['"', '\'']);
    let start = text
        .rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')))
        .map_or(0, |at| at + 1);
    // The character found may be longer than a byte.
    (start..text.len()).find_map(|at| text.get(at..)).unwrap_or_default()
}

/// The key that a line begins with.
fn key_of(line: &str) -> Option<&str> {
    line.split_once(": ")
        .map(|(key, _)| key)
        .or_else(|| line.trim_end().strip_suffix(':'))
}

/// The value of a key, where it is written out. What is read from the environment alone shows nothing.
fn value_after(line: &str, from: usize) -> Option<Range<usize>> {
    let start = from + (line[from..].len() - line[from..].trim_start().len());
    let value = &line[start..];
    let harmless = ["null", "~", "#"].iter().any(|word| value.starts_with(word));
    let substituted = value
        .trim_start_matches(['"', '\''])
        .strip_prefix("${")
        .is_some_and(|rest| {
            let closed = |behind: &str| behind.trim_matches(['"', '\'', ' ', ',', '}']).is_empty();
            rest.split_once('}')
                .is_some_and(|(name, behind)| !name.contains(":-") && closed(behind))
        });
    (!value.is_empty() && !harmless && !substituted).then_some(start..line.len())
}

/// Keys as `qstash-guard key` makes them, wherever they stand.
fn guard_keys(line: &str) -> impl Iterator<Item = Range<usize>> {
    line.match_indices(Callers::KEY_PREFIX).filter_map(|(start, prefix)| {
        let is_of_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let rest = &line[start + prefix.len()..];
        let length = rest.find(|c| !is_of_key(c)).unwrap_or(rest.len());
        (length >= SHORTEST_KEY).then(|| start..start + prefix.len() + length)
    })
}

/// A word that begins as a guard key does, and is shorter, is none.
const SHORTEST_KEY: usize = 16;

/// The user info of a URL that begins at `from`.
fn user_info(line: &str, from: usize) -> Option<Range<usize>> {
    let authority = line[from..].split(['/', '?', '#', ' ']).next().unwrap_or_default();
    authority.rfind('@').map(|at| from..from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second line of a text with what may be a credential cut out.
    fn masked(text: &str) -> String {
        let start = text.find('\n').map_or(0, |at| at + 1);
        let mut shown = text.to_owned();
        let mut found = in_line(text, start..text.len());
        found.sort_by_key(|range| std::cmp::Reverse(range.start));
        for range in found {
            shown.replace_range(range, "***");
        }
        shown[start..].to_owned()
    }

    #[test]
    fn values_of_suspect_keys_are_found() {
        assert_eq!(masked("token: abc"), "token: ***");
        assert_eq!(masked("  \"QSTASH_TOKEN\" : abc # c"), "  \"QSTASH_TOKEN\" : ***");
        assert_eq!(masked("{a: 1, my-secret: abc}"), "{a: 1, my-secret: ***");
        assert_eq!(masked("éé-token:abc"), "éé-token:***");
        assert_eq!(masked("token: ${A:-abc}"), "token: ***");
        assert_eq!(masked("url: rediss://u:p@host/0"), "url: rediss://***@host/0");
        assert_eq!(masked("token: |\n  abc"), "  ***");
        assert_eq!(
            masked("- {key: \"qg_0123456789-_abcdefghij\", name: qg_a}"),
            "- {key: \"***\", name: qg_a}"
        );
    }

    #[test]
    fn everything_else_is_shown() {
        for line in [
            "token: ${QSTASH_TOKEN}",
            "{token: \"${A}\"}",
            "token: null",
            "token:",
            "query_token: move",
            "token_file: /run/secrets/token",
            "url: https://host/a@b",
            "token:\nmode: broker",
        ] {
            assert_eq!(masked(line), line.split('\n').next_back().unwrap_or_default());
        }
    }
}
