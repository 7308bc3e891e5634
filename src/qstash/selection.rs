//! What a bulk operation would select.

use super::body::{self, Field};
use super::query;

/// The parameters of a bulk operation, by what they do to its reach (QStash API: Bulk cancel messages).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// The parameter that lists ids; filters beside it are ignored by QStash.
    pub ids: &'static str,
    /// Filters, multi-valued; which of them narrow a cancel is the policy's word.
    pub filters: &'static [&'static str],
    /// Names that QStash has added since: let through, narrow nothing.
    pub extra: Vec<String>,
}

/// The filters of `DELETE /v2/messages`. `callerIp` and `callerIP` are filters that narrow nothing by default.
pub const MESSAGE_FILTERS: &[&str] = &[
    "topicName",
    "queueName",
    "url",
    "host",
    "path",
    "label",
    "flowControlKey",
    "scheduleId",
    "callerIp",
    "callerIP",
];

impl Parameters {
    /// Those of `DELETE /v2/messages`.
    pub fn messages(extra: Vec<String>) -> Self {
        Parameters {
            ids: "messageIds",
            filters: MESSAGE_FILTERS,
            extra,
        }
    }

    /// Every name that is known, in the order of the documentation.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.ids)
            .chain(self.filters.iter().copied())
            .chain(SINGLE_VALUED.iter().copied())
            .chain(self.extra.iter().map(String::as_str))
    }
}

/// The parameters that may be given once.
pub const SINGLE_VALUED: &[&str] = &["fromDate", "toDate", "count", "async"];

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

/// What reading a bulk request brought: the selection, and everything wrong with the request's form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What it selects, as far as it could be read.
    pub selection: Selection,
    /// Why it can be read in more than one way; one sentence each, none echoing a value.
    pub ambiguities: Vec<String>,
    /// Parameter names that QStash does not know, and so ignores.
    pub unknown: Vec<String>,
    /// Why the body is none that can be read at all; alone, where it is there.
    pub unsupported: Option<String>,
}

/// Reads a bulk request: its raw query (without `?`), its whole body, and whether the body has a Content-Encoding.
///
/// Names are exact and judged after decoding. All parameters stand in one place. Nothing is repaired or dropped: what
/// could be read in two ways is named in [`Reading::ambiguities`].
pub fn read(parameters: &Parameters, query: Option<&[u8]>, body: &[u8], content_encoded: bool) -> Reading {
    let mut reader = Reader {
        parameters,
        reading: Reading::default(),
        seen: Vec::new(),
    };
    let mut pairs_in_query = false;
    for pair in query::pairs(query.unwrap_or_default()) {
        match pair {
            Ok(pair) if pair.name == TOKEN_PARAMETER => {}
            Ok(pair) => {
                pairs_in_query = true;
                reader.pair(&pair.name, &pair.value);
            }
            Err(fault) => {
                pairs_in_query = true;
                reader.ambiguous(fault.message().to_owned());
            }
        }
    }
    reader.reading.selection.in_body = !body.is_empty();
    if !body.is_empty() {
        if pairs_in_query {
            reader.ambiguous(
                "Parameters stand in the query and there is a body too, and which of them counts is not documented; \
                 put all of them in the query and send no body."
                    .to_owned(),
            );
        }
        if content_encoded {
            reader.reading.unsupported =
                Some("The body has a Content-Encoding; send it plain, or put the parameters in the query.".to_owned());
            return reader.reading;
        }
        match body::object(body) {
            Ok(fields) => fields.into_iter().for_each(|(name, field)| reader.field(&name, field)),
            Err(fault) => {
                reader.reading.unsupported = Some(fault);
                return reader.reading;
            }
        }
    }
    reader.finish()
}

struct Reader<'p> {
    parameters: &'p Parameters,
    reading: Reading,
    /// Single-valued parameters and body keys met so far.
    seen: Vec<String>,
}

