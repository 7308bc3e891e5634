//! The JSON Schema: it is shipped as the command prints it, and it and the compiler refuse the same.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::*;

static SCHEMA: LazyLock<Value> = LazyLock::new(config::schema);

static VALIDATOR: LazyLock<jsonschema::Validator> =
    LazyLock::new(|| jsonschema::draft7::new(&SCHEMA).expect("a schema"));

/// A file as other programs read it, or why they cannot.
fn read(text: &str) -> Result<Value, String> {
    let options = serde_yaml::options! { strict_booleans: true };
    serde_yaml::from_str_with_options(text, options).map_err(|error| error.to_string())
}

/// Where the schema refuses a file; an error where it is no YAML, or has a key twice.
pub(super) fn refusals(text: &str) -> Result<Vec<String>, String> {
    let file = read(text)?;
    let mut places: Vec<String> = VALIDATOR
        .iter_errors(&file)
        .map(|error| match error.instance_path().to_string() {
            root if root.is_empty() => "/".to_owned(),
            place => place,
        })
        .collect();
    places.sort();
    places.dedup();
    Ok(places)
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config"))
}

#[test]
fn the_shipped_schema_is_what_the_command_prints() {
    let output = Command::new(env!("CARGO_BIN_EXE_qstash-guard"))
        .arg("schema")
        .output()
        .expect("an answer");
    assert!(output.status.success() && output.stderr.is_empty());
    let shipped = std::fs::read(folder().join("guard.schema.json")).expect("the schema");
    assert!(
        output.stdout == shipped,
        "write it anew: qstash-guard schema > config/guard.schema.json"
    );
}

/// Every mapping in a schema takes nothing unknown and explains its keys.
fn check_mappings(schema: &Value, path: &str) {
    match schema {
        Value::Object(entries) => {
            if let Some(Value::Object(properties)) = entries.get("properties") {
                assert_eq!(entries.get("additionalProperties"), Some(&json!(false)), "{path}");
                for (name, property) in properties.iter().filter(|_| !path.ends_with("/operations")) {
                    let about = property["description"].as_str().expect("a description");
                    assert!(about.len() > 10 && about.ends_with('.'), "{path}/{name}: {about}");
                }
            }
            entries
                .iter()
                .for_each(|(name, below)| check_mappings(below, &format!("{path}/{name}")));
        }
        Value::Array(items) => items.iter().for_each(|below| check_mappings(below, path)),
        _ => {}
    }
}

#[test]
fn it_is_a_schema_that_takes_nothing_unknown_and_explains_every_key() {
    assert!(jsonschema::draft7::meta::is_valid(&SCHEMA));
    check_mappings(&SCHEMA, "");
}

#[test]
fn every_shipped_file_is_taken_and_points_editors_to_the_schema() {
    let mut count = 0;
    for entry in std::fs::read_dir(folder()).expect("config/") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_yaml = path.extension().is_some_and(|extension| extension == "yaml");
        if !is_yaml || name.ends_with(".test.yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a file");
        assert_eq!(
            text.lines().next(),
            Some("# yaml-language-server: $schema=guard.schema.json"),
            "{name}"
        );
        assert_eq!(refusals(&text), Ok(vec![]), "{name}");
        count += 1;
    }
    assert!(count > 0);
}

/// A faulty file that the schema takes is one whose fault lies between keys, in the environment or in the text itself.
#[test]
fn what_it_refuses_of_the_faulty_files() {
    let topics = [
        ("keys", keys::files()),
        ("single values", single_values::files()),
        ("policy", policy::files()),
        ("limits", limits::files()),
        ("environment", environment::files()),
        ("secrets", secrets::files()),
        ("syntax", syntax::files()),
        ("rendering", rendering::files()),
    ];
    let mut lines = Vec::new();
    for (topic, files) in topics {
        for (name, text) in files {
            let verdict = match refusals(&text) {
                Ok(places) if places.is_empty() => "taken".to_owned(),
                Ok(places) => format!("refused at {}", places.join(" ")),
                Err(_) => "not read".to_owned(),
            };
            lines.push(format!("{topic}, {}: {verdict}\n", name.replace('_', " ")));
        }
    }
    insta::assert_snapshot!("what_the_schema_refuses", lines.concat());
}

