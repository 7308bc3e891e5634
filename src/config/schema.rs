//! The JSON Schema of the configuration, made from its keys and the shipped file.

mod pattern;

use serde_json::{Map, Value, json};

use super::keys::{self, Key, Takes};
use super::locate::BUILT_IN;
use crate::qstash::operation::Operation;
use crate::qstash::parameters::BULK;
use crate::qstash::selection::{Parameters, TOKEN_PARAMETER};

/// What editors read best: <https://json-schema.org/draft-07>.
const DIALECT: &str = "http://json-schema.org/draft-07/schema#";

/// Text in which what begins with `${` is a variable of the environment, with a default or without.
const TEXT: &str = r"^(?:[^$]|\$(?!\{)|\$\{[A-Za-z_][A-Za-z0-9_]*(?::-[^}]*)?\})*$";

/// The same with at least one of them.
const ENVIRONMENT: &str = r"^(?:[^$]|\$(?!\{))*\$\{[A-Za-z_][A-Za-z0-9_]*(?::-[^}]*)?\}(?:[^$]|\$(?!\{)|\$\{[A-Za-z_][A-Za-z0-9_]*(?::-[^}]*)?\})*$";

/// Text in one line that is not blank, without the environment.
const NAME: &str = r"^(?!.*\$\{)(?=.*\S)[^\u0000-\u001f\u007f-\u009f]*$";

/// What a glob for operations is made of: the group of one and a `*` behind it, or a `*` in its group.
fn glob() -> String {
    let mut groups: Vec<&str> = operations()
        .into_iter()
        .filter_map(|name| name.split_once('.').map(|(group, _)| group))
        .collect();
    groups.dedup();
    format!(
        r"^(?:(?:{})\.[a-z_.*]*\*[a-z_.*]*|[a-z_]*\*[a-z_.*]*)$",
        groups.join("|")
    )
}

