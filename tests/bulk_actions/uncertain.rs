//! What a person should check, with the request to check it.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Folder, Guard, Upstream};
use crate::{UNLIMITED, cancel};

/// A record at this second after a fixed time.
fn record(second: usize, event: &str, request: u32, more: &Value) -> String {
    let mut record = json!({
        "seq": second, "time": format!("2026-11-24T17:15:{second:02}.000042Z"), "event": event, "instance": "guard-0",
        "request_id": format!("01920000-0000-7000-8000-{request:012}"), "caller": "billing", "client": "192.0.2.7",
        "operation": "messages.bulk_cancel",
    });
    let fields = record.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    fields.insert("prev".to_owned(), "0".repeat(64).into());
    record.to_string() + "\n"
}

fn intent(second: usize, request: u32, selection: &Value) -> String {
    record(
        second,
        "intent",
        request,
        &json!({"selection": selection, "decision": "allow"}),
    )
}

fn show(arguments: &[&str], path: &std::path::Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_qstash-guard"))
        .args(["audit", "show"])
        .args(arguments)
        .arg(path)
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn each_record_comes_with_the_request_that_checks_it() {
    let filter = json!({"kind": "filter", "filters": {"label": ["nightly"]}, "count": 50});
    let by_host = json!({"kind": "filter", "filters": {"host": ["example.com"]}, "count": 50});
    let one = json!({"kind": "ids", "ids": ["msg_1"], "ids_total": 1});
    let two = json!({"kind": "ids", "ids": ["msg_1", "msg_2"], "ids_total": 2});
    let uncertain = json!({"result": "uncertain", "upstream_status": 429, "duration_ms": 60000.0});
    let trail = [
        intent(1, 1, &filter),
        intent(2, 2, &by_host),
        intent(3, 3, &one),
        // Never answered for.
        intent(4, 4, &two),
        intent(5, 5, &filter),
        intent(6, 6, &filter),
        record(10, "outcome", 1, &uncertain),
        record(11, "outcome", 2, &uncertain),
        record(
            12,
            "outcome",
            3,
            &json!({"result": "uncertain", "error": "upstream_timeout"}),
        ),
        record(13, "outcome", 5, &json!({"result": "completed", "cancelled": 7})),
        record(
            14,
            "outcome",
            6,
            &json!({"result": "accepted", "cancelled": 7, "action_id": "ba_1"}),
        ),
        record(
            15,
            "bulk_action_finished",
            6,
            &json!({"result": "uncertain", "action_id": "ba_1", "total": 7, "processed": 3,
                    "detail": "not followed to its end, since the guard stopped: it was in progress"}),
        ),
        record(
            16,
            "bulk_action_finished",
            7,
            &json!({"action_id": "ba_2", "total": 7, "processed": 7}),
        ),
    ];
    let folder = Folder::new();
    let path = folder.write("audit.jsonl", &trail.concat());
    insta::assert_snapshot!("uncertain-table", show(&["--uncertain"], &path));

    let lines = show(&["--uncertain", "--json"], &path);
    let shown: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let checks: Vec<&str> = shown.iter().map(|record| record["check"].as_str().unwrap()).collect();
    insta::assert_snapshot!("uncertain-checks", checks.join("\n"));
    for (line, record) in lines.lines().zip(&shown) {
        let whole = line.replace(&format!(r#","check":{}"#, record["check"]), "");
        assert!(trail.contains(&(whole + "\n")), "all else is as it was written: {line}");
    }
    // Without the flag, records are as they are.
    assert_eq!(show(&["--json"], &path), trail.concat());
}

/// A guard that was killed wrote no end, and one with `follow_bulk_actions: false` writes none.
#[test]
fn a_bulk_action_whose_end_is_not_recorded_is_one_to_check() {
    let filter = json!({"kind": "filter", "filters": {"label": ["nightly"]}, "count": 50, "async": true});
    let accepted = |id: &str| json!({"result": "accepted", "upstream_status": 202, "cancelled": 7, "action_id": id});
    let trail = [
        intent(1, 1, &filter),
        intent(2, 2, &filter),
        record(3, "outcome", 1, &accepted("ba_1")),
        record(4, "outcome", 2, &accepted("ba_2")),
        record(
            5,
            "bulk_action_finished",
            2,
            &json!({"action_id": "ba_2", "total": 7, "processed": 7}),
        ),
    ];
    let folder = Folder::new();
    let path = folder.write("audit.jsonl", &trail.concat());
    let shown = show(&["--uncertain"], &path);
    let lines: Vec<&str> = shown.lines().skip(1).collect();
    assert_eq!(lines.len(), 2, "{shown}");
    assert!(
        lines[0].contains("accepted") && lines[0].contains("label=nightly"),
        "{shown}"
    );
    assert_eq!(lines[1], "  check: GET /v2/bulkActions/ba_1");
}

/// Ids that the guard listed for a filter are looked for by that filter.
#[test]
fn what_was_listed_is_looked_for_by_its_filter() {
    let of = |filters: Value| json!({"kind": "filter", "ids": ["msg_1", "msg_2"], "ids_total": 2, "filters": filters});
    let uncertain = json!({"result": "uncertain", "error": "cap_unresolvable"});
    let trail = [
        intent(1, 1, &of(json!({"label": ["nightly"]}))),
        record(2, "outcome", 1, &uncertain),
        intent(3, 2, &of(json!({"host": ["a.example"]}))),
        record(4, "outcome", 2, &uncertain),
    ];
    let folder = Folder::new();
    let path = folder.write("audit.jsonl", &trail.concat());
    let shown = show(&["--uncertain"], &path);
    let checks: Vec<&str> = shown
        .lines()
        .filter_map(|line| line.strip_prefix("  check: "))
        .collect();
    assert_eq!(
        checks,
        [
            "GET /v2/logs?state=CANCELLED&label=nightly&fromDate=1795540501000",
            "GET /v2/logs?state=CANCELLED&fromDate=1795540503000"
        ]
    );
}

/// What the trail holds in part would list nothing, and say that nothing went.
#[test]
fn what_is_recorded_in_part_is_no_filter_to_check_by() {
    let upstream = Upstream::answering(|_| crate::support::upstream::answer("500 No", "{}"));
    let guard = Guard::start(&upstream.url(), UNLIMITED);
    for filter in [
        format!("label={}", "x".repeat(1100)),
        "url=https://user:pass/word@a.example/".to_owned(),
    ] {
        assert_eq!(cancel(&guard, &format!("{filter}&count=5")).status(), 500);
    }
    let shown = show(&["--uncertain"], &guard.trail_path());
    let checks: Vec<&str> = shown
        .lines()
        .filter_map(|line| line.strip_prefix("  check: "))
        .collect();
    assert_eq!(checks, ["GET /v2/bulkActions"; 2], "{shown}");
}

#[test]
fn a_cancel_that_takes_longer_than_a_minute_is_uncertain() {
    let upstream = Upstream::answering(|_| {
        crate::support::upstream::answer(
            "429 Too Many Requests",
            r#"{"error":"it keeps running in the background"}"#,
        )
    });
    let guard = Guard::start(&upstream.url(), UNLIMITED);
    assert_eq!(cancel(&guard, "label=nightly&count=5").status(), 429);
    let outcome = guard.records_of("outcome").remove(0);
    assert_eq!(
        (&outcome["result"], &outcome["upstream_status"]),
        (&json!("uncertain"), &json!(429))
    );
    let shown = show(&["--uncertain"], &guard.trail_path());
    // It may be running yet, which the bulk actions tell.
    assert_eq!(shown.lines().last(), Some("  check: GET /v2/bulkActions"), "{shown}");
}
