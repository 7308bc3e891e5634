//! When the guard enforces a cap, and which.

use std::process::Command;

use serde_json::{Value, json};

use crate::script::{serving, waiting};
use crate::support::{Folder, Guard, Upstream, assert_denied, assert_forwarded, refusal, request};
use crate::{TOKEN, cancelled, delete};

fn guarded(upstream: &Upstream, keys: &str, more: &str) -> Guard {
    let yaml = format!("policy: {{bulk_cancel: {{cap_enforced_by: guard{keys}}}{more}}}\nrate_limits: []\n");
    Guard::start(&upstream.url(), &yaml)
}

#[test]
fn elsewhere_a_cancel_goes_on_unchanged() {
    for keys in [
        "",
        "cap_enforced_by: auto",
        "cap_enforced_by: qstash",
        "on_missing_cap: apply_max_count",
    ] {
        let upstream = Upstream::json(r#"{"cancelled":2}"#);
        let yaml = format!("policy: {{bulk_cancel: {{{keys}}}}}\nrate_limits: []\n");
        let guard = Guard::start(&upstream.url(), &yaml);
        assert_eq!(delete(&guard, "/v2/messages?label=a&count=5").status(), 202, "{keys}");
        assert_eq!(upstream.request().target(), "/v2/messages?label=a&count=5", "{keys}");
        // What the guard does not enforce, it does not fill in either.
        refusal(&delete(&guard, "/v2/messages?label=a"), 403, &["uncapped_cancel"]);
    }
}

#[test]
fn who_leaves_the_cap_to_hosted_qstash_is_warned_at_start() {
    // Nothing is asked of either.
    for (url, enforced_by, warned) in [
        ("https://qstash.upstash.io", "qstash", true),
        ("https://qstash.upstash.io", "auto", false),
        ("http://127.0.0.1:9", "qstash", false),
    ] {
        let guard = Guard::start(
            url,
            &format!("policy: {{bulk_cancel: {{cap_enforced_by: {enforced_by}}}}}\n"),
        );
        let log = guard.log();
        let warning = |line: &str| line.contains("WARN") && line.contains("hosted QStash has ignored `count`");
        assert_eq!(log.lines().any(warning), warned, "{url} {enforced_by}: {log}");
    }
}

#[test]
fn a_missing_cap_becomes_the_largest_one() {
    let upstream = serving(vec![waiting(0..30)]);
    let guard = guarded(
        &upstream,
        ", on_missing_cap: apply_max_count, max_count: 7",
        ", rules: [{name: drain, when: 'cancel.filters.label == [\"b\", \"a\"]', bulk_cancel: {max_count: 9}}]",
    );
    for (target, expected) in [
        ("/v2/messages?label=a", 7),
        ("/v2/messages?label=a&count=3", 3),
        // A rule's limits hold where it decides.
        ("/v2/messages?label=b,a", 9),
        ("/v2/messages?label=b,a&count=8", 8),
    ] {
        let before = guard.records().len();
        let answer = delete(&guard, target);
        assert_eq!(
            (answer.status(), answer.json()),
            (200, json!({"cancelled": expected})),
            "{target}"
        );
        let (intent, _) = assert_forwarded(&guard, before);
        assert_eq!(intent["selection"]["ids_total"], expected, "{target}");
    }
    refusal(
        &delete(&guard, "/v2/messages?label=a&count=8"),
        403,
        &["count_over_cap"],
    );
    refusal(&delete(&guard, "/v2/messages"), 403, &["unfiltered_cancel"]);
}

#[test]
fn a_cancel_of_all_that_may_be_is_capped_too() {
    let upstream = serving(vec![waiting(0..30)]);
    let guard = guarded(&upstream, ", require_filter: false", "");
    assert_eq!(delete(&guard, "/v2/messages?count=4").json(), json!({"cancelled": 4}));
    assert_eq!(cancelled(&upstream).concat().len(), 4);
    assert_eq!(upstream.requests()[0].target(), "/v2/logs?count=100");
}

#[test]
fn without_a_cap_nothing_is_enforced() {
    let upstream = Upstream::json(r#"{"cancelled":2}"#);
    let allowed = ", rules: [{name: break-glass, when: 'cancel.filters.label == [\"fire\"]', allow: true}]";
    for (keys, more, target) in [
        (
            ", require_cap: false, on_missing_cap: apply_max_count",
            "",
            "/v2/messages?label=a",
        ),
        (", on_missing_cap: apply_max_count", allowed, "/v2/messages?label=fire"),
    ] {
        let guard = guarded(&upstream, keys, more);
        let before = upstream.requests().len();
        assert_eq!(delete(&guard, target).status(), 202, "{target}");
        assert_eq!(upstream.requests()[before].line(), format!("DELETE {target} HTTP/1.1"));
    }
}

#[test]
fn a_count_that_a_rule_allows_holds() {
    let upstream = serving(vec![waiting(0..30)]);
    let guard = guarded(&upstream, "", ", rules: [{name: break-glass, allow: true}]");
    assert_eq!(
        delete(&guard, "/v2/messages?label=a&count=20").json(),
        json!({"cancelled": 20})
    );
    assert_eq!(assert_forwarded(&guard, 1).0["rule"], "break-glass");
}

#[test]
fn monitor_mode_enforces_no_cap() {
    let upstream = Upstream::json(r#"{"cancelled":2}"#);
    let guard = guarded(&upstream, "", ", mode: monitor");
    for target in [
        "/v2/messages?label=a&count=5",
        "/v2/messages?label=a",
        "/v2/messages?label=a&count=500",
    ] {
        let before = upstream.requests().len();
        assert_eq!(delete(&guard, target).status(), 202, "{target}");
        assert_eq!(upstream.requests()[before].line(), format!("DELETE {target} HTTP/1.1"));
    }
}

#[test]
fn a_reload_changes_who_enforces() {
    let upstream = serving(vec![waiting(0..3)]);
    let guard = guarded(&upstream, "", "");
    assert_eq!(delete(&guard, "/v2/messages?label=a&count=2").status(), 200);
    guard.folder.write(
        "guard.yaml",
        "policy: {bulk_cancel: {cap_enforced_by: qstash}}\nrate_limits: []\n",
    );
    guard.signal("HUP");
    guard.wait_until("the new policy", || guard.log().contains("policy loaded"));
    let loaded = guard.records_of("policy_loaded");
    assert_ne!(
        loaded[0]["policy"],
        guard.records()[0]["policy"],
        "the digest tells them apart"
    );
    assert_eq!(delete(&guard, "/v2/messages?label=a&count=2").status(), 202);
}

#[test]
fn a_denial_after_the_listing_leaves_one_record() {
    let upstream = serving(vec![waiting(0..3)]);
    let guard = guarded(&upstream, "", "");
    let target = "/v2/messages?flowControlKey=k&count=2";
    let answer = request(guard.address, "DELETE", target, &[TOKEN], b"");
    assert_denied(&guard, 1, &answer, 403, &["filter_not_resolvable"]);
}

/// `explain` with these arguments, under a policy of the hosted service.
fn explained(yaml: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let folder = Folder::new();
    let output = Command::new(env!("CARGO_BIN_EXE_qstash-guard"))
        .args(["explain", "--config"])
        .arg(folder.write("guard.yaml", yaml))
        .args(arguments)
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn explain_says_what_is_listed_and_cancelled() {
    let target = "/v2/messages?label=nightly&host=a.example&toDate=9&count=50";
    let (code, text) = explained("policy:\n", &[target]);
    assert_eq!(code, Some(0));
    let text: Vec<&str> = text.lines().filter(|line| !line.starts_with("policy ")).collect();
    insta::assert_snapshot!(text.join("\n"), @r#"
    request    DELETE /v2/messages?label=nightly&host=a.example&toDate=9&count=50
    judged as  /v2/messages
    operation  messages.bulk_cancel (guarded)
    caller     anonymous
    selects    {"kind":"filter","filters":{"label":["nightly"],"host":["a.example"]},"to_date":9,"count":50}
    lists      GET /v2/logs?count=100&label=nightly
    cancels    DELETE /v2/messages?messageIds=… (50 at most, as the guard enforces the cap)
    decision   allow
    "#);
    let (_, json) = explained("policy:\n", &["--json", target]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["forwarded_target"], "/v2/messages?messageIds=…");
    let (code, text) = explained(
        "policy: {bulk_cancel: {extra_parameters: [region]}}\n",
        &["/v2/messages?label=a&region=eu&count=5"],
    );
    assert_eq!(code, Some(3));
    assert!(text.contains("deny with 403 filter_not_resolvable"), "{text}");
}
