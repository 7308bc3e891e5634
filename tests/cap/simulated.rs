//! Against the in-memory QStash, which ignores `count` or honours it: with the guard's cap, both do the same.

use std::collections::BTreeSet;

use qstash_guard::simulator::DEV_TOKEN;
use serde_json::json;

use crate::GUARDED;
use crate::support::{Answer, Guard, Simulator, assert_forwarded, request};

fn send(address: std::net::SocketAddr, method: &str, target: &str, headers: &[&str], body: &[u8]) -> Answer {
    let token = format!("Authorization: Bearer {DEV_TOKEN}");
    request(address, method, target, &[&[token.as_str()], headers].concat(), body)
}

/// Publishes messages through the guard; their ids.
fn publish(guard: &Guard, number: usize, headers: &[&str]) -> BTreeSet<String> {
    let one = |_| {
        let target = "/v2/publish/https://a.example/hook";
        let answer = send(guard.address, "POST", target, headers, b"hello");
        answer.json()["messageId"].as_str().unwrap().to_owned()
    };
    (0..number).map(one).collect()
}

#[test]
fn a_cap_holds_whether_or_not_qstash_honours_count() {
    for count in ["ignored", "honoured"] {
        let simulator = Simulator::start(&["--count", count]);
        let guard = Guard::start(&simulator.url(), GUARDED);
        let nightly = publish(&guard, 12, &["Upstash-Label: nightly"]);
        let others = publish(&guard, 8, &["Upstash-Label: daily"]);
        for (cap, expected) in [(5, 5), (5, 5), (5, 2), (5, 0)] {
            let before = guard.records().len();
            let target = format!("/v2/messages?label=nightly&count={cap}");
            let answer = send(guard.address, "DELETE", &target, &[], b"");
            assert_eq!(
                (answer.status(), answer.json()),
                (200, json!({"cancelled": expected})),
                "{count}"
            );
            let (intent, outcome) = assert_forwarded(&guard, before);
            let ids = intent["selection"]["ids"].as_array().cloned().unwrap_or_default();
            assert!(ids.iter().all(|id| nightly.contains(id.as_str().unwrap())), "{intent}");
            assert_eq!((ids.len(), &outcome["cancelled"]), (expected, &json!(expected)));
        }
        assert_eq!(simulator.pending(), others, "{count}");
    }
}

#[test]
fn filters_that_the_listing_does_not_know_hold_too() {
    let simulator = Simulator::start(&[]);
    let guard = Guard::start(&simulator.url(), GUARDED);
    let kept = publish(&guard, 3, &[]);
    let target = "/v2/publish/https://b.example/hook";
    for _ in 0..3 {
        assert!(send(guard.address, "POST", target, &[], b"").json()["messageId"].is_string());
    }
    let answer = send(
        guard.address,
        "DELETE",
        "/v2/messages?host=b.example&path=/hook&count=50",
        &[],
        b"",
    );
    assert_eq!(answer.json(), json!({"cancelled": 3}), "{answer:?}");
    assert_eq!(simulator.pending(), kept);
}

#[test]
fn a_listing_of_many_pages_is_followed() {
    let simulator = Simulator::start(&["--count", "ignored"]);
    let guard = Guard::start(&simulator.url(), GUARDED);
    let first = publish(&guard, 30, &["Upstash-Label: a"]);
    publish(&guard, 220, &["Upstash-Label: b"]);
    let answer = send(
        guard.address,
        "DELETE",
        "/v2/messages?path=/hook&label=a,b&count=100",
        &[],
        b"",
    );
    assert_eq!(answer.json(), json!({"cancelled": 100}));
    // Those of the two pages before are done with, and still listed.
    let answer = send(guard.address, "DELETE", "/v2/messages?path=/hook&count=100", &[], b"");
    assert_eq!(answer.json(), json!({"cancelled": 100}));
    let answer = send(guard.address, "DELETE", "/v2/messages?path=/hook&count=100", &[], b"");
    assert_eq!(answer.json(), json!({"cancelled": 50}));
    let records = guard.records_of("intent");
    let last: BTreeSet<&str> = records[2]["selection"]["ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    assert!(first.iter().all(|id| last.contains(id.as_str())));
}

#[test]
fn a_wrong_token_cancels_nothing() {
    let simulator = Simulator::start(&["--messages", "5"]);
    let guard = Guard::start(&simulator.url(), GUARDED);
    let before = simulator.pending();
    let wrong = ["Authorization: Bearer wrong"];
    let answer = request(guard.address, "DELETE", "/v2/messages?path=/&count=5", &wrong, b"");
    assert_eq!((answer.status(), answer.code().as_str()), (502, "cap_unresolvable"));
    assert!(answer.text().contains("401"), "{answer:?}");
    assert_eq!(simulator.pending(), before);
}