impl Reader<'_> {
    fn pair(&mut self, name: &str, value: &str) {
        if name == self.parameters.ids {
            let ids = values(value);
            self.note_empty(name, &ids);
            self.reading.selection.ids.extend(ids);
        } else if let Some(filter) = self.filter(name) {
            self.add_filter(filter, values(value));
        } else if SINGLE_VALUED.contains(&name) {
            if self.seen.iter().any(|seen| seen == name) {
                self.ambiguous(format!("`{name}` is given more than once; give it once."));
            } else {
                self.seen.push(name.to_owned());
                self.single(name, value);
            }
        } else {
            self.other(name);
        }
    }

    fn field(&mut self, name: &str, field: Field) {
        if self.seen.iter().any(|seen| seen == name) {
            self.ambiguous(format!(
                "The body has the key {} twice; give it once.",
                quoted_parameter(name)
            ));
            return;
        }
        self.seen.push(name.to_owned());
        if let Field::Null = field {
            if !self.parameters.names().any(|known| known == name) {
                self.unknown(name);
            }
            return;
        }
        if name == self.parameters.ids {
            match field {
                Field::Strings(strings) => {
                    let ids = self.body_values(name, &strings);
                    self.note_empty(name, &ids);
                    self.reading.selection.ids.extend(ids);
                }
                _ => self.wrong_type(name, "an array of strings"),
            }
        } else if let Some(filter) = self.filter(name) {
            match field {
                Field::String(value) => {
                    let values = self.body_values(name, &[value]);
                    self.add_filter(filter, values);
                }
                Field::Strings(strings) => {
                    let values = self.body_values(name, &strings);
                    self.add_filter(filter, values);
                }
                _ => self.wrong_type(name, "a string or an array of strings"),
            }
        } else if name == "async" {
            match field {
                Field::Bool(value) => self.reading.selection.r#async = Some(value),
                _ => self.wrong_type(name, "true or false"),
            }
        } else if SINGLE_VALUED.contains(&name) {
            match field {
                Field::Number(number) => self.single(name, &number),
                _ => self.wrong_type(name, "a whole number"),
            }
        } else {
            self.other(name);
        }
    }

    fn single(&mut self, name: &str, value: &str) {
        let blank = is_blank(value);
        match name {
            "count" => match decimal(value) {
                Some(count) if count > 0 && !value.starts_with('0') => self.reading.selection.count = Some(count),
                _ => self.ambiguous(
                    "`count` is not a decimal number from 1 without leading zeros; write it like count=50.".to_owned(),
                ),
            },
            "async" => match value {
                "true" => self.reading.selection.r#async = Some(true),
                "false" => self.reading.selection.r#async = Some(false),
                _ if blank => {}
                _ => self.ambiguous("`async` is neither true nor false; write async=true or leave it out.".to_owned()),
            },
            _ if blank => self.reading.selection.empty.push(name.to_owned()),
            _ => match decimal(value) {
                Some(date) if name == "fromDate" => self.reading.selection.from_date = Some(date),
                Some(date) => self.reading.selection.to_date = Some(date),
                None => self.ambiguous(format!(
                    "`{name}` is not a decimal number; write unix milliseconds, like {name}=1767225600000."
                )),
            },
        }
    }

    fn finish(mut self) -> Reading {
        let selection = &mut self.reading.selection;
        let (ids, filters) = (&selection.ids, &selection.filters);
        selection.empty.retain(|name| {
            if name == self.parameters.ids {
                ids.is_empty()
            } else {
                filters.iter().all(|(filter, _)| filter != name)
            }
        });
        let selection = &self.reading.selection;
        let filters = !selection.filters.is_empty() || selection.from_date.is_some() || selection.to_date.is_some();
        let reversed = selection
            .from_date
            .zip(selection.to_date)
            .is_some_and(|(from, to)| from > to);
        if !selection.ids.is_empty() && filters {
            self.ambiguous(format!(
                "`{}` stands beside filters, which QStash would ignore; send the ids alone, or the filters alone.",
                self.parameters.ids
            ));
        }
        if reversed {
            self.ambiguous("`fromDate` is later than `toDate`; put the earlier one first.".to_owned());
        }
        self.reading
    }

    fn filter(&self, name: &str) -> Option<&'static str> {
        self.parameters.filters.iter().copied().find(|filter| *filter == name)
    }

    fn add_filter(&mut self, name: &'static str, values: Vec<String>) {
        self.note_empty(name, &values);
        if values.is_empty() {
            return;
        }
        let filters = &mut self.reading.selection.filters;
        match filters.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.extend(values),
            None => filters.push((name.to_owned(), values)),
        }
    }

    /// The values of body strings, with the same check for control characters that query values get.
    fn body_values(&mut self, name: &str, strings: &[String]) -> Vec<String> {
        if strings.iter().any(|s| s.chars().any(char::is_control)) {
            self.ambiguous(format!("`{name}` has a control character in its value; leave it out."));
        }
        strings.iter().flat_map(|s| values(s)).collect()
    }

    fn note_empty(&mut self, name: &str, values: &[String]) {
        let empty = &mut self.reading.selection.empty;
        if values.is_empty() && !empty.iter().any(|known| known == name) {
            empty.push(name.to_owned());
        }
    }

    fn wrong_type(&mut self, name: &str, right: &str) {
        self.ambiguous(format!("In the body, `{name}` must be {right}."));
    }

    fn unknown(&mut self, name: &str) {
        if !self.reading.unknown.iter().any(|known| known == name) {
            self.reading.unknown.push(name.to_owned());
        }
    }

    fn other(&mut self, name: &str) {
        let extra = &mut self.reading.selection.extra;
        if !self.parameters.extra.iter().any(|known| known == name) {
            self.unknown(name);
        } else if !extra.iter().any(|known| known == name) {
            extra.push(name.to_owned());
        }
    }

    fn ambiguous(&mut self, message: String) {
        if !self.reading.ambiguities.contains(&message) {
            self.reading.ambiguities.push(message);
        }
    }
}

/// The comma-separated values of one string, blank ones left out.
fn values(list: &str) -> Vec<String> {
    list.split(',')
        .filter(|value| !is_blank(value))
        .map(str::to_owned)
        .collect()
}

fn is_blank(value: &str) -> bool {
    value.chars().all(char::is_whitespace)
}

/// A number of decimal digits alone; one beyond 64 bits counts as the largest.
fn decimal(value: &str) -> Option<u64> {
    (!value.is_empty() && value.bytes().all(|b| b.is_ascii_digit())).then(|| value.parse().unwrap_or(u64::MAX))
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
