//! The other bulk operations in a replay: by their own parameters, as they were decided.

use crate::{UNLIMITED, Written};

/// Before a QStash that honours `count`, here and in the replay, whose upstream is the hosted one.
const HONOURED: &str = "cap_enforced_by: qstash";

const GUARDED: &str = "operations: {\"*.bulk_*\": guard}";

const REQUESTS: [(&str, &str, &str); 10] = [
    ("DELETE", "/v2/dlq?dlqIds=a,b", ""),
    ("DELETE", "/v2/dlq?messageId=a&responseStatus=503&cursor=x&count=5", ""),
    ("DELETE", "/v2/dlq?label=a&count=500", ""),
    ("DELETE", "/v2/dlq?host=a&count=5", ""),
    ("POST", "/v2/dlq/retry", r#"{"label":"a","count":50}"#),
    ("DELETE", "/v2/workflows/runs?workflowUrl=https://a.test/w&count=5", ""),
    ("DELETE", "/v2/workflows/runs?workflowUrl=https://a.test&count=5", ""),
    (
        "DELETE",
        "/v2/workflows/dlq?workflowUrl=https://a.test&workflowUrlExactMatch=true&count=5",
        "",
    ),
    ("POST", "/v2/workflows/dlq/resume?workflowRunId=w&count=5", ""),
    ("POST", "/v2/workflows/dlq/restart", ""),
];

#[test]
fn a_replay_under_the_same_policy_changes_nothing() {
    let yaml = format!("{UNLIMITED}policy: {{{GUARDED}, bulk_cancel: {{{HONOURED}}}}}\n");
    Written::by(&yaml, &REQUESTS).assert_unchanged(&yaml, REQUESTS.len());
}

#[test]
fn a_new_policy_decides_them_anew() {
    let written = Written::by(
        &format!("{UNLIMITED}policy: {{{GUARDED}, bulk_cancel: {{{HONOURED}}}}}\n"),
        &REQUESTS,
    );
    let tighter = format!("{UNLIMITED}policy: {{{GUARDED}, bulk_cancel: {{{HONOURED}, max_count: 20}}}}\n");
    let (code, changes, _) = written.replay(&tighter);
    assert_eq!((code, changes.len()), (Some(6), 1), "{changes:#?}");
    assert_eq!(changes[0]["after"]["code"], "count_over_cap");
    let filters = format!(
        "{UNLIMITED}policy: {{{GUARDED}, bulk_cancel: {{{HONOURED}, allowed_filters: [workflowUrl, label]}}}}\n"
    );
    let (_, changes, _) = written.replay(&filters);
    let codes: Vec<_> = changes.iter().map(|change| change["after"]["code"].clone()).collect();
    // By message and by run; the exact URL is a URL.
    assert_eq!(codes, ["filter_not_allowed", "filter_not_allowed"], "{changes:#?}");
    let wider = format!(
        "{UNLIMITED}policy: {{{GUARDED}, bulk_cancel: {{{HONOURED}, require_filter: false, require_cap: false, max_count: 1000}}}}\n"
    );
    let (_, changes, _) = written.replay(&wider);
    assert_eq!(changes.len(), 3, "{changes:#?}");
    assert!(
        changes.iter().all(|change| change["after"]["decision"] == "allow"),
        "{changes:#?}"
    );
    // What the candidate does not guard passes.
    let (_, changes, _) = written.replay(UNLIMITED);
    assert_eq!(changes.len(), 4, "{changes:#?}");
}

/// A cap that nobody would enforce is the policy's word, and a new policy may say otherwise.
#[test]
fn a_cap_that_nobody_would_enforce_is_decided_anew() {
    let refusing = format!("{UNLIMITED}policy: {{{GUARDED}, bulk_cancel: {{cap_enforced_by: guard}}}}\n");
    let written = Written::by(&refusing, &[("DELETE", "/v2/workflows/runs?label=a&count=5", "")]);
    written.assert_unchanged(&refusing, 1);
    let trusting = format!("{UNLIMITED}policy: {{{GUARDED}, bulk_cancel: {{{HONOURED}}}}}\n");
    let (code, changes, _) = written.replay(&trusting);
    assert_eq!((code, changes.len()), (Some(6), 1), "{changes:#?}");
    assert_eq!(changes[0]["before"]["code"], "cap_not_honoured");
    assert_eq!(changes[0]["after"]["decision"], "allow");
}
