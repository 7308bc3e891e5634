//! `explain` with rules.

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::Folder;
use crate::with_rules;

const RULES: &str = r#"
- {name: other, operations: [queues.delete], deny: Keep them.}
- {name: over, deny: x, expires: 2026-01-01T00:00:00Z}
- {name: billing, callers: [billing-*], deny: Not billing.}
- {name: large, when: 'cancel.count != null && cancel.count > 50', deny: Ask ops for more than 50.}
- {name: fails, mode: monitor, when: 'size(cancel.ids) == 2 && cancel.ids[9] == "x"', deny: x}
- {name: stricter, mode: monitor, bulk_cancel: {max_count: 5}}
- {name: ids, when: cancel.kind == "ids", allow: true}
- {name: narrow, bulk_cancel: {allowed_filters: [label]}}
- {name: never, deny: It is not reached.}"#;

fn explain(arguments: &[&str]) -> Output {
    let folder = Folder::new();
    let config = folder.write("guard.yaml", &with_rules(RULES.trim()));
    Command::new(env!("CARGO_BIN_EXE_qstash-guard"))
        .arg("explain")
        .args(arguments)
        .arg("--config")
        .arg(config)
        .output()
        .unwrap()
}

fn text(arguments: &[&str]) -> String {
    let output = explain(arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    let policy = text.lines().find(|line| line.starts_with("policy")).unwrap().to_owned();
    let text = text.replace(&policy, "policy     [digest]");
    format!(
        "$ explain {}\n{text}exit {}\n\n",
        arguments.join(" "),
        output.status.code().unwrap()
    )
}

#[test]
fn every_rule_tried_says_why() {
    let told = [
        text(&["--caller", "ops-anna", "/v2/messages?label=x&count=51"]),
        text(&["--caller", "ops-anna", "/v2/messages?label=x&count=20"]),
        text(&["--caller", "ops-anna", "/v2/messages?label=x&count=2"]),
        text(&["--caller", "billing-x", "//v2/Messages/?label=x&count=2"]),
        text(&["-H", "Authorization: Bearer billing-web", "/v2/messages?messageIds=a"]),
        text(&["/v2/messages?messageIds=a,b"]),
        text(&["/v2/messages?host=x&count=2"]),
        text(&["/v2/queues/a"]),
        text(&["/v2/messages;x"]),
        text(&["-X", "GET", "/v2/logs"]),
    ];
    insta::assert_snapshot!(told.concat());
}

#[test]
fn a_body_that_is_too_large_is_not_read_and_comes_behind_what_was_wrong_before() {
    let folder = Folder::new();
    let config = folder.write(
        "guard.yaml",
        "policy: {mode: monitor}\nresources: {max_inspected_body: 1KiB}\n",
    );
    let body = format!("{{\"messageIds\": [\"{}\"], ", "m".repeat(2000));
    let output = Command::new(env!("CARGO_BIN_EXE_qstash-guard"))
        .args(["explain", "--json", "--data", &body, "/v2/x/../messages", "--config"])
        .arg(config)
        .output()
        .unwrap();
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    let codes: Vec<&str> = object["violations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|violation| violation["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["ambiguous_request", "body_too_large"], "{object:#}");
    assert_eq!(object["decision"], "would_deny");
}

#[test]
fn the_same_as_one_object() {
    let output = explain(&["--json", "--caller", "ops-anna", "/v2/messages?label=x&count=20"]);
    assert_eq!(output.status.code(), Some(0));
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["decision"], "would_deny");
    assert_eq!(object["code"], "count_over_cap");
    assert_eq!(object["rule"], "stricter");
    assert_eq!(object["caller"], "ops-anna");
    let rules = object["rules"].as_array().unwrap();
    let tried: Vec<(&str, bool)> = rules
        .iter()
        .map(|rule| (rule["name"].as_str().unwrap(), rule["matched"].as_bool().unwrap()))
        .collect();
    let expected = [
        ("other", false),
        ("over", false),
        ("billing", false),
        ("large", false),
        ("fails", false),
        ("stricter", true),
        ("ids", false),
        ("narrow", true),
    ];
    assert_eq!(tried, expected);
    assert_eq!(rules[5]["mode"], "monitor");
    assert!(rules.iter().all(|rule| !rule["why"].as_str().unwrap().is_empty()));
    let refused = explain(&["--json", "--caller", "billing-x", "/v2/messages?label=x&count=2"]);
    assert_eq!(refused.status.code(), Some(3));
    let object: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(
        (&object["rule"], &object["forwarded_target"]),
        (&"billing".into(), &Value::Null)
    );
}
