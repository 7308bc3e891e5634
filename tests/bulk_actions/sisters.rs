//! The same for the other bulk operations: each closes its own caps, by the number that its own answers have.

use qstash_guard::simulator::DEV_TOKEN;
use serde_json::{Value, json};

use crate::support::upstream::answer;
use crate::support::{Answer, Guard, Simulator, Upstream, assert_denied, assert_forwarded, request};
use crate::{UNLIMITED, bearer};

const GUARDED: &str = "  operations: {\"*.bulk_*\": guard}\n";

/// Each with its method, path and ids, and an answer that says three.
const OPERATIONS: [(&str, &str, &str, &str, &str); 6] = [
    (
        "dlq.bulk_delete",
        "DELETE",
        "/v2/dlq",
        "dlqIds",
        r#"{"deleted":3,"cursor":"c"}"#,
    ),
    (
        "dlq.bulk_retry",
        "POST",
        "/v2/dlq/retry",
        "dlqIds",
        r#"{"responses":[{},[{},{}],{}]}"#,
    ),
    (
        "workflows.bulk_cancel",
        "DELETE",
        "/v2/workflows/runs",
        "workflowRunIds",
        r#"{"cancelled":3}"#,
    ),
    (
        "workflows.dlq.bulk_delete",
        "DELETE",
        "/v2/workflows/dlq",
        "dlqIds",
        r#"{"deleted":3}"#,
    ),
    (
        "workflows.dlq.bulk_resume",
        "POST",
        "/v2/workflows/dlq/resume",
        "dlqIds",
        r#"{"workflowRuns":[{},{},{}]}"#,
    ),
    (
        "workflows.dlq.bulk_restart",
        "POST",
        "/v2/workflows/dlq/restart",
        "dlqIds",
        r#"{"workflowRuns":[{},{},{}]}"#,
    ),
];

fn send(guard: &Guard, method: &str, target: &str, body: &str) -> Answer {
    request(guard.address, method, target, &[&bearer()], body.as_bytes())
}