#[test]
fn it_refuses_what_the_compiler_refuses_of_rules_and_globs() {
    let rule = |limits: &str| format!("policy: {{rules: [{{name: a, bulk_cancel: {limits}}}]}}\n");
    let glob = |glob: &str| format!("policy: {{operations: {{\"{glob}\": deny}}}}\n");
    for text in [
        rule("{}"),
        rule(""),
        glob("kyes.*"),
        glob("message.*"),
        glob("workflow.dlq.*"),
        rule("{max_count: 1.5}"),
    ] {
        assert!(
            config::compile("guard.yaml", &text, &super::environment).is_err(),
            "{text}"
        );
        assert!(!refusals(&text).expect("YAML").is_empty(), "{text}");
    }
    for text in [
        rule("{max_count: 1.0}"),
        rule("{max_count: 1e2}"),
        glob("keys.*"),
        glob("*"),
        glob("*.list"),
        glob("workflows.dlq.*"),
        glob("d*.delete"),
    ] {
        valid(&text);
    }
}

/// A key of the schema: where it stands (`*` is the first item of a list), and what it takes.
struct Key {
    path: Vec<String>,
    takes: &'static Value,
}

impl Key {
    /// A file in which the key has a value, and everything around it is in order.
    fn file(&self, value: Value) -> String {
        let file = self.path.iter().enumerate().rev().fold(value, |value, (depth, step)| {
            let around = self.path[..depth].join(".");
            let item = match around.as_str() {
                "rate_limits.*" => json!({
                    "name": "a", "applies_to": ["messages.bulk_cancel"], "per": "caller", "unit": "requests",
                    "rate": "10/min", "burst": 5,
                }),
                "policy.rules.*" if ["allow", "bulk_cancel"].contains(&step.as_str()) => json!({"name": "a"}),
                "policy.rules.*" => json!({"name": "a", "deny": "not today"}),
                "callers.*" if step == "key_sha256" => json!({"name": "a"}),
                "callers.*" => json!({"name": "a", "token_sha256": "0".repeat(64)}),
                "listen.tls" => json!({"certificate": "cert.pem", "private_key": "key.pem"}),
                _ => json!({}),
            };
            if step == "*" {
                return json!([value]);
            }
            let mut item = item;
            item[step.as_str()] = value;
            item
        });
        file.to_string()
    }
}

fn collect_keys(schema: &'static Value, path: &[String], found: &mut Vec<Key>) {
    if let Value::Object(properties) = &schema["properties"] {
        for (name, takes) in properties {
            let path = [path, std::slice::from_ref(name)].concat();
            found.push(Key {
                path: path.clone(),
                takes,
            });
            if path.join(".") != "policy.operations" {
                collect_keys(takes, &path, found);
            }
        }
    }
    if schema["items"].is_object() {
        collect_keys(&schema["items"], &[path, &["*".to_owned()]].concat(), found);
    }
    for alternative in schema["anyOf"].as_array().into_iter().flatten() {
        collect_keys(alternative, path, found);
    }
}

/// Every key of every mapping, each before those within it.
fn every_key() -> Vec<Key> {
    let mut found = Vec::new();
    collect_keys(&SCHEMA, &[], &mut found);
    found
}

/// What the compiler makes of a file: nothing to say of it, its faults, or that it only is not there yet.
fn faults_of(text: &str) -> Option<Vec<String>> {
    let Err(faults) = config::compile("guard.yaml", text, &super::environment) else {
        return Some(vec![]);
    };
    let messages: Vec<String> = faults.iter().map(|fault| fault.message().to_owned()).collect();
    let not_yet = |message: &String| message.contains("in this version");
    (!messages.iter().any(not_yet)).then_some(messages)
}

#[test]
fn the_shipped_file_has_every_key_and_its_default() {
    let shipped = read(BUILT_IN).expect("YAML");
    let mut defaults = Map::new();
    for key in every_key() {
        let path = format!("/{}", key.path.join("/"));
        // What stands in a list, or in a mapping that is not there unless it is written, has no default.
        if path.contains("/*/") || path.starts_with("/listen/tls/") {
            assert_eq!(key.takes.get("default"), None, "{path}");
            continue;
        }
        let value = shipped
            .pointer(&path)
            .unwrap_or_else(|| panic!("{path} is not in config/guard.yaml"));
        if key.takes.get("properties").is_some() && path != "/policy/operations" {
            assert!(value.is_object(), "{path}");
            continue;
        }
        assert_eq!(key.takes.get("default"), Some(value), "{path}");
        let (section, name) = path.rsplit_once('/').expect("a slash");
        let mut at = &mut defaults;
        for step in section.split('/').skip(1) {
            at = at
                .entry(step)
                .or_insert_with(|| json!({}))
                .as_object_mut()
                .expect("a mapping");
        }
        at.insert(name.to_owned(), value.clone());
    }
    let compiled = valid(&Value::Object(defaults).to_string());
    assert_eq!(shown(&compiled), shown(&valid("")));
}

