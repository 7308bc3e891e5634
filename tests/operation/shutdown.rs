//! SIGTERM: what is in flight finishes, nothing new begins, the trail is closed.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::{Mutex, mpsc};

use crate::support::wait::until;
use crate::support::{Client, Guard, PATIENCE, Upstream, request};

/// An upstream that answers at once, but for targets with `hold`: those it announces, and answers when told.
fn holding() -> (Upstream, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (arrived, seen) = mpsc::channel();
    let (go, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Upstream::with(move |mut connection| {
        while let Some(request) = connection.read_request() {
            if request.target().contains("hold") {
                let _ = arrived.send(());
                if told.lock().unwrap().recv_timeout(PATIENCE).is_err() {
                    return;
                }
            }
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"cancelled\":2}";
            if connection.stream.write_all(answer).is_err() {
                return;
            }
        }
    });
    (upstream, seen, go)
}

fn events(guard: &Guard) -> Vec<String> {
    let records = guard.records();
    let event = |record: &serde_json::Value| record["event"].as_str().unwrap().to_owned();
    records.iter().map(event).collect()
}

#[test]
fn what_is_in_flight_finishes_and_nothing_new_begins() {
    let (upstream, seen, go) = holding();
    let guard = Guard::start(&upstream.url(), "resources: {shutdown_delay: 2s}");
    let folder = std::sync::Arc::clone(&guard.folder);
    let mut unguarded = Client::connect(guard.address);
    unguarded.send("GET /v2/logs?hold HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut guarded = Client::connect(guard.address);
    guarded.send("DELETE /v2/messages?label=hold&count=2 HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut idle = Client::connect(guard.address);
    assert_eq!(idle.request("GET", "/v2/logs", &[], b"").status(), 200);
    seen.recv_timeout(PATIENCE).unwrap();
    seen.recv_timeout(PATIENCE).unwrap();
    assert_eq!(guard.admin("/readyz").0, 200);

    guard.signal("TERM");
    // During the delay: not ready, and served all the same.
    let (_, text) = until(|| guard.admin("/readyz"), |(status, _)| *status == 503);
    assert!(text.contains("stopping"), "{text}");
    assert_eq!(guard.admin("/healthz").0, 200);
    assert_eq!(request(guard.address, "GET", "/v2/logs", &[], b"").status(), 200);
    // After it: what is idle is closed, and nobody new is let in.
    until(|| TcpStream::connect(guard.address).is_err(), |refused| *refused);
    assert!(idle.is_closed());
    assert_eq!(guard.admin("/readyz").0, 503);

    go.send(()).unwrap();
    go.send(()).unwrap();
    assert_eq!(unguarded.answer().text(), r#"{"cancelled":2}"#);
    assert_eq!(guarded.answer().text(), r#"{"cancelled":2}"#);
    assert!(unguarded.is_closed() && guarded.is_closed());
    let trail = guard.trail_path();
    let (status, log) = guard.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    let text = std::fs::read_to_string(trail).unwrap();
    let events: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].clone())
        .collect();
    assert_eq!(events, ["started", "intent", "outcome", "stopped"]);
    drop(folder);
}

#[test]
fn the_log_says_the_hash_of_the_last_record() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let folder = std::sync::Arc::clone(&guard.folder);
    let (status, log) = guard.stop();
    assert_eq!(status.code(), Some(0));
    let stopped: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|entry: &serde_json::Value| entry["message"] == "stopped")
        .collect();
    let hash = stopped[0]["hash"].as_str().unwrap();
    assert_eq!(stopped[0]["seq"], 2);
    // It is in the chain, and with it kept nobody can cut the tail off.
    let verified = super::start::qstash_guard(&["audit", "verify", "--head", hash, "audit"], folder.path());
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    assert!(String::from_utf8_lossy(&verified.stdout).contains(hash));
    let other = "0".repeat(64);
    let verified = super::start::qstash_guard(&["audit", "verify", "--head", &other, "audit"], folder.path());
    assert_eq!(verified.status.code(), Some(5), "{verified:?}");
}

#[test]
fn sigint_stops_it_too() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    guard.signal("INT");
    let (status, log) = guard.ended();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn the_grace_ends_and_leaves_no_intent_without_its_outcome() {
    let (upstream, seen, _go) = holding();
    let guard = Guard::start(&upstream.url(), "resources: {shutdown_grace: 300ms}");
    let folder = std::sync::Arc::clone(&guard.folder);
    let mut unguarded = Client::connect(guard.address);
    unguarded.send("GET /v2/logs?hold HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut guarded = Client::connect(guard.address);
    guarded.send("DELETE /v2/messages?label=hold&count=2 HTTP/1.1\r\nHost: a\r\n\r\n");
    seen.recv_timeout(PATIENCE).unwrap();
    seen.recv_timeout(PATIENCE).unwrap();
    let trail = guard.trail_path();
    let (status, log) = guard.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("shutdown_grace is over"), "{log}");
    assert!(unguarded.is_closed() && guarded.is_closed());
    let text = std::fs::read_to_string(trail).unwrap();
    let records: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<_> = records.iter().map(|record| &record["event"]).collect();
    assert_eq!(events, ["started", "intent", "outcome", "stopped"]);
    assert_eq!(records[2]["result"], "uncertain");
    drop(folder);
}

#[test]
fn a_guarded_request_whose_client_left_is_waited_for() {
    let (upstream, seen, go) = holding();
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    client.send("DELETE /v2/messages?label=hold&count=2 HTTP/1.1\r\nHost: a\r\n\r\n");
    seen.recv_timeout(PATIENCE).unwrap();
    drop(client);
    until(|| guard.metric_line("qstash_guard_connections"), |open| *open == 0);
    guard.signal("TERM");
    until(|| TcpStream::connect(guard.address).is_err(), |refused| *refused);
    assert_eq!(events(&guard), ["started", "intent"]);
    go.send(()).unwrap();
    let outcome = guard.wait_for("outcome", 1)[0].clone();
    assert_eq!(
        (&outcome["result"], &outcome["cancelled"]),
        (&"completed".into(), &2.into())
    );
    let (status, log) = guard.ended();
    assert_eq!(status.code(), Some(0), "{log}");
}
