//! SIGTERM while a bulk action is followed.

use std::sync::Arc;

use serde_json::Value;

use crate::support::upstream::answer;
use crate::support::{Guard, Upstream, redacted};
use crate::{UNLIMITED, cancel};

fn upstream() -> Upstream {
    Upstream::answering(|request| {
        if request.line().starts_with("DELETE") {
            return answer("202 Accepted", r#"{"cancelled":2,"actionId":"ba_1"}"#);
        }
        answer(
            "200 OK",
            r#"{"actionId":"ba_1","state":"IN_PROGRESS","total":2,"processed":1}"#,
        )
    })
}

/// The records of a guard that was stopped, and its log.
fn stopped(guard: Guard) -> (Vec<Value>, String) {
    let (folder, path) = (Arc::clone(&guard.folder), guard.trail_path());
    let (status, log) = guard.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    let text = std::fs::read_to_string(path).unwrap();
    drop(folder);
    (
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        log,
    )
}

#[test]
fn it_says_that_it_does_not_know_the_end() {
    let upstream = upstream();
    let guard = Guard::start(&upstream.url(), UNLIMITED);
    cancel(&guard, "label=a&count=5&async=true");
    upstream.wait_for(2);
    let (records, log) = stopped(guard);
    let events: Vec<&str> = records.iter().map(|record| record["event"].as_str().unwrap()).collect();
    assert_eq!(
        events,
        ["started", "intent", "outcome", "bulk_action_finished", "stopped"]
    );
    assert_eq!(records[3]["request_id"], records[1]["request_id"]);
    // Whether the answer to the first question was read yet is not known here.
    let detail = records[3]["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("not followed to its end, since the guard stopped: "),
        "{detail}"
    );
    assert_eq!(records[3]["result"], "uncertain");
    assert!(!log.contains("shutdown_grace is over"), "{log}");
}

#[test]
fn one_that_was_never_asked_for_says_so_too() {
    let upstream = upstream();
    let guard = Guard::start(&upstream.url(), "resources: {shutdown_grace: 60s}\n");
    cancel(&guard, "label=a&count=5&async=true");
    let (records, _) = stopped(guard);
    let record = records
        .iter()
        .find(|record| record["event"] == "bulk_action_finished")
        .unwrap();
    if upstream.requests().len() == 1 {
        insta::assert_snapshot!("stopped", redacted(record));
    }
    assert_eq!(records.last().unwrap()["event"], "stopped");
}

#[test]
fn where_it_is_switched_off_nothing_is_asked() {
    let upstream = upstream();
    let guard = Guard::start(
        &upstream.url(),
        &format!("{UNLIMITED}audit: {{follow_bulk_actions: false}}\n"),
    );
    cancel(&guard, "label=a&count=5&async=true");
    let (records, _) = stopped(guard);
    let events: Vec<&str> = records.iter().map(|record| record["event"].as_str().unwrap()).collect();
    // One that was followed would have left a record by now.
    assert_eq!(events, ["started", "intent", "outcome", "stopped"]);
    assert_eq!(records[2]["action_id"], "ba_1");
    assert_eq!(upstream.requests().len(), 1);
}
