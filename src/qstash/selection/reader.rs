//! Reads what a bulk request selects, strictly.

use super::{Parameters, Selection, TOKEN_PARAMETER, quoted_parameter};
use crate::qstash::body::{self, Field};
use crate::qstash::parameters::Form;
use crate::qstash::query;

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
            self.add_ids(values(value));
            return;
        }
        let Some((known, form)) = self.parameters.form(name) else {
            return self.other(name);
        };
        if form.is_single() {
            if self.seen.iter().any(|seen| seen == name) {
                self.ambiguous(format!("`{name}` is given more than once; give it once."));
                return;
            }
            self.seen.push(name.to_owned());
        }
        self.parameter(known, form, value);
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
                    self.add_ids(ids);
                }
                _ => self.wrong_type(name, "an array of strings"),
            }
            return;
        }
        let Some((known, form)) = self.parameters.form(name) else {
            return self.other(name);
        };
        match (form, field) {
            (Form::Many | Form::Numbers, Field::String(value)) => self.add_several(known, form, &[value]),
            (Form::Many | Form::Numbers, Field::Strings(strings)) | (Form::Numbers, Field::Numbers(strings)) => {
                self.add_several(known, form, &strings);
            }
            (Form::Many, _) => self.wrong_type(name, "a string or an array of strings"),
            (Form::Numbers, Field::Number(number)) => self.add_several(known, form, &[number]),
            (Form::Numbers, _) => self.wrong_type(name, "a whole number or an array of whole numbers"),
            (Form::One | Form::Cursor, Field::String(text)) => {
                self.refuse_control(name, std::slice::from_ref(&text));
                self.parameter(known, form, &text);
            }
            (Form::One | Form::Cursor, _) => self.wrong_type(name, "a string"),
            (Form::Flag | Form::Async, Field::Bool(value)) => {
                self.parameter(known, form, if value { "true" } else { "false" });
            }
            (Form::Flag | Form::Async, _) => self.wrong_type(name, "true or false"),
            (Form::Number, Field::String(number))
            | (Form::Number | Form::Date | Form::Count, Field::Number(number)) => self.parameter(known, form, &number),
            (Form::Number | Form::Date | Form::Count, _) => self.wrong_type(name, "a whole number"),
        }
    }

    fn add_several(&mut self, name: &'static str, form: Form, strings: &[String]) {
        let values = self.body_values(name, strings);
        self.add_filter(name, form, values);
    }

    /// Takes in one text under a name, as its form has it.
    fn parameter(&mut self, name: &'static str, form: Form, value: &str) {
        let blank = is_blank(value);
        match form {
            Form::Many | Form::Numbers => self.add_filter(name, form, values(value)),
            Form::Count => match decimal(value) {
                Some(count) if count > 0 && !value.starts_with('0') => self.reading.selection.count = Some(count),
                _ => self.ambiguous(
                    "`count` is not a decimal number from 1 without leading zeros; write it like count=50.".to_owned(),
                ),
            },
            Form::Async => match value {
                "true" => self.reading.selection.r#async = Some(true),
                "false" => self.reading.selection.r#async = Some(false),
                _ if blank => {}
                _ => self.ambiguous("`async` is neither true nor false; write async=true or leave it out.".to_owned()),
            },
            Form::Cursor => {}
            _ if blank => self.note_empty(name, &[]),
            Form::One if value.contains(',') => {
                self.ambiguous(format!(
                    "`{name}` takes one value, and this has a comma in it; give it one."
                ));
            }
            Form::Flag if value != "true" && value != "false" => self.ambiguous(format!(
                "`{name}` is neither true nor false; write {name}=true or leave it out."
            )),
            Form::One | Form::Flag => self.add_filter(name, form, vec![value.to_owned()]),
            Form::Number => {
                if decimal(value).is_none() {
                    self.ambiguous(format!(
                        "`{name}` is not a decimal number; write unix milliseconds, like {name}=1767225600000."
                    ));
                }
                self.add_filter(name, form, vec![value.to_owned()]);
            }
            Form::Date => match decimal(value) {
                Some(date) if name == "fromDate" => self.reading.selection.from_date = Some(date),
                Some(date) => self.reading.selection.to_date = Some(date),
                None => self.ambiguous(format!(
                    "`{name}` is not a decimal number; write unix milliseconds, like {name}=1767225600000."
                )),
            },
        }
    }

    fn add_ids(&mut self, ids: Vec<String>) {
        self.note_empty(self.parameters.ids, &ids);
        self.reading.selection.ids.extend(ids);
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

    fn add_filter(&mut self, name: &'static str, form: Form, values: Vec<String>) {
        self.note_empty(name, &values);
        if values.is_empty() {
            return;
        }
        if form == Form::Numbers && values.iter().any(|value| decimal(value).is_none()) {
            self.ambiguous(format!("`{name}` takes decimal numbers; write it like {name}=503."));
        }
        let filters = &mut self.reading.selection.filters;
        match filters.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.extend(values),
            None => filters.push((name.to_owned(), values)),
        }
    }

    /// The values of body strings, with the same check for control characters that query values get.
    fn body_values(&mut self, name: &str, strings: &[String]) -> Vec<String> {
        self.refuse_control(name, strings);
        strings.iter().flat_map(|s| values(s)).collect()
    }

    fn refuse_control(&mut self, name: &str, strings: &[String]) {
        if strings.iter().any(|s| s.chars().any(char::is_control)) {
            self.ambiguous(format!("`{name}` has a control character in its value; leave it out."));
        }
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
