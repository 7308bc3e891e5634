//! The JSON body that older clients select with.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The value of a top-level key, as far as selections tell values apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// `null`, which counts as absent.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as its canonical text.
    Number(String),
    /// A string.
    String(String),
    /// An array of strings alone; an empty array too.
    Strings(Vec<String>),
    /// An array of numbers alone, as their canonical text, and at least one.
    Numbers(Vec<String>),
    /// Anything else.
    Other,
}

/// Reads one JSON object (RFC 8259): its keys in order, **duplicates kept**, since decoders disagree about which of
/// them counts.
///
/// # Errors
/// A sentence for the client, if the body is anything but one JSON object.
pub fn object(body: &[u8]) -> Result<Vec<(String, Field)>, String> {
    serde_json::from_slice::<Object>(body)
        .map(|object| object.0)
        .map_err(|_| "The body is not one JSON object; send one, or put the parameters in the query.".to_owned())
}

struct Object(Vec<(String, Field)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut fields = Vec::new();
        while let Some(entry) = map.next_entry()? {
            fields.push(entry);
        }
        Ok(Object(fields))
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Field, E> {
        Ok(Field::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Field, E> {
        Ok(Field::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Field, E> {
        Ok(Field::Number(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Field, E> {
        Ok(Field::Number(value.to_string()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Field, E> {
        // A fraction, an exponent or more digits than an integer holds: no whole number that all servers read alike.
        Ok(Field::Other)
    }

    fn visit_str<E>(self, value: &str) -> Result<Field, E> {
        Ok(Field::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Field, E> {
        Ok(Field::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Field, A::Error> {
        let mut strings = Some(Vec::new());
        let mut numbers = Some(Vec::new());
        while let Some(item) = seq.next_element::<Field>()? {
            match item {
                Field::String(string) => {
                    numbers = None;
                    if let Some(strings) = &mut strings {
                        strings.push(string);
                    }
                }
                Field::Number(number) => {
                    strings = None;
                    if let Some(numbers) = &mut numbers {
                        numbers.push(number);
                    }
                }
                _ => (strings, numbers) = (None, None),
            }
        }
        Ok(match (strings, numbers) {
            (Some(strings), _) => Field::Strings(strings),
            (None, Some(numbers)) => Field::Numbers(numbers),
            (None, None) => Field::Other,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }
}