/// The JSON Schema (draft 07) of a configuration file: what it refuses, [`compile`](super::compile()) refuses. What holds
/// between keys, and what the environment brings, it cannot see.
pub fn schema() -> Value {
    let defaults = serde_yaml::from_str(BUILT_IN).unwrap_or_default();
    let mut definitions = Map::new();
    let root = mapping(&keys::ROOT, &[], &defaults, &mut definitions);
    definitions.insert(
        "environment".to_owned(),
        json!({
            "description": "A value from the environment: ${NAME}, or ${NAME:-default}.",
            "type": "string",
            "pattern": ENVIRONMENT,
        }),
    );
    let mut schema = object(json!({
        "$schema": DIALECT,
        "title": "qstash-guard",
        "description": "The configuration of qstash-guard. A file needs only what it changes; an empty one means the defaults.",
    }));
    schema.extend(root);
    schema.insert("definitions".to_owned(), definitions.into());
    schema.into()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// A mapping; `defaults` are those of its keys.
fn mapping(
    keys: &[Key],
    one_of: &[&str],
    defaults: &Value,
    definitions: &mut Map<String, Value>,
) -> Map<String, Value> {
    let needed: Vec<&str> = keys.iter().filter(|key| key.is_needed).map(|key| key.name).collect();
    let properties: Map<String, Value> = keys
        .iter()
        .map(|key| (key.name.to_owned(), property(key, defaults.get(key.name), definitions)))
        .collect();
    // A section with every key commented out means the defaults.
    let kind = if needed.is_empty() {
        json!(["object", "null"])
    } else {
        json!("object")
    };
    let mut schema = object(json!({"type": kind, "additionalProperties": false, "properties": properties}));
    if !needed.is_empty() {
        schema.insert("required".to_owned(), json!(needed));
    }
    if !one_of.is_empty() {
        let alternatives: Vec<Value> = one_of.iter().map(|name| json!({"required": [name]})).collect();
        schema.insert("oneOf".to_owned(), alternatives.into());
    }
    schema
}

fn property(key: &Key, default: Option<&Value>, definitions: &mut Map<String, Value>) -> Value {
    let mut schema = object(json!({"description": key.about}));
    // The defaults of a section stand at its keys.
    let default_of_keys = match key.takes {
        Takes::Mapping(..) => default,
        _ => None,
    };
    if let Some(default) = default
        && default_of_keys.is_none()
    {
        schema.insert("default".to_owned(), default.clone());
    }
    schema.extend(value(&key.takes, default_of_keys.unwrap_or(&Value::Null), definitions));
    schema.into()
}

/// What a value may be, and the environment in the place of its text.
fn value(takes: &Takes, defaults: &Value, definitions: &mut Map<String, Value>) -> Map<String, Value> {
    let mut alternatives = Vec::new();
    collect(takes, defaults, &mut alternatives, definitions);
    if is_substitutable(takes) {
        alternatives.push(object(json!({"$ref": "#/definitions/environment"})));
    }
    if alternatives.len() > 1 {
        let alternatives: Vec<Value> = alternatives.into_iter().map(Value::Object).collect();
        return object(json!({"anyOf": alternatives}));
    }
    alternatives.pop().unwrap_or_default()
}

/// Whether the environment may stand in the place of the whole; in plain text it is part of the pattern.
fn is_substitutable(takes: &Takes) -> bool {
    match takes {
        Takes::Either(alternatives) => alternatives.iter().any(is_substitutable),
        Takes::Null | Takes::Text | Takes::Treatments | Takes::List(..) | Takes::Mapping(..) | Takes::SomeOf(..) => {
            false
        }
        _ => true,
    }
}

fn collect(
    takes: &Takes,
    defaults: &Value,
    alternatives: &mut Vec<Map<String, Value>>,
    definitions: &mut Map<String, Value>,
) {
    let schema = match takes {
        Takes::Either(either) => {
            for takes in *either {
                collect(takes, defaults, alternatives, definitions);
            }
            return;
        }
        Takes::Mapping(keys, one_of) => return alternatives.push(mapping(keys, one_of, defaults, definitions)),
        Takes::SomeOf(keys) => {
            let mut schema = mapping(keys, &[], defaults, definitions);
            schema.insert("type".to_owned(), json!("object"));
            schema.insert("minProperties".to_owned(), json!(1));
            return alternatives.push(schema);
        }
        Takes::List(items, length) => list(&value(items, &Value::Null, definitions), *length.start(), *length.end()),
        Takes::Treatments => treatments(definitions),
        Takes::Null => json!({"type": "null"}),
        Takes::Boolean => json!({"type": "boolean"}),
        Takes::True => json!({"const": true}),
        Takes::Whole(range) => whole(*range.start(), *range.end()),
        Takes::Word(words) => json!({"type": "string", "enum": words}),
        Takes::Text => defined(
            "text",
            // A number or `true` is as good a text as others, also where it is not in quotes.
            json!({"type": ["string", "number", "boolean"], "minLength": 1, "pattern": TEXT}),
            definitions,
        ),
        Takes::Name(longest) => {
            json!({"type": ["string", "number", "boolean"], "maxLength": longest, "pattern": NAME})
        }
        Takes::NewParameter => {
            let known = Parameters::messages(Vec::new());
            let known: Vec<&str> = known.names().chain([TOKEN_PARAMETER]).collect();
            json!({"type": ["string", "number", "boolean"], "pattern": NAME, "not": {"enum": known}})
        }
        Takes::Form(pattern) => json!({"type": "string", "pattern": pattern}),
        Takes::Operation => defined(
            "operation",
            json!({
                "description": "The name of an operation, or a glob in which * stands for any text.",
                "anyOf": [
                    {"type": "string", "enum": operations()},
                    {"type": "string", "pattern": glob()},
                ],
            }),
            definitions,
        ),
        Takes::Duration(range) => named(&pattern::duration(range), definitions),
        Takes::Size(range) => named(&pattern::size(range), definitions),
        Takes::Rate => named(&pattern::rate(), definitions),
        Takes::Address => named(&pattern::address(), definitions),
    };
    alternatives.push(object(schema));
}

fn named(pattern: &pattern::Named, definitions: &mut Map<String, Value>) -> Value {
    let schema = json!({"description": pattern.about, "type": "string", "pattern": pattern.pattern});
    defined(&pattern.name, schema, definitions)
}

/// What many keys take, which stands once under its name.
fn defined(name: &str, schema: Value, definitions: &mut Map<String, Value>) -> Value {
    definitions.insert(name.to_owned(), schema);
    json!({"$ref": format!("#/definitions/{name}")})
}

fn list(items: &Map<String, Value>, least: usize, most: usize) -> Value {
    let mut schema = object(json!({"type": "array", "items": items}));
    if least > 0 {
        schema.insert("minItems".to_owned(), json!(least));
    }
    if most < usize::MAX {
        schema.insert("maxItems".to_owned(), json!(most));
    }
    schema.into()
}

fn whole(least: u64, most: u64) -> Value {
    // What is no more than the range of the number is no bound, and JavaScript has no such number.
    match most {
        u64::MAX => json!({"type": "integer", "minimum": least}),
        _ => json!({"type": "integer", "minimum": least, "maximum": most}),
    }
}

fn operations() -> Vec<&'static str> {
    Operation::ALL.iter().map(|operation| operation.as_str()).collect()
}

fn treatments(definitions: &mut Map<String, Value>) -> Value {
    let mut of = |name, words| {
        let schema = value(&Takes::Word(words), &Value::Null, &mut Map::new());
        defined(name, schema.into(), definitions)
    };
    let guardable = of("treatment-of-guardable", &["allow", "deny", "guard"]);
    let other = of("treatment", &["allow", "deny"]);
    let properties: Map<String, Value> = Operation::ALL
        .iter()
        .map(|operation| {
            let is_guardable = BULK.contains(operation);
            let schema = if is_guardable { &guardable } else { &other };
            (operation.as_str().to_owned(), schema.clone())
        })
        .collect();
    json!({
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": properties,
        "patternProperties": {glob(): guardable},
    })
}
