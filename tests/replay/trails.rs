//! Stricter, laxer and the same policy.

use serde_json::{Value, json};

use crate::{UNLIMITED, Written, qstash_guard, redacted};

/// A dozen requests, of which the policy that writes them lets six cancels through.
fn dozen() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        ("DELETE", "/v2/messages?label=nightly&count=50", ""),
        ("DELETE", "/v2/messages?label=nightly&count=5", ""),
        ("DELETE", "/v2/messages?messageIds=a,b,c", ""),
        ("DELETE", "/v2/messages", r#"{"messageIds":["a"]}"#),
        (
            "DELETE",
            "/v2/messages?queueName=q&url=https://u:p@example.com/x&count=7",
            "",
        ),
        (
            "DELETE",
            "/v2/messages?topicName=t&fromDate=1&toDate=2&count=9&async=true",
            "",
        ),
        ("DELETE", "/v2/messages", ""),
        ("DELETE", "/v2/messages?label=nightly", ""),
        ("DELETE", "/v2/messages?label=nightly&count=500", ""),
        ("DELETE", "/v2/messages?labl=nightly&label=a&count=5", ""),
        ("DELETE", "/v2/messages?label=a&count=5&count=6", ""),
        ("DELETE", "/v2/messages", "no JSON"),
        ("DELETE", "/v2/%2e/messages?label=a&count=5", ""),
        ("POST", "/v2/publish/https://example.com/x", "text"),
        ("DELETE", "/v2/messages/msg_1", ""),
    ]
}

/// Those of them that are guarded.
const GUARDED: usize = 13;

#[test]
fn the_same_policy_changes_nothing() {
    let written = Written::by(UNLIMITED, &dozen());
    written.assert_unchanged(UNLIMITED, GUARDED);
}

#[test]
fn a_stricter_policy_refuses_what_passed() {
    let written = Written::by(UNLIMITED, &dozen());
    let stricter = format!(
        "{UNLIMITED}policy: {{bulk_cancel: {{max_count: 20, max_message_ids: 2, allowed_filters: [label, topicName]}}}}"
    );
    let (code, changes, totals) = written.replay(&stricter);
    assert_eq!(code, Some(6));
    let found: Vec<(&Value, &Value, &Value)> = changes
        .iter()
        .map(|change| {
            (
                &change["before"]["decision"],
                &change["after"]["decision"],
                &change["after"]["code"],
            )
        })
        .collect();
    let (allow, deny) = (json!("allow"), json!("deny"));
    let codes = [
        json!("count_over_cap"),
        json!("too_many_message_ids"),
        json!("filter_not_allowed"),
    ];
    let expected: Vec<_> = codes.iter().map(|code| (&allow, &deny, code)).collect();
    assert_eq!(found, expected, "{changes:#?}");
    assert_eq!(
        changes[0]["selection"],
        json!({"kind": "filter", "filters": {"label": ["nightly"]}, "count": 50})
    );
    assert_eq!(
        (&totals["now_refused"], &totals["now_pass"]),
        (&json!(3), &json!(0)),
        "{totals}"
    );
    assert_eq!(totals["unchanged"], GUARDED - 3);
}

#[test]
fn a_laxer_policy_lets_pass_what_was_refused_but_never_what_is_ambiguous() {
    let written = Written::by(UNLIMITED, &dozen());
    let laxer = format!(
        "{UNLIMITED}policy: {{bulk_cancel: {{max_count: 1000, require_cap: false, require_filter: false, extra_parameters: [labl]}}}}"
    );
    let (code, changes, totals) = written.replay(&laxer);
    assert_eq!(code, Some(6));
    let codes: Vec<&str> = changes
        .iter()
        .map(|change| change["before"]["code"].as_str().unwrap())
        .collect();
    let expected = [
        "unfiltered_cancel",
        "uncapped_cancel",
        "count_over_cap",
        "unknown_parameter",
    ];
    assert_eq!(codes, expected, "{changes:#?}");
    assert!(
        changes.iter().all(|change| change["after"]["decision"] == "allow"),
        "{changes:#?}"
    );
    assert_eq!(
        totals["unchanged"],
        GUARDED - 4,
        "ambiguous and unsupported ones stay refused: {totals}"
    );
}

#[test]
fn a_rehearsal_refuses_nothing_and_is_no_change_for_what_passed() {
    let written = Written::by(&format!("{UNLIMITED}policy: {{mode: monitor}}"), &dozen());
    let (code, changes, totals) = written.replay(UNLIMITED);
    assert_eq!(
        (code, changes.len()),
        (Some(6), 7),
        "what would have been denied is: {changes:#?}"
    );
    assert!(
        changes
            .iter()
            .all(|change| change["before"]["decision"] == "would_deny"),
        "{changes:#?}"
    );
    for change in &changes {
        assert_eq!(change["before"]["code"], change["after"]["code"], "{change}");
    }
    assert_eq!(totals["undecided"], json!([]));
    written.assert_unchanged(&format!("{UNLIMITED}policy: {{mode: monitor}}"), GUARDED);
}

