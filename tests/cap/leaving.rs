//! Clients that leave, and upstreams that take too long.

use std::net::SocketAddr;
use std::time::Duration;

use qstash_guard::{app, config};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::script::{done, listing, waiting};
use crate::support::{Client, Folder, Gate, Upstream, refusal};
use crate::{CHUNKS_OF_TWO, GUARDED, TOKEN, cancelled, delete};

pub(crate) fn ask(address: SocketAddr) -> Client {
    let mut client = Client::connect(address);
    client.send(format!(
        "DELETE /v2/messages?label=a&count=5 HTTP/1.1\r\nHost: g\r\n{TOKEN}\r\n\r\n"
    ));
    client
}

/// An upstream that stops at its requests numbered like this, from 0, until the gate is open.
pub(crate) fn stopping_at(number: usize) -> (Upstream, Gate) {
    let gate = Gate::default();
    let waits = gate.clone();
    let arrived = std::sync::atomic::AtomicUsize::new(0);
    let pages = vec![waiting(0..2), waiting(2..4)];
    let upstream = Upstream::answering(move |request| {
        if arrived.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == number {
            waits.pass();
        }
        listing(&pages, request).unwrap_or_else(|| done(request))
    });
    (upstream, gate)
}

#[test]
fn a_client_that_leaves_ends_a_listing_and_no_cancel() {
    // Two pages, then two cancels.
    for (number, result, gone) in [
        (0, "unsent", 0),
        (1, "unsent", 0),
        (2, "completed", 4),
        (3, "completed", 4),
    ] {
        let (upstream, gate) = stopping_at(number);
        let guard = crate::Guard::start(&upstream.url(), CHUNKS_OF_TWO);
        let client = ask(guard.address);
        upstream.wait_for(number + 1);
        drop(client);
        // Nobody waits for what the listing would find; what is being cancelled is told all the same.
        let is_listing = number < 2;
        if is_listing {
            guard.wait_for("outcome", 1);
        }
        gate.open();
        let outcome = guard.wait_for("outcome", 1).remove(0);
        assert_eq!(
            (&outcome["result"], &outcome["cancelled"]),
            (&json!(result), &json!(gone)),
            "at {number}"
        );
        assert_eq!(outcome["error"] == "cap_unresolvable", is_listing, "at {number}");
        assert!(guard.stop().0.success());
        assert_eq!(cancelled(&upstream).concat().len(), gone, "at {number}");
    }
}

/// A guard inside this process, with a response timeout that no configuration may ask for.
fn impatient(upstream: &Upstream, ask: impl FnOnce(SocketAddr)) -> Vec<Value> {
    let folder = Folder::new();
    let text = format!(
        "listen: {{address: 127.0.0.1:0}}\nadmin: null\nupstream: {{url: {}}}\naudit: {{path: {}}}\n{GUARDED}",
        upstream.url(),
        folder.path().join("audit.jsonl").display()
    );
    let mut settings = config::compile("guard.yaml", &text, &|_| None).unwrap().settings;
    settings.upstream.response_timeout = Duration::from_millis(300);
    let guard = app::Guard::start(settings, 1).unwrap();
    let address = guard.address();
    let (stop, stopped) = oneshot::channel();
    let running = std::thread::spawn(move || {
        guard
            .run_until(async {
                let _ = stopped.await;
            })
            .unwrap();
    });
    ask(address);
    stop.send(()).unwrap();
    running.join().unwrap();
    let text = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_listing_that_is_slow_is_given_up() {
    let (upstream, gate) = stopping_at(1);
    let records = impatient(&upstream, |address| {
        let body = refusal(&ask(address).answer(), 502, &["cap_unresolvable"]);
        assert!(body["error"].as_str().unwrap().contains("300ms"), "{body}");
    });
    gate.open();
    assert_eq!(
        (&records[1]["event"], &records[2]["result"]),
        (&json!("intent"), &json!("unsent"))
    );
    assert_eq!(cancelled(&upstream), Vec::<Vec<String>>::new());
}

#[test]
fn a_cancel_that_is_slow_is_uncertain() {
    let (upstream, gate) = stopping_at(2);
    let records = impatient(&upstream, |address| {
        let body = refusal(&ask(address).answer(), 502, &["cap_unresolvable"]);
        assert!(
            body["error"]
                .as_str()
                .unwrap()
                .contains("QStash did not answer in time"),
            "{body}"
        );
    });
    gate.open();
    assert_eq!(
        (&records[2]["event"], &records[2]["result"]),
        (&json!("outcome"), &json!("uncertain"))
    );
}

#[test]
fn an_upstream_that_is_gone_is_said_to_be() {
    let (upstream, gate) = stopping_at(usize::MAX);
    gate.open();
    let guard = crate::Guard::start("http://127.0.0.1:9", GUARDED);
    let body = refusal(
        &delete(&guard, "/v2/messages?label=a&count=5"),
        502,
        &["cap_unresolvable"],
    );
    assert!(
        body["error"].as_str().unwrap().contains("could not be reached"),
        "{body}"
    );
    assert_eq!(guard.wait_for("outcome", 1)[0]["result"], "unsent");
    upstream.assert_untouched();
}