#[test]
fn the_compiler_asks_for_the_same_keys() {
    let parent = |key: Key| key.path[..key.path.len() - 1].to_vec();
    let mut mappings: Vec<Vec<String>> = every_key().into_iter().map(parent).collect();
    mappings.sort();
    mappings.dedup();
    let mut checked = 0;
    for path in mappings {
        let unknown = Key {
            path: [path.as_slice(), &["zzzzzzzz".to_owned()]].concat(),
            takes: &Value::Null,
        };
        let Some(messages) = faults_of(&unknown.file(json!(1))) else {
            continue;
        };
        let listed = messages
            .iter()
            .find_map(|message| message.split("its keys are ").nth(1));
        let listed = listed
            .unwrap_or_else(|| panic!("{path:?}: {messages:?}"))
            .replace(" and ", ", ");
        let mut listed: Vec<&str> = listed.split(", ").collect();
        let mut described: Vec<String> = every_key()
            .into_iter()
            .filter(|key| key.path.len() == path.len() + 1 && key.path.starts_with(&path))
            .filter_map(|key| key.path.last().cloned())
            .collect();
        listed.sort_unstable();
        described.sort_unstable();
        assert_eq!(listed, described, "{path:?}");
        checked += 1;
    }
    assert!(checked >= 12, "{checked}");
}

/// Values of every kind, and those around every bound. Left out is what JSON Schema cannot tell apart: `1.0` from `1`,
/// and numbers beyond 64 bits from those below.
fn values(takes: &Value) -> Vec<Value> {
    let mut values = vec![
        json!(null),
        json!([]),
        json!({}),
        json!([[]]),
        json!([{}]),
        json!({"zzz": 1}),
    ];
    values.extend([
        json!(true),
        json!(false),
        json!(1.5),
        json!(-1),
        json!([1]),
        json!([null]),
    ]);
    values.extend([0_u64, 1, 2, 999, 1000, 1001, 10_000, 1_000_000, 1_000_001, u64::MAX].map(|number| json!(number)));
    let texts = [
        "",
        " ",
        "a",
        "zzz zzz",
        "-",
        "yes",
        "on",
        "true",
        "null",
        "1",
        "1.5",
        "ALL",
        "${",
        "${a b}",
        "a$$b",
        "a${X",
        "\u{7}",
        // Durations.
        "0ms",
        "0s",
        "1ms",
        "01s",
        "10s",
        "74s",
        "75s",
        "74999ms",
        "75000ms",
        "1m",
        "2m",
        "1440m",
        "1441m",
        "24h",
        "25h",
        "0h",
        "86400s",
        "86401s",
        "86400000ms",
        "86400001ms",
        "1d",
        "10 s",
        "-1s",
        "1.5s",
        "1m30s",
        "s",
        "99999999999999999999s",
        // Sizes.
        "0B",
        "1B",
        "512B",
        "8191B",
        "8192B",
        "7KiB",
        "8KiB",
        "1024KiB",
        "1025KiB",
        "1MiB",
        "2MiB",
        "64MiB",
        "65MiB",
        "67108864B",
        "67108865B",
        "1GiB",
        "1024GiB",
        "1025GiB",
        "1099511627776B",
        "1099511627777B",
        "64KB",
        "64kib",
        "64 KiB",
        // Rates.
        "0/s",
        "1/s",
        "10/min",
        "100/h",
        "1000/d",
        "1000000/s",
        "1000001/s",
        "10/m",
        "10/minute",
        "10 / s",
        "/s",
        "1/",
        "01/s",
        // Addresses.
        "127.0.0.1:9000",
        "127.0.0.1",
        "127.0.0.1:0",
        "127.0.0.1:65535",
        "127.0.0.1:65536",
        "127.0.0.01:80",
        "256.0.0.1:80",
        "[::1]:9000",
        "::1:9000",
        "[::1]",
        "localhost:9000",
        ":9000",
        "0.0.0.0:09000",
        // URLs.
        "http://a",
        "https://a:1/b/c/",
        "HTTPS://a",
        "ftp://a",
        "//a",
        "http://",
        "http://a/../b",
        "http://a/./",
        "http://a//b",
        "http://a?b",
        "http://a#b",
        "http://u@a",
        "http://[::1]:80/x",
        "http://a/%41",
        "http://a/b..c",
        "memory",
    ];
    values.extend(texts.map(|text| json!(text)));
    values.extend(texts.map(|text| json!([text])));
    values.push(json!("x".repeat(64)));
    values.push(json!("x".repeat(65)));
    let names = [
        "messages.bulk_cancel",
        "keys.rotate",
        "dlq.*",
        "*",
        "Messages.publish",
        "messages.drop",
        "denied",
        "label",
        "callerIp",
        "fromDate",
    ];
    values.extend(names.map(|name| json!([name])));
    values.push(json!(["messages.publish", "denied"]));
    values.push(json!(["denied", "denied"]));
    for (name, treatment) in [
        ("keys.rotate", "deny"),
        ("messages.bulk_cancel", "guard"),
        ("*", "allow"),
        ("keys.rotate", "dny"),
        ("keys.drop", "deny"),
        ("Keys.*", "deny"),
    ] {
        values.push(json!({name: treatment}));
    }
    let alternatives = takes["anyOf"].as_array().into_iter().flatten();
    values.extend(
        alternatives
            .chain([takes])
            .filter_map(|takes| takes["enum"].as_array())
            .flatten()
            .cloned(),
    );
    values
}

