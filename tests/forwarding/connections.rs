//! Connections on both sides: kept, reused, and given up when dead.

use std::io::Write as _;
use std::sync::mpsc;

use crate::support::upstream::answer;
use crate::support::{Client, Guard, PATIENCE, RawRequest, Upstream};

#[test]
fn connections_are_kept_on_both_sides() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    for _ in 0..5 {
        assert_eq!(client.request("POST", "/v2/publish/a", &[], b"body").status(), 202);
        assert_eq!(client.request("GET", "/v2/logs", &[], b"").status(), 202);
    }
    assert_eq!((upstream.connections(), upstream.requests().len()), (1, 10));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::answering(|request| {
        let target = request.target();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len()).into_bytes()
    });
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    client.send(
        "GET /one HTTP/1.1\r\nHost: a\r\n\r\n\
         POST /two HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
         DELETE /v2/messages HTTP/1.1\r\nHost: a\r\n\r\n\
         PUT /three HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n\
         GET /four HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!(client.answer().text(), "/one");
    assert_eq!(client.answer().text(), "/two");
    assert_eq!(client.answer().code(), "unfiltered_cancel");
    assert_eq!(client.answer().text(), "/three");
    assert_eq!(client.answer().text(), "/four");
    let requests = upstream.requests();
    let targets: Vec<_> = requests.iter().map(RawRequest::target).collect();
    assert_eq!(targets, ["/one", "/two", "/three", "/four"]);
}

#[test]
fn a_client_that_says_close_is_answered_and_closed() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    let answer = client.request("GET", "/v2/logs", &["Connection: close"], b"");
    assert_eq!(answer.header("connection"), ["close"]);
    assert!(client.is_closed());
    // The client's wish is about its own connection.
    let mut client = Client::connect(guard.address);
    assert_eq!(
        client.request("GET", "/v2/logs", &["Connection: close"], b"").status(),
        202
    );
    for request in upstream.requests() {
        assert_eq!(request.header("connection").len(), 0);
    }
}

#[test]
fn an_upstream_that_says_close_does_not_close_the_client() {
    let upstream = Upstream::with(|mut connection| {
        if connection.read_request().is_some() {
            let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
            connection.stream.write_all(answer).unwrap();
        }
    });
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    for _ in 0..3 {
        let answer = client.request("GET", "/v2/logs", &[], b"");
        assert_eq!(answer.text(), "ok");
        assert_eq!(answer.header("connection").len(), 0);
    }
    assert_eq!(upstream.connections(), 3);
}

/// An upstream that closes each connection after one answer without a word, and says so when it has.
fn closing_upstream() -> (Upstream, mpsc::Receiver<()>) {
    let (closed, gone) = mpsc::sync_channel(100);
    let upstream = Upstream::with(move |mut connection| {
        if connection.read_request().is_some() {
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"cancelled\": 1}";
            connection.stream.write_all(answer).unwrap();
            drop(connection);
            closed.send(()).unwrap();
        }
    });
    (upstream, gone)
}

#[test]
fn a_request_that_meets_a_dead_kept_connection_is_sent_over_a_new_one() {
    let (upstream, gone) = closing_upstream();
    let guard = Guard::start(&upstream.url(), "rate_limits: []");
    let mut client = Client::connect(guard.address);
    for round in 1..=20 {
        assert_eq!(client.request("POST", "/v2/publish/a", &[], b"once").status(), 200);
        gone.recv_timeout(PATIENCE).unwrap();
        let requests = upstream.requests();
        assert_eq!((requests.len(), upstream.connections()), (round, round));
        assert_eq!(requests.last().unwrap().body, b"once");
    }
}

#[test]
fn so_is_a_guarded_one_and_it_leaves_one_intent_and_one_outcome() {
    let (upstream, gone) = closing_upstream();
    let guard = Guard::start(&upstream.url(), "rate_limits: []");
    let mut client = Client::connect(guard.address);
    for round in 1..=10 {
        let answer = client.request("DELETE", "/v2/messages?label=a&count=1", &[], b"");
        assert_eq!(answer.status(), 200, "{answer:?}");
        gone.recv_timeout(PATIENCE).unwrap();
        assert_eq!(upstream.requests().len(), round);
    }
    assert_eq!(guard.records_of("intent").len(), 10);
    let outcomes = guard.wait_for("outcome", 10);
    assert!(
        outcomes.iter().all(|outcome| outcome["result"] == "completed"),
        "{outcomes:#?}"
    );
}

#[test]
fn bytes_after_an_answer_never_answer_the_next_request() {
    let upstream = Upstream::with(|mut connection| {
        while let Some(request) = connection.read_request() {
            let target = request.target();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
                target.len()
            );
            if connection.stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    for target in ["/one", "/two", "/three"] {
        assert_eq!(client.request("GET", target, &[], b"").text(), target);
    }
}

#[test]
fn many_clients_are_served_at_once() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let mut clients: Vec<_> = (0..64).map(|_| Client::connect(guard.address)).collect();
    for client in &mut clients {
        client.send("GET /v2/logs HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.answer().text(), "{}");
    }
    assert_eq!(guard.metric_line("qstash_guard_connections"), 64);
    drop(clients);
    crate::support::wait::until(|| guard.metric_line("qstash_guard_connections"), |open| *open == 0);
}

#[test]
fn an_answer_arrives_whole_though_more_was_sent_behind_a_request_that_says_close() {
    let long = "x".repeat(3_000_000);
    let upstream = Upstream::answering(move |_| answer("200 OK", &long));
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    let more = "GET /v2/logs HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2000);
    client.send(format!(
        "GET /v2/logs HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n{more}"
    ));
    assert_eq!(client.answer().body.len(), 3_000_000);
}
