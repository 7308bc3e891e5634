//! The parameters of a request, out of its query and its JSON body.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;

use super::{answer::Refusal, query::Query};

/// A query and the members of a body. A name that the query answers is not looked for in the body.
pub(super) struct Fields<'a> {
    query: &'a Query,
    body: Members,
}

impl<'a> Fields<'a> {
    /// A blank body is none; one whose first value is no object or `null` is refused.
    pub(super) fn read(query: &'a Query, body: &[u8]) -> Result<Self, Refusal> {
        let body = if body.trim_ascii().is_empty() {
            Members::default()
        } else {
            Members::parse(body)?
        };
        Ok(Self { query, body })
    }

    /// The values of a multi-valued parameter: repeated, or parted by commas (QStash API: Bulk cancel), without the
    /// empty ones.
    pub(super) fn list(&self, name: &str) -> Result<Vec<String>, Refusal> {
        let mut values = split(self.query.all(name));
        if values.is_empty()
            && let Some(value) = self.body.get(name)
        {
            let texts = match value {
                Value::Array(items) => items
                    .iter()
                    .map(|item| scalar(name, item))
                    .collect::<Result<Vec<_>, _>>()?,
                single => vec![scalar(name, single)?],
            };
            values = split(texts.iter().map(String::as_str));
        }
        Ok(values)
    }

    /// The first value of a parameter, if it isn't empty.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        let from_query = self.query.all(name).next().filter(|value| !value.is_empty());
        match (from_query, self.body.get(name)) {
            (Some(value), _) => Ok(Some(value.to_owned())),
            (None, Some(value)) => Ok(Some(scalar(name, value)?).filter(|value| !value.is_empty())),
            (None, None) => Ok(None),
        }
    }

    /// An integer parameter.
    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let text = self.text(name)?;
        text.map(|text| text.parse().map_err(|_| invalid(name))).transpose()
    }

    /// A positive integer parameter.
    pub(super) fn positive(&self, name: &str) -> Result<Option<usize>, Refusal> {
        let number = self.integer(name)?;
        number
            .map(|number| {
                usize::try_from(number)
                    .ok()
                    .filter(|number| *number > 0)
                    .ok_or_else(|| invalid(name))
            })
            .transpose()
    }

    /// A boolean, true for what Go's `strconv.ParseBool` takes as true.
    pub(super) fn flag(&self, name: &str) -> bool {
        let text = self.text(name).ok().flatten();
        text.is_some_and(|text| matches!(text.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"))
    }
}

/// The members of a JSON object in order, duplicates kept.
#[derive(Default)]
pub(super) struct Members(Vec<(String, Value)>);

impl Members {
    pub(super) fn parse(text: &[u8]) -> Result<Self, Refusal> {
        // Not `serde_json::from_slice`, which refuses what follows: Go's `json.Decoder` stops after the first value.
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        Option::<Self>::deserialize(&mut deserializer)
            .map(Option::unwrap_or_default)
            .map_err(|_| Refusal::bad_request("invalid request body"))
    }

    /// The last member of that name in any case, unless it is `null`.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        let name = fold(name);
        self.0
            .iter()
            .rev()
            .find(|(key, value)| !value.is_null() && fold(key) == name)
            .map(|(_, value)| value)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

/// Letter case as `encoding/json` folds it: ASCII, and the two letters beyond ASCII that fold into it.
fn fold(name: &str) -> String {
    name.chars()
        .map(|letter| match letter {
            'ſ' => 's',
            '\u{212a}' => 'k',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}

fn split<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let values = texts.flat_map(|text| text.split(','));
    values.filter(|value| !value.is_empty()).map(str::to_owned).collect()
}

fn scalar(name: &str, value: &Value) -> Result<String, Refusal> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(invalid(name)),
    }
}

fn invalid(name: &str) -> Refusal {
    Refusal::bad_request(format!("invalid {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(query: &str, body: &str) -> Option<Vec<String>> {
        let query = Query::parse(query);
        Fields::read(&query, body.as_bytes())
            .and_then(|fields| fields.list("label"))
            .ok()
    }

    #[test]
    fn bodies_are_read_as_go_reads_them() {
        for (body, expected) in [
            (r#"{"label":"a"}"#, Some(vec!["a"])),
            (r#"{"LABEL":["a","b"]}"#, Some(vec!["a", "b"])),
            (r#"{"label":"a","Label":"b","label":"c"}"#, Some(vec!["c"])),
            (r#"{"label":"a","label":null}"#, Some(vec!["a"])),
            (r#"{"label":[]}"#, Some(vec![])),
            (r#"{"label":"a"} trailing"#, Some(vec!["a"])),
            ("null", Some(vec![])),
            ("  ", Some(vec![])),
            ("[]", None),
            (r#"{"label":{}}"#, None),
            (r#"{"label""#, None),
        ] {
            let expected = expected.map(|values| values.into_iter().map(str::to_owned).collect());
            assert_eq!(labels("", body), expected, "{body}");
        }
    }

    #[test]
    fn a_query_goes_before_a_body_and_commas_part_values() {
        assert_eq!(
            labels("label=a,,b", r#"{"label":"c"}"#),
            Some(vec!["a".into(), "b".into()])
        );
        assert_eq!(
            labels("label=", r#"{"label":"c,d"}"#),
            Some(vec!["c".into(), "d".into()])
        );
    }
}