/// Keys whose values have a grammar of their own, or are right or wrong together with other keys: the schema takes more.
const BEYOND_A_SCHEMA: [&str; 8] = [
    "callers",
    "credentials.mode",
    "credentials.token",
    "listen.path_prefix",
    "listen.tls",
    "listen.trusted_proxies",
    "policy.rules",
    "rate_limit_store",
];

#[test]
fn it_and_the_compiler_refuse_the_same_values_of_every_key() {
    let mut differences = Vec::new();
    let (mut taken, mut refused) = (0, 0);
    for key in every_key() {
        for value in values(key.takes) {
            let text = key.file(value);
            let places = refusals(&text).expect("YAML");
            // A value of a feature that is not there yet is described, and not taken.
            let Some(messages) = faults_of(&text) else { continue };
            let takes_more = BEYOND_A_SCHEMA.iter().any(|path| key.path.join(".").starts_with(path));
            if places.is_empty() != messages.is_empty() && !(takes_more && places.is_empty()) {
                differences.push(format!("{text}\n  schema: {places:?}\n  compiler: {messages:?}"));
            }
            *if places.is_empty() { &mut taken } else { &mut refused } += 1;
        }
    }
    assert!(
        differences.is_empty(),
        "{}\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(taken > 300 && refused > 5_000, "{taken} {refused}");
}

/// A default is what the key takes, and no key takes a value of every kind.
#[test]
fn every_key_takes_its_default_and_refuses_another_kind() {
    for key in every_key() {
        if let Some(default) = key.takes.get("default") {
            let text = key.file(default.clone());
            assert_eq!(refusals(&text), Ok(vec![]), "{text}");
            assert_eq!(faults_of(&text), Some(vec![]), "{text}");
        }
        let kinds = [json!("zzz zzz"), json!([["zzz"]]), json!({"zzz": 1})];
        let refused = kinds.map(|value| {
            let text = key.file(value);
            let by_compiler = config::compile("guard.yaml", &text, &super::environment).is_err();
            by_compiler && refusals(&text).is_ok_and(|places| !places.is_empty())
        });
        assert!(
            refused.iter().filter(|refused| **refused).count() >= 2,
            "{:?}",
            key.path
        );
    }
}

#[test]
fn the_environment_may_stand_in_every_scalar() {
    let text = "listen: {address: \"127.0.0.1:${PORT}\", idle_timeout: \"${A:-1s}\", path_prefix: \"${A}\"}\n\
                policy: {mode: \"${A}\", bulk_cancel: {max_count: \"${MAX}\", require_cap: \"${A}\", allowed_filters: \"${A}\"}}\n\
                audit: {path: \"/var/${A}/a.jsonl\", rotate: {max_size: \"${A}MiB\", keep: \"${A}\"}}\n\
                rate_limits: [{name: \"${A}\", applies_to: [\"${A}\"], per: \"${A}\", unit: \"${A}\", rate: \"${A}/min\", burst: \"${A}\"}]\n";
    assert_eq!(refusals(text), Ok(vec![]));
    for text in [
        "listen: {idle_timeout: \"${A\"}",
        "audit: {path: \"${a b}\"}",
        "policy: {operations: \"${A}\"}",
    ] {
        assert!(refusals(text).is_ok_and(|places| !places.is_empty()), "{text}");
    }
}
