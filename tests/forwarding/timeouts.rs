//! What does not come in time.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use qstash_guard::app;
use qstash_guard::config;
use tokio::sync::oneshot;

use crate::support::{Client, Folder, Guard, PATIENCE, Upstream, request};

/// A guard inside this process, with a response timeout that no configuration may ask for.
struct Impatient {
    address: SocketAddr,
    folder: Folder,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<()>>,
}

const RESPONSE_TIMEOUT: Duration = Duration::from_millis(300);

impl Impatient {
    fn before(upstream: &Upstream) -> Self {
        let folder = Folder::new();
        let text = format!(
            "listen: {{address: 127.0.0.1:0}}\nadmin: null\nupstream: {{url: {}}}\naudit: {{path: {}}}\n",
            upstream.url(),
            folder.path().join("audit.jsonl").display()
        );
        let mut settings = config::compile("guard.yaml", &text, &|_| None).unwrap().settings;
        settings.upstream.response_timeout = RESPONSE_TIMEOUT;
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
        Impatient {
            address,
            folder,
            stop: Some(stop),
            running: Some(running),
        }
    }

    /// Stops it and gives its trail.
    fn trail(mut self) -> Vec<serde_json::Value> {
        self.stop.take().unwrap().send(()).unwrap();
        self.running.take().unwrap().join().unwrap();
        let text = std::fs::read_to_string(self.folder.path().join("audit.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Reads requests and never answers.
fn silent() -> Upstream {
    Upstream::with(|mut connection| while connection.read_some().is_some() {})
}

#[test]
fn an_upstream_that_does_not_answer_is_a_gateway_timeout() {
    let upstream = silent();
    let guard = Impatient::before(&upstream);
    for (method, target, body) in [
        ("GET", "/v2/logs", &b""[..]),
        ("POST", "/v2/publish/a", b"body"),
        ("DELETE", "/v2/messages?label=a&count=5", b""),
        ("DELETE", "/v2/messages", br#"{"label":"a","count":5}"#),
    ] {
        let answer = request(guard.address, method, target, &[], body);
        assert_eq!(
            (answer.status(), answer.code().as_str()),
            (504, "upstream_timeout"),
            "{target}"
        );
    }
    assert_eq!(upstream.requests().len(), 4, "nothing is sent twice");
    let trail = guard.trail();
    let outcomes: Vec<_> = trail.iter().filter(|record| record["event"] == "outcome").collect();
    assert_eq!(outcomes.len(), 2);
    for outcome in outcomes {
        assert_eq!(
            (&outcome["result"], &outcome["error"]),
            (&"uncertain".into(), &"upstream_timeout".into())
        );
    }
}

#[test]
fn an_upstream_that_takes_nothing_of_the_body_is_a_gateway_timeout() {
    let held = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = std::sync::Arc::clone(&held);
    // Keeps the connection open and reads nothing of it.
    let upstream = Upstream::with(move |connection| kept.lock().unwrap().push(connection.stream));
    let guard = Impatient::before(&upstream);
    let mut client = Client::connect(guard.address);
    let length = 64 * 1024 * 1024;
    client.send(format!(
        "POST /v2/publish/a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
    ));
    let mut stream = client.stream.try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        // Ends when the guard gives up; how much went is of no interest.
        let _ = stream.write_all(&vec![b'x'; length]);
    });
    let answer = client.answer();
    assert_eq!((answer.status(), answer.code().as_str()), (504, "upstream_timeout"));
    drop(client);
    drop(guard.trail());
    sending.join().unwrap();
    assert_eq!(held.lock().unwrap().len(), 1);
}

#[test]
fn the_response_timeout_counts_from_the_end_of_the_request() {
    let upstream = Upstream::json("{}");
    let guard = Impatient::before(&upstream);
    let mut client = Client::connect(guard.address);
    client.send("POST /v2/publish/a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nha");
    crate::support::wait::until(|| upstream.bytes(), |bytes| bytes.ends_with(b"ha"));
    // Longer than the timeout: if it counted from the head, the answer would now be 504.
    std::thread::park_timeout(RESPONSE_TIMEOUT * 3);
    client.send("lf");
    assert_eq!(client.answer().status(), 202);
}

#[test]
fn a_guarded_request_in_flight_at_the_end_gets_its_outcome() {
    let (started, seen) = mpsc::channel();
    let upstream = Upstream::with(move |mut connection| {
        connection.read_request();
        let _ = started.send(());
        while connection.read_some().is_some() {}
    });
    let guard = Impatient::before(&upstream);
    let mut client = Client::connect(guard.address);
    client.send("DELETE /v2/messages?label=a&count=5 HTTP/1.1\r\nHost: a\r\n\r\n");
    seen.recv_timeout(PATIENCE).unwrap();
    drop(client);
    let trail = guard.trail();
    let events: Vec<_> = trail.iter().map(|record| record["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["started", "intent", "outcome", "stopped"]);
}

#[test]
fn a_body_that_stands_still_is_a_request_timeout() {
    let upstream = silent();
    let guard = Guard::start(&upstream.url(), "resources: {body_idle_timeout: 300ms}");
    for (method, target) in [("POST", "/v2/publish/a"), ("DELETE", "/v2/messages")] {
        let mut client = Client::connect(guard.address);
        client.send(format!(
            "{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{{"
        ));
        let answer = client.answer();
        assert_eq!(
            (answer.status(), answer.code().as_str()),
            (408, "body_timeout"),
            "{method}"
        );
        assert!(client.is_closed(), "the rest of the body must not be read as a request");
    }
    assert_eq!(guard.records_of("intent").len(), 0);
    assert_eq!(guard.wait_for("denied", 1)[0]["code"], "body_timeout");
}

#[test]
fn an_answer_that_stands_still_is_broken_off() {
    let (closed, gone) = mpsc::channel();
    let upstream = Upstream::with(move |mut connection| {
        connection.read_request();
        connection
            .stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
            .unwrap();
        while connection.read_some().is_some() {}
        let _ = closed.send(());
    });
    let guard = Guard::start(&upstream.url(), "resources: {body_idle_timeout: 300ms}");
    let mut client = Client::connect(guard.address);
    client.send("GET /v2/logs HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.read_answer(true).is_none());
    gone.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn a_client_that_reads_nothing_is_given_up() {
    let (closed, gone) = mpsc::channel();
    let upstream = Upstream::with(move |mut connection| {
        connection.read_request();
        let _ = connection.stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while connection.stream.write_all(&[b'x'; 16 * 1024]).is_ok() {}
        let _ = closed.send(());
    });
    let guard = Guard::start(&upstream.url(), "resources: {body_idle_timeout: 300ms}");
    let mut client = Client::connect(guard.address);
    client.send("GET /v2/logs HTTP/1.1\r\nHost: a\r\n\r\n");
    gone.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn an_upload_that_goes_on_behind_an_early_head_is_no_body_that_stands_still() {
    let upstream = Upstream::with(|mut connection| {
        connection.read_some().unwrap();
        connection
            .stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
            .unwrap();
        if connection.read_request().is_some() {
            connection.stream.write_all(b"{}").unwrap();
        }
    });
    let guard = Guard::start(&upstream.url(), "resources: {body_idle_timeout: 1s}");
    let mut client = Client::connect(guard.address);
    client.send("POST /v2/publish/a HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n");
    // Longer than the timeout in all, and never as long between two bytes.
    for _ in 0..8 {
        std::thread::park_timeout(std::time::Duration::from_millis(300));
        client.stream.write_all(b"a").unwrap();
    }
    assert_eq!(
        client.read_answer(true).map(|answer| answer.text()),
        Some("{}".to_owned())
    );
}