#[test]
fn each_operation_and_kind_closes_itself_alone() {
    let upstream = Upstream::answering(|request| {
        let of = OPERATIONS
            .iter()
            .find(|(_, _, path, ..)| request.target().split('?').next() == Some(*path));
        answer("200 OK", of.map_or(r#"{"cancelled":1}"#, |(.., three)| three))
    });
    let guard = Guard::start(&upstream.url(), &format!("{UNLIMITED}policy:\n{GUARDED}"));
    for (name, method, path, ids, three) in OPERATIONS {
        let filter = |count: u64| send(&guard, method, &format!("{path}?label=a&count={count}"), "");
        let by_body = |listed: &str| send(&guard, method, path, &format!(r#"{{"{ids}":[{listed}]}}"#));
        // Within its bound.
        let before = guard.records().len();
        assert_eq!(filter(3).text(), three);
        let (_, outcome) = assert_forwarded(&guard, before);
        assert_eq!(
            (&outcome["operation"], &outcome["cancelled"]),
            (&json!(name), &json!(3))
        );
        // Over it.
        let before = guard.records().len();
        assert_eq!(filter(2).text(), three, "the client is told what QStash said");
        let records = guard.records().split_off(before);
        let events: Vec<&Value> = records.iter().map(|record| &record["event"]).collect();
        assert_eq!(events, ["intent", "outcome", "cap_overrun"], "{name}");
        assert_eq!(
            (&records[2]["operation"], &records[2]["cancelled"]),
            (&json!(name), &json!(3))
        );
        let closed = |answer: &Answer, before: usize| {
            let record = assert_denied(&guard, before, answer, 403, &["cap_not_honoured"]);
            assert_eq!(record["operation"], name);
            assert!(
                answer.text().contains(&format!("send {ids} in the query")),
                "{answer:?}"
            );
        };
        let (before, requests) = (guard.records().len(), upstream.requests().len());
        closed(&filter(3), before);
        assert_eq!(upstream.requests().len(), requests);
        // Ids go on: in a body until that overruns, too, and in the query always.
        assert_eq!(by_body(r#""a","b","c""#).text(), three);
        assert_eq!(by_body(r#""a""#).text(), three);
        let (before, requests) = (guard.records().len(), upstream.requests().len());
        closed(&by_body(r#""a""#), before);
        assert_eq!(upstream.requests().len(), requests);
        assert_eq!(send(&guard, method, &format!("{path}?{ids}=a"), "").text(), three);
    }
    // Each has three: by filter, by ids in the body, and by ids in the query, which closes nothing.
    assert_eq!(guard.records_of("cap_overrun").len(), 3 * OPERATIONS.len());
    let before = guard.records().len();
    assert_eq!(send(&guard, "DELETE", "/v2/messages?label=a&count=1", "").status(), 200);
    assert_forwarded(&guard, before);
    assert_eq!(guard.verify().0, Some(0));
}

/// What is sent again is listed one by one: as many as one call can have ids are still counted.
#[test]
fn a_long_answer_is_counted_to_its_end() {
    let entry = r#"{"messageId":"msg_7YoJxFpwkEy5zBp378JgvD6YBDPBEqkBPje2JGTCEUiASMJQ1FwYdAHMP7hF3n"}"#;
    let body = format!(r#"{{"cursor":"","responses":[{}]}}"#, vec![entry; 1000].join(","));
    assert!(body.len() > 64 * 1024, "longer than the answer to a cancel is read");
    let ids: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    let upstream = Upstream::answering(move |_| answer("201 Created", &body));
    let yaml = format!("{UNLIMITED}policy:\n  bulk_cancel: {{max_message_ids: 1000}}\n{GUARDED}");
    let guard = Guard::start(&upstream.url(), &yaml);
    let answer = send(&guard, "POST", &format!("/v2/dlq/retry?dlqIds={}", ids.join(",")), "");
    assert_eq!(answer.status(), 201);
    let (_, outcome) = assert_forwarded(&guard, 1);
    assert_eq!(
        (&outcome["result"], &outcome["cancelled"]),
        (&json!("completed"), &json!(1000))
    );
}

/// An asynchronous cancel of workflow runs is followed where the Workflow API has it.
#[test]
fn a_bulk_action_of_workflows_is_followed() {
    let upstream = Upstream::answering(|request| match request.target() {
        "/v2/workflows/bulkActions/ba_1" => answer(
            "200 OK",
            r#"{"actionId":"ba_1","state":"FINISHED","total":4,"processed":4}"#,
        ),
        _ => answer("202 Accepted", r#"{"cancelled":4,"actionId":"ba_1"}"#),
    });
    let guard = Guard::start(&upstream.url(), &format!("{UNLIMITED}policy:\n{GUARDED}"));
    let target = "/v2/workflows/runs?label=a&count=4&async=true";
    assert_eq!(send(&guard, "DELETE", target, "").status(), 202);
    let record = guard.wait_for("bulk_action_finished", 1).remove(0);
    assert_eq!(
        (&record["operation"], &record["total"]),
        (&json!("workflows.bulk_cancel"), &json!(4))
    );
}

/// Where the guard would enforce caps, it can for messages alone: QStash honours the counts of the DLQ, and ignores that
/// of workflow runs.
#[test]
fn before_a_qstash_that_ignores_counts_runs_go_by_ids_alone() {
    let upstream = Upstream::answering(|_| answer("200 OK", r#"{"cancelled":1,"deleted":1}"#));
    let start = |more: &str| {
        let yaml = format!(
            "{UNLIMITED}policy:\n{GUARDED}  bulk_cancel: {{cap_enforced_by: guard, on_missing_cap: apply_max_count}}\n{more}"
        );
        Guard::start(&upstream.url(), &yaml)
    };
    let guard = start("");
    let runs = "/v2/workflows/runs";
    for (target, body, codes) in [
        (format!("{runs}?label=a&count=5"), "", &["cap_not_honoured"][..]),
        (runs.to_owned(), r#"{"label":"a","count":5}"#, &["cap_not_honoured"]),
        (format!("{runs}?label=a"), "", &["uncapped_cancel", "cap_not_honoured"]),
        (
            format!("{runs}?count=5"),
            "",
            &["unfiltered_cancel", "cap_not_honoured"],
        ),
        // A missing cap is filled where the guard enforces it: for messages.
        ("/v2/dlq?label=a".to_owned(), "", &["uncapped_cancel"]),
    ] {
        let before = guard.records().len();
        assert_denied(&guard, before, &send(&guard, "DELETE", &target, body), 403, codes);
    }
    upstream.assert_untouched();
    for target in [
        "/v2/workflows/runs?workflowRunIds=a",
        "/v2/dlq?label=a&count=5",
        "/v2/dlq?dlqIds=a",
    ] {
        let before = guard.records().len();
        assert_eq!(send(&guard, "DELETE", target, "").status(), 200);
        assert_forwarded(&guard, before);
    }
    drop(guard);
    // Monitor mode says what would be; and only what a rule lets through without a cap rests on none.
    let guard = start("  mode: monitor\n");
    assert_eq!(
        send(&guard, "DELETE", "/v2/workflows/runs?label=a&count=5", "").status(),
        200
    );
    let (intent, _) = assert_forwarded(&guard, guard.records().len() - 2);
    assert_eq!(
        (&intent["decision"], &intent["code"]),
        (&json!("would_deny"), &json!("cap_not_honoured"))
    );
    drop(guard);
    let guard = start("  rules: [{name: break-glass, operations: [workflows.bulk_cancel], allow: true}]\n");
    let before = guard.records().len();
    let refused = send(&guard, "DELETE", "/v2/workflows/runs?label=a&count=5", "");
    assert_denied(&guard, before, &refused, 403, &["cap_not_honoured"]);
    assert_eq!(send(&guard, "DELETE", "/v2/workflows/runs?label=a", "").status(), 200);
}

/// The whole way, before a QStash that has a DLQ.
#[test]
fn the_dlq_is_cleared_within_bounds_alone() {
    let simulator = Simulator::start(&[]);
    let guard = Guard::start(&simulator.url(), &format!("{UNLIMITED}policy:\n{GUARDED}"));
    let authorization = format!("Authorization: Bearer {DEV_TOKEN}");
    let ask = |method: &str, target: &str, label: &str, body: &str| {
        let label = format!("Upstash-Label: {label}");
        request(
            guard.address,
            method,
            target,
            &[&authorization, &label],
            body.as_bytes(),
        )
    };
    for label in ["a", "a", "a", "b", "b"] {
        assert!(ask("POST", "/v2/publish/https://dead.example/x", label, "").status() < 300);
    }
    let left = || {
        let list = ask("GET", "/v2/dlq", "", "").json();
        list["messages"].as_array().unwrap().len()
    };
    assert_eq!(left(), 5);
    for (method, target, body) in [
        ("DELETE", "/v2/dlq/", ""),
        ("DELETE", "/v2/dlq", r#"{"dlqIds":[]}"#),
        ("DELETE", "/v2/dlq?Label=a&count=1", ""),
        ("POST", "/v2/dlq/retry", "{}"),
    ] {
        assert_eq!(ask(method, target, "", body).status(), 403, "{target} {body}");
        assert_eq!(left(), 5);
    }
    let answer = ask("DELETE", "/v2/dlq?label=a&count=2", "", "").json();
    assert_eq!(answer["deleted"], 2);
    let rest = ask("DELETE", "/v2/dlq?label=a&count=2", "", "").json();
    assert_eq!((&rest["deleted"], left()), (&json!(1), 2));
    let again = ask("POST", "/v2/dlq/retry?label=b&count=1", "", "");
    assert_eq!((again.status(), left()), (201, 1));
    let id = ask("GET", "/v2/dlq", "", "").json()["messages"][0]["dlqId"].clone();
    let by_id = ask("DELETE", "/v2/dlq", "", &json!({"dlqIds": [id]}).to_string()).json();
    assert_eq!((&by_id["deleted"], left()), (&json!(1), 0));
    let took: Vec<u64> = guard
        .records_of("outcome")
        .iter()
        .map(|outcome| outcome["cancelled"].as_u64().unwrap())
        .collect();
    assert_eq!(took, [2, 1, 1, 1]);
    assert!(guard.records_of("cap_overrun").is_empty());
}
