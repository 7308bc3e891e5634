//! Rules for the other bulk operations.

use qstash_guard::config;
use qstash_guard::policy::Verdict;

use crate::{callers, judged, policy};

fn with(operations: &str, rules: &str) -> String {
    format!(
        "upstream: {{url: \"http://127.0.0.1:9\"}}\n{}policy:\n  operations: {operations}\n  rules:\n{rules}",
        callers()
    )
}

const GUARDED: &str = "{\"*.bulk_*\": guard}";

fn said(yaml: &str, token: &str, line: &str) -> String {
    let judgement = judged(&policy(yaml), token, line, "2026-11-24T10:00:00Z");
    match judgement.verdict {
        Verdict::Allow(_) => "allow".to_owned(),
        Verdict::Deny(refusal) | Verdict::WouldDeny(_, refusal) => refusal.code().as_str().to_owned(),
    }
}

#[test]
fn a_condition_sees_each_operations_own_filters() {
    let yaml = with(
        GUARDED,
        "    - name: own\n      callers: [billing-*]\n      operations: [messages.bulk_cancel, dlq.bulk_delete]\n      when: \
         '!(cancel.kind == \"ids\" || (size(cancel.filters.queueName) > 0 && cancel.filters.queueName.all(q, \
         q.startsWith(\"billing-\"))))'\n      deny: Name billing's queues.\n    - name: no-failures\n      operations: \
         [dlq.bulk_retry]\n      when: '\"503\" in cancel.filters.responseStatus || cancel.filters.messageId == [\"m\"]'\n      \
         deny: Not these.\n    - name: exact\n      operations: [workflows.*]\n      when: \
         'cancel.filters.workflowUrlExactMatch == [\"true\"] && cancel.filters.workflowUrl.exists(u, \
         u.startsWith(\"https://own\"))'\n      bulk_cancel: {max_count: 500}\n"
            .replace("[workflows.*]", "[\"workflows.*bulk_*\"]")
            .as_str(),
    );
    for (token, line, expected) in [
        ("billing-web", "DELETE /v2/dlq?queueName=billing-a&count=5", "allow"),
        (
            "billing-web",
            "DELETE /v2/dlq?queueName=billing-a,b&count=5",
            "denied_by_rule",
        ),
        ("billing-web", "DELETE /v2/dlq?label=a&count=5", "denied_by_rule"),
        ("billing-web", "DELETE /v2/dlq?dlqIds=a", "allow"),
        ("ops-anna", "DELETE /v2/dlq?label=a&count=5", "allow"),
        ("ops-anna", "POST /v2/dlq/retry?label=a&count=5", "allow"),
        (
            "ops-anna",
            "POST /v2/dlq/retry?label=a&responseStatus=500,503&count=5",
            "denied_by_rule",
        ),
        ("ops-anna", "POST /v2/dlq/retry?messageId=m&count=5", "denied_by_rule"),
        (
            "ops-anna",
            "DELETE /v2/workflows/dlq?workflowUrl=https://own.test&workflowUrlExactMatch=true&count=500",
            "allow",
        ),
        (
            "ops-anna",
            "DELETE /v2/workflows/dlq?workflowUrl=https://own.test/a&count=500",
            "count_over_cap",
        ),
        (
            "ops-anna",
            "DELETE /v2/workflows/runs?workflowUrl=https://own.test&workflowUrlExactMatch=true&count=501",
            "count_over_cap",
        ),
    ] {
        assert_eq!(said(&yaml, token, line), expected, "{token} {line}");
    }
}

/// A list is always there: a rule for several operations may name what one of them lacks.
#[test]
fn a_filter_that_an_operation_lacks_is_an_empty_list() {
    let rule = "    - {name: a, operations: [\"*.bulk_*\"], when: 'size(cancel.filters.queueName) == 0 && cancel.kind == \"filter\"', deny: x}\n";
    let yaml = with(GUARDED, rule);
    assert_eq!(said(&yaml, "", "DELETE /v2/dlq?queueName=a&count=5"), "allow");
    assert_eq!(
        said(&yaml, "", "DELETE /v2/workflows/runs?label=a&count=5"),
        "denied_by_rule"
    );
}

#[test]
fn what_no_operation_of_a_rule_has_is_warned_of_or_refused() {
    let warnings = |rule: &str| -> String {
        let loaded = config::compile("guard.yaml", &with(GUARDED, rule), &|_| None).unwrap();
        let shown = loaded
            .warnings
            .iter()
            .map(|warning| warning.render(&loaded.source, false));
        shown.collect()
    };
    let rule = |operations: &str| {
        format!("    - {{name: a, operations: [{operations}], when: 'size(cancel.filters.queueName) > 0', deny: x}}\n")
    };
    assert!(warnings(&rule("workflows.bulk_cancel")).starts_with(
        "warning: no guarded operation of this rule has `cancel.filters.queueName`: always an empty list"
    ));
    assert_eq!(warnings(&rule("workflows.bulk_cancel, dlq.bulk_delete")), "");
    let faults = |operations: &str, rule: &str| -> String {
        config::compile("guard.yaml", &with(operations, rule), &|_| None)
            .unwrap_err()
            .render(false)
    };
    let own = "    - {name: a, operations: [dlq.bulk_delete], bulk_cancel: {narrowing_filters: [label]}}\n";
    assert!(faults(GUARDED, own).contains("narrowing_filters are of messages.bulk_cancel"));
    assert!(faults("{}", own).contains("dlq.bulk_delete is not guarded"));
    // What a trial over a sample of the operation raises.
    let raises =
        "    - {name: a, operations: [dlq.bulk_retry], when: 'cancel.filters.messageId[0] == \"x\"', deny: x}\n";
    assert!(faults(GUARDED, raises).contains("the condition fails for dlq.bulk_retry of kind"));
}

/// `explain` reads them as the guard does.
#[test]
fn they_are_explained() {
    let folder = crate::support::Folder::new();
    let config = folder.write(
        "guard.yaml",
        &with(GUARDED, "    - {name: a, callers: [ops-*], allow: true}\n"),
    );
    let explain = |method: &str, target: &str| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_qstash-guard"))
            .args(["explain", "--json", "-X", method, target, "--config"])
            .arg(&config)
            .output()
            .unwrap();
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), said)
    };
    let (code, said) = explain("DELETE", "/v2/workflows/runs?workflowUrl=https://a.test&count=5");
    assert_eq!((code, &said["code"]), (Some(3), &"unfiltered_cancel".into()));
    assert_eq!(said["operation"], "workflows.bulk_cancel");
    assert_eq!(said["selection"]["kind"], "all");
    let target = "/v2/dlq/retry?label=a&count=5";
    let (code, said) = explain("POST", target);
    assert_eq!((code, &said["decision"]), (Some(0), &"allow".into()), "{said}");
    assert_eq!(said["forwarded_target"], target);
    assert_eq!(said["selection"]["filters"], serde_json::json!({"label": ["a"]}));
}
