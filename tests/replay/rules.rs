//! Rules in a replay: their times, callers, and what records hold in part.

use serde_json::json;

use crate::{UNLIMITED, Written};

/// The SHA-256 of the tests' token.
fn hash() -> String {
    qstash_guard::qstash::credential::TokenHash::of(b"secret-of-the-tests").to_hex()
}

fn named(rules: &str) -> String {
    format!(
        "{UNLIMITED}callers: [{{name: billing, token_sha256: {}}}]\npolicy: {{rules: [{rules}]}}\n",
        hash()
    )
}

fn unnamed(rules: &str) -> String {
    format!("{UNLIMITED}policy: {{rules: [{rules}]}}\n")
}

const REQUESTS: [(&str, &str, &str); 3] = [
    ("DELETE", "/v2/messages?label=a&count=5", ""),
    ("DELETE", "/v2/messages?label=a&count=500", ""),
    ("DELETE", "/v2/messages", ""),
];

#[test]
fn rules_decide_as_they_did() {
    let drain = "{name: drain, callers: [billing], when: 'cancel.count != null', bulk_cancel: {max_count: 500}}";
    let written = Written::by(&named(drain), &REQUESTS);
    written.assert_unchanged(&named(drain), 3);
    let (code, changes, _) = written.replay(&named("{name: no, callers: ['bill*'], deny: Ask first.}"));
    assert_eq!((code, changes.len()), (Some(6), 2), "{changes:#?}");
    for change in &changes {
        assert_eq!(change["before"]["rule"], "drain");
        assert_eq!(
            change["after"],
            json!({"decision": "deny", "code": "denied_by_rule", "rule": "no", "limit": null})
        );
    }
}

#[test]
fn a_caller_who_is_recorded_by_fingerprint_gets_its_new_name() {
    let written = Written::by(UNLIMITED, &REQUESTS);
    let rule = "{name: drain, callers: [billing], allow: true}";
    let (code, changes, _) = written.replay(&named(rule));
    assert_eq!((code, changes.len()), (Some(6), 2), "{changes:#?}");
    assert!(
        changes.iter().all(|change| change["after"]["rule"] == "drain"),
        "{changes:#?}"
    );
}

#[test]
fn a_caller_whom_the_new_policy_does_not_name_is_in_doubt_where_rules_ask() {
    let written = Written::by(&named(""), &REQUESTS);
    let (code, changes, totals) = written.replay(&unnamed("{name: drain, callers: ['token:*'], allow: true}"));
    assert_eq!((code, changes.len()), (Some(0), 0), "{changes:#?}");
    assert_eq!(totals["undecided"][0]["number"], 3, "{totals}");
    written.assert_unchanged(
        &unnamed("{name: mondays, when: 'cancel.kind == \"none\"', deny: No.}"),
        3,
    );
}

#[test]
fn a_fingerprint_that_is_not_recorded_is_in_doubt_and_one_that_is_decides() {
    let rule = format!(
        "{{name: one, when: 'caller.fingerprint == \"{}\"', deny: No.}}",
        &hash()[..12]
    );
    let by_name = Written::by(&named(""), &REQUESTS);
    let (code, _, totals) = by_name.replay(&named(&rule));
    assert_eq!(
        (code, &totals["undecided"][0]["number"]),
        (Some(0), &json!(3)),
        "{totals}"
    );
    let by_fingerprint = Written::by(UNLIMITED, &REQUESTS);
    let (code, changes, totals) = by_fingerprint.replay(&unnamed(&rule));
    assert_eq!(
        (code, changes.len(), &totals["undecided"]),
        (Some(6), 1, &json!([])),
        "{totals}"
    );
}

#[test]
fn the_first_ids_of_a_denial_are_enough_unless_a_rule_looks_at_ids() {
    let ids: Vec<String> = (0..150).map(|id| format!("msg_{id}")).collect();
    let target = format!("/v2/messages?messageIds={}", ids.join(","));
    let written = Written::by(UNLIMITED, &[("DELETE", &target, "")]);
    written.assert_unchanged(UNLIMITED, 1);
    let more = "policy: {bulk_cancel: {max_message_ids: 200}";
    let (code, changes, _) = written.replay(&format!("{UNLIMITED}{more}}}"));
    assert_eq!((code, changes.len()), (Some(6), 1));
    assert_eq!(changes[0]["selection"]["ids_total"], 150);
    let looks = "{name: odd, when: 'cancel.ids.exists(id, id == \"msg_149\")', deny: No.}";
    let (code, changes, totals) = written.replay(&format!("{UNLIMITED}{more}, rules: [{looks}]}}"));
    assert_eq!((code, changes.len()), (Some(0), 0), "{totals}");
    let reason = "a rule looks at ids, of which a denial records the first 100";
    assert_eq!(totals["undecided"], json!([{"reason": reason, "number": 1}]));
    let escaped = looks.replace("cancel.ids", r#"cancel["\x69ds"]"#);
    let (code, changes, totals) = written.replay(&format!("{UNLIMITED}{more}, rules: [{escaped}]}}"));
    assert_eq!((code, changes.len()), (Some(0), 0), "{totals}");
    assert_eq!(totals["undecided"], json!([{"reason": reason, "number": 1}]));
    let named_alike = "{name: odd, when: 'caller.name == \"ids\"', deny: No.}";
    let (code, changes, totals) = written.replay(&format!("{UNLIMITED}{more}, rules: [{named_alike}]}}"));
    assert_eq!(
        (code, changes.len(), &totals["undecided"]),
        (Some(6), 1, &json!([])),
        "{totals}"
    );
}

#[test]
fn rules_expire_by_the_recorded_time() {
    let allow = |time: &str| unnamed(&format!("{{name: break-glass, allow: true, expires: {time}}}"));
    let written = Written::by(UNLIMITED, &REQUESTS);
    written.assert_unchanged(&allow("2020-01-01T00:00:00Z"), 3);
    let (code, changes, _) = written.replay(&allow("2200-01-01T00:00:00Z"));
    assert_eq!((code, changes.len()), (Some(6), 2));
}
