//! The file as a tree: every key and value with its place.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_yaml::{MessageFormatter as _, Spanned};

use super::fault::Fault;
use super::source::Place;

/// A value of the file.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// `null`, `~` or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that fits 128 bits.
    Integer(i128),
    /// Any other number.
    Float,
    /// Text.
    String(String),
    /// A list.
    Sequence(Vec<Spanned<Node>>),
    /// Keys and values in the order of the file; a key may stand there twice.
    Mapping(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl Node {
    /// What it is, for a sentence about a wrong type.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Node::Null => "nothing",
            Node::Bool(_) => "true or false",
            Node::Integer(_) | Node::Float => "a number",
            Node::String(_) => "text",
            Node::Sequence(_) => "a list",
            Node::Mapping(_) => "a mapping",
        }
    }
}

/// Reads a file. Duplicate and merge keys stay in the tree as they are written, so that they are faults beside others;
/// `yes` and `on` are text, as YAML 1.2 has it.
///
/// # Errors
/// What is no YAML, or more of it than a configuration needs: aliases may multiply a file, so what they bring is bounded.
pub(super) fn read(text: &str) -> Result<Spanned<Node>, Fault> {
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_events: 500_000,
            max_nodes: 100_000,
            max_depth: 32,
            max_documents: 1,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: 10_000,
            max_replay_stack_depth: 16,
            max_alias_expansions_per_anchor: 1_000,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        emit_comments: false,
    };
    let node = serde_yaml::from_str_with_options(text, options);
    node.map_err(|error| {
        let error = error.without_snippet();
        let place = error.location().map_or(Place { start: 0, end: 0 }, |location| {
            Place::at_line(text, location.line(), location.column())
        });
        let line = text[..place.start].lines().next_back().unwrap_or_default();
        Fault::new(place, explained(error, line))
    })
}

/// What is wrong with the YAML, and what is most likely meant; `before` stands before it in its line.
fn explained(error: &serde_yaml::Error, before: &str) -> String {
    use serde_yaml::Error as E;
    use serde_yaml::budget::BudgetBreach;
    let too_large = "the file nests or repeats more than a configuration can; write it plainly, without aliases";
    match error {
        E::MultipleDocuments { .. }
        | E::Budget {
            breach: BudgetBreach::Documents { .. },
            ..
        } => "a second document begins here; a configuration is one document, so take the `---` out".to_owned(),
        E::Budget { .. }
        | E::AliasReplayCounterOverflow { .. }
        | E::AliasReplayLimitExceeded { .. }
        | E::AliasExpansionLimitExceeded { .. }
        | E::AliasReplayStackDepthExceeded { .. } => too_large.to_owned(),
        E::AliasError { error, .. } => explained(error, before),
        E::RecursiveReferencesRequireWeakTypes { .. } => "an alias stands within what it repeats".to_owned(),
        E::UnknownAnchor { .. } => {
            "a word that begins with `*` repeats an anchor, and there is none of that name; put quotes around a glob, like \
             `\"*\"`"
                .to_owned()
        }
        E::UnsupportedTag { .. } => {
            "a word that begins with `!` is a tag, which has no meaning here; take it out, or put quotes around a text that \
             begins with it"
                .to_owned()
        }
        E::NullIntoString { .. } => "there is no key before the `:`".to_owned(),
        E::Unexpected { .. } => "a key must be a word, not a list or a mapping".to_owned(),
        error => {
            let reason = serde_yaml::UserMessageFormatter.format_message(error).into_owned();
            let reason = reason.trim_end_matches('.');
            if reason.contains("recursion limit") {
                return too_large.to_owned();
            }
            let is_cut_off = reason.contains("did not find expected key") && before.trim_end().ends_with([']', '}', '"', '\'']);
            let hint = if is_cut_off {
                Some("put quotes around the whole value")
            } else {
                hint(reason)
            };
            match hint {
                Some(hint) => format!("not YAML: {reason}; {hint}"),
                None => format!("not YAML: {reason}"),
            }
        }
    }
}

/// What is usually behind a complaint of the parser.
fn hint(reason: &str) -> Option<&'static str> {
    const HINTS: [(&str, &str); 9] = [
        ("unclosed bracket", "close it, or put quotes around text that has it"),
        ("unclosed quote", "put the same quote at the end of the text"),
        ("tab", "indent with spaces"),
        (
            "mapping values are not allowed",
            "check the indentation and the `:` of the line above, and put quotes around a value that has `: ` in it",
        ),
        ("illegal placement of ':'", "check that the brackets above are closed"),
        ("block sequence entries are not allowed", "put quotes around `-`"),
        (
            "unexpected character",
            "put quotes around a value that begins with such a character",
        ),
        (
            "did not find expected key",
            "check the indentation, and that quotes and brackets are in pairs",
        ),
        ("expected ':'", "a key needs a `:` and a space behind it"),
    ];
    HINTS
        .iter()
        .find(|(complaint, _)| reason.contains(complaint))
        .map(|(_, hint)| *hint)
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

/// The whole number that a float is, as in JSON Schema: `1.0` is 1. Not where the float itself is not exact.
fn whole(value: f64) -> Option<i128> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let is_whole = value.fract() == 0.0 && value.abs() <= EXACT;
    is_whole.then(|| format!("{value:.0}").parse().ok()).flatten()
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Node, E> {
        Ok(Node::Integer(value))
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Node, E> {
        Ok(i128::try_from(value).map_or(Node::Float, Node::Integer))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node, E> {
        Ok(whole(value).map_or(Node::Float, Node::Integer))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::String(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Node, E> {
        Ok(Node::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Mapping(entries))
    }
}