#[test]
fn what_cannot_be_told_is_counted_with_its_reason_and_is_no_change() {
    let denied = format!("{UNLIMITED}policy: {{operations: {{messages.bulk_cancel: deny}}}}");
    let requests = [
        ("DELETE", "/v2/messages?label=a&count=5", ""),
        ("DELETE", "/v2/messages", ""),
    ];
    let written = Written::by(&denied, &requests);
    written.assert_unchanged(&denied, 2);
    let (code, changes, totals) = written.replay(UNLIMITED);
    assert_eq!((code, changes.len()), (Some(0), 0), "{totals}");
    let reason = "refused before it was read what they select";
    assert_eq!(totals["undecided"], json!([{"reason": reason, "number": 2}]));
    // Unguarded, it would have passed whatever it selects.
    let allowed = format!("{UNLIMITED}policy: {{operations: {{messages.bulk_cancel: allow}}}}");
    let (code, changes, _) = written.replay(&allowed);
    assert_eq!((code, changes.len()), (Some(6), 2));
}

#[test]
fn a_parameter_that_the_new_policy_does_not_know_is_seen() {
    let yaml = format!("{UNLIMITED}policy: {{bulk_cancel: {{extra_parameters: [shard]}}}}");
    let written = Written::by(&yaml, &[("DELETE", "/v2/messages?label=a&count=5&shard=7", "")]);
    written.assert_unchanged(&yaml, 1);
    let (code, changes, _) = written.replay(UNLIMITED);
    assert_eq!((code, changes.len()), (Some(6), 1));
    assert_eq!(changes[0]["after"]["code"], "unknown_parameter", "{changes:?}");
}

#[test]
fn credentials_are_refused_again_or_not_known() {
    let yaml = format!("{UNLIMITED}credentials: {{query_token: reject}}");
    let requests = [
        (
            "DELETE",
            "/v2/messages?label=a&count=5&qstash_token=secret-of-the-tests",
            "",
        ),
        (
            "DELETE",
            "/v2/messages?label=a&count=5&qstash_token=one&qstash_token=two",
            "",
        ),
    ];
    let written = Written::by(&yaml, &requests);
    let (code, changes, totals) = written.replay(UNLIMITED);
    assert_eq!(
        (code, changes.len(), &totals["unchanged"]),
        (Some(0), 0, &json!(1)),
        "{totals}"
    );
    assert_eq!(
        totals["undecided"][0]["reason"],
        "refused for their credential, which is not recorded"
    );
}

#[test]
fn the_report_as_people_read_it() {
    let written = Written::by(UNLIMITED, &dozen());
    let yaml =
        format!("{UNLIMITED}policy: {{bulk_cancel: {{max_count: 20, require_filter: false, require_cap: false}}}}");
    written.folder.write("stricter.yaml", &yaml);
    let arguments = ["audit", "replay", "--config", "stricter.yaml", "audit/audit.jsonl"];
    let said = qstash_guard(&arguments, written.folder.path());
    assert_eq!((said.code, said.err.as_str()), (Some(6), ""));
    insta::assert_snapshot!("report", redacted(&said.out));
}

#[test]
fn errors_are_said_and_exit_with_1() {
    let written = Written::by(UNLIMITED, &[]);
    let folder = written.folder.path();
    written.folder.write("faulty.yaml", "polcy: {}\n");
    for (config, path, expected) in [
        ("faulty.yaml", "audit", "`polcy` is not a key of the configuration"),
        ("missing.yaml", "audit", "there is no file missing.yaml"),
        ("guard.yaml", "nowhere", "cannot read the audit trail: nowhere"),
    ] {
        let said = qstash_guard(&["audit", "replay", "--config", config, path], folder);
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{config} {path}");
        assert!(said.err.contains(expected), "{}", said.err);
    }
}

#[test]
fn a_line_that_is_no_record_is_named_and_left_out() {
    let written = Written::by(UNLIMITED, &[("DELETE", "/v2/messages", "")]);
    let path = written.folder.path().join("audit/audit.jsonl");
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("{\"seq\":");
    std::fs::write(&path, text).unwrap();
    let said = qstash_guard(
        &["audit", "replay", "--config", "guard.yaml", "audit"],
        written.folder.path(),
    );
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.starts_with("audit/audit.jsonl:"), "{}", said.err);
    assert!(said.out.contains("      1  as before"), "{}", said.out);
}
