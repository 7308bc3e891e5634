//! What a bulk operation would select.

mod reader;

pub use super::parameters::{EXACT_MATCH, FILTERS, MESSAGE_FILTERS, Parameters};
pub use reader::{Reading, read};

/// The query parameter that carries the credential; never part of a selection.
pub const TOKEN_PARAMETER: &str = "qstash_token";

/// What a bulk cancel selects, after reading its query or body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Ids, each as often as it was given.
    pub ids: Vec<String>,
    /// Filters with at least one value, in the order given.
    pub filters: Vec<(String, Vec<String>)>,
    /// Inclusive start, unix milliseconds.
    pub from_date: Option<u64>,
    /// Inclusive end, unix milliseconds.
    pub to_date: Option<u64>,
    /// The cap; a number too large for 64 bits counts as the largest.
    pub count: Option<u64>,
    /// Whether QStash should answer before it is done.
    pub r#async: Option<bool>,
    /// Filters and ids that were named but empty, and so select nothing.
    pub empty: Vec<String>,
    /// Whether there was a body: then all of it stands there.
    pub in_body: bool,
    /// The [`Parameters::extra`] that were given. What they select is not known.
    pub extra: Vec<String>,
}

impl Selection {
    /// The values of a filter; empty where it was not given.
    pub fn filter(&self, name: &str) -> &[String] {
        self.filters
            .iter()
            .find(|(n, _)| n == name)
            .map_or(&[], |(_, values)| values)
    }
}

/// How a selection reaches: the kind that policies and records name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// At least one id.
    Ids,
    /// At least one narrowing filter.
    Filter,
    /// Neither: everything.
    All,
}

impl Kind {
    /// `ids`, `filter` or `all`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Ids => "ids",
            Kind::Filter => "filter",
            Kind::All => "all",
        }
    }
}

/// A name in backticks as people may read it: control characters escaped, cut at 64 characters.
pub fn quoted(name: &str) -> String {
    let mut shown: String = name.chars().take(64).flat_map(char::escape_debug).collect();
    if name.chars().nth(64).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// A parameter's name as a request gives it, [`quoted`]. One longer than any parameter's is told by its length alone: it
/// may be a token that went where a name belongs.
pub fn quoted_parameter(name: &str) -> String {
    match name.chars().count() {
        0..=LONGEST_PARAMETER => quoted(name),
        length => format!("`…` (a name of {length} characters)"),
    }
}

/// The longest name of a parameter that is shown, in characters: QStash's own are shorter, and a longer one may be a
/// token in the wrong place.
pub const LONGEST_PARAMETER: usize = 24;
