//! SIGTERM while a cancel is listed and sent: what finishes, and what is recorded of what does not.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::leaving::{ask, stopping_at};
use crate::support::{Gate, Guard, Upstream};
use crate::{CHUNKS_OF_TWO, cancelled};

/// A guard that is told to stop while its upstream stands still at the request of this number; `grace` is all it has.
fn stopped_at(number: usize, grace: &str) -> (Upstream, Gate, Guard, crate::support::Client) {
    let (upstream, gate) = stopping_at(number);
    let yaml = format!("{CHUNKS_OF_TWO}resources: {{shutdown_grace: {grace}}}\n");
    let guard = Guard::start(&upstream.url(), &yaml);
    let client = ask(guard.address);
    upstream.wait_for(number + 1);
    guard.signal("TERM");
    guard.wait_until("readyz fails", || guard.admin("/readyz").0 != 200);
    (upstream, gate, guard, client)
}

fn ended(guard: Guard) -> Vec<Value> {
    let (folder, path) = (Arc::clone(&guard.folder), guard.trail_path());
    let (status, log) = guard.ended();
    assert!(status.success(), "{log}");
    let text = std::fs::read_to_string(path).unwrap();
    drop(folder);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn events(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["event"].as_str().unwrap()).collect()
}

#[test]
fn within_the_grace_all_of_it_finishes() {
    for number in 0..4 {
        let (upstream, gate, guard, mut client) = stopped_at(number, "30s");
        gate.open();
        assert_eq!(client.answer().json(), json!({"cancelled": 4}), "at {number}");
        let records = ended(guard);
        assert_eq!(
            events(&records),
            ["started", "intent", "outcome", "stopped"],
            "at {number}"
        );
        assert_eq!(
            (&records[2]["result"], &records[2]["cancelled"]),
            (&json!("completed"), &json!(4))
        );
        assert_eq!(cancelled(&upstream).concat().len(), 4);
    }
}

#[test]
fn a_listing_that_outlives_the_grace_has_sent_nothing_and_left_no_intent() {
    for number in 0..2 {
        let (upstream, gate, guard, _client) = stopped_at(number, "1s");
        assert_eq!(events(&ended(guard)), ["started", "stopped"], "at {number}");
        gate.open();
        assert_eq!(cancelled(&upstream), Vec::<Vec<String>>::new());
    }
}

#[test]
fn a_cancel_that_outlives_the_grace_says_how_many_went_before() {
    for (number, gone) in [(2, Value::Null), (3, json!(2))] {
        let (upstream, gate, guard, _client) = stopped_at(number, "1s");
        let records = ended(guard);
        assert_eq!(
            events(&records),
            ["started", "intent", "outcome", "stopped"],
            "at {number}"
        );
        assert_eq!(records[1]["selection"]["ids_total"], 4);
        assert_eq!(
            (&records[2]["result"], &records[2]["error"], &records[2]["cancelled"]),
            (
                &json!("uncertain"),
                &json!("the guard stopped before the answer"),
                &gone
            ),
            "at {number}"
        );
        gate.open();
        assert_eq!(cancelled(&upstream).len(), number - 1);
    }
}
