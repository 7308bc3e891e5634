//! One side fails: what the other is told, and what is left behind.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;

use socket2::SockRef;

use crate::support::{Answer, Client, Connection, Guard, PATIENCE, Upstream, request};

const CANCEL: (&str, &str) = ("DELETE", "/v2/messages?label=a&count=5");

/// Closes with a reset in place of an orderly end.
fn reset(connection: Connection) {
    SockRef::from(&connection.stream)
        .set_linger(Some(std::time::Duration::ZERO))
        .unwrap();
    drop(connection);
}

#[track_caller]
fn assert_answered(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status(), answer.code().as_str()), (status, code), "{answer:?}");
    assert_eq!(answer.header("content-type"), ["application/json"]);
    assert_eq!(answer.json()["code"], code);
}

#[test]
fn an_upstream_that_refuses_is_unreachable() {
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let guard = Guard::start(&format!("http://{nobody}"), "");
    for (method, target, body) in [
        ("GET", "/v2/logs", &b""[..]),
        ("POST", "/v2/publish/a", b"body"),
        (CANCEL.0, CANCEL.1, b""),
    ] {
        let answer = request(guard.address, method, target, &[], body);
        assert_answered(&answer, 502, "upstream_unreachable");
        // Where upstreams live is nobody's business.
        assert!(!answer.text().contains(&nobody.port().to_string()), "{}", answer.text());
    }
    assert_eq!(guard.wait_for("outcome", 1)[0]["result"], "unsent");
    assert_eq!(guard.records_of("denied").len(), 0);
}

#[test]
fn an_upstream_that_closes_or_resets_after_the_request_has_failed_and_is_not_asked_again() {
    let endings: [fn(Connection); 3] = [drop, reset, |mut connection| {
        connection.stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le").unwrap();
    }];
    for ending in endings {
        let upstream = Upstream::with(move |mut connection| {
            if connection.read_request().is_some() {
                ending(connection);
            }
        });
        let guard = Guard::start(&upstream.url(), "");
        for (arrived, (method, target, body)) in [
            ("GET", "/v2/logs", &b""[..]),
            ("POST", "/v2/publish/a", b"body"),
            (CANCEL.0, CANCEL.1, b""),
        ]
        .into_iter()
        .enumerate()
        {
            let answer = request(guard.address, method, target, &[], body);
            assert_answered(&answer, 502, "upstream_failed");
            assert_eq!(upstream.requests().len(), arrived + 1, "nothing is sent twice");
        }
        let outcome = &guard.wait_for("outcome", 1)[0];
        assert_eq!(
            (&outcome["result"], &outcome["error"]),
            (&"uncertain".into(), &"upstream_failed".into())
        );
    }
}

#[test]
fn an_answer_that_is_no_http_has_failed() {
    for answer in [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n".to_owned(),
        "HTTP/1.1 abc OK\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_owned(),
        format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "x".repeat(100_000)),
    ] {
        let text = answer.clone();
        let upstream = Upstream::with(move |mut connection| {
            if connection.read_request().is_some() {
                let _ = connection.stream.write_all(text.as_bytes());
                let _ = connection.stream.read(&mut [0; 1]);
            }
        });
        let guard = Guard::start(&upstream.url(), "");
        let answered = request(guard.address, "GET", "/v2/logs", &[], b"");
        assert_answered(&answered, 502, "upstream_failed");
    }
}

#[test]
fn a_broken_answer_is_broken_for_the_client_too() {
    let halves = [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\nhalf",
    ];
    let endings: [fn(Connection); 2] = [drop, reset];
    for half in halves {
        for ending in endings {
            let (go, told) = mpsc::channel();
            let told = std::sync::Mutex::new(told);
            let upstream = Upstream::with(move |mut connection| {
                if connection.read_request().is_some() {
                    connection.stream.write_all(half.as_bytes()).unwrap();
                    let _ = told.lock().unwrap().recv_timeout(PATIENCE);
                    ending(connection);
                }
            });
            let guard = Guard::start(&upstream.url(), "");
            let mut client = Client::connect(guard.address);
            client.send("GET /v2/logs HTTP/1.1\r\nHost: a\r\n\r\n");
            // The head and the first half pass before the break.
            let mut seen = Vec::new();
            while !seen.windows(4).any(|window| window == b"half") {
                let mut buffer = [0; 1024];
                let length = client.stream.read(&mut buffer).unwrap();
                assert_ne!(length, 0, "{:?}", String::from_utf8_lossy(&seen));
                seen.extend_from_slice(&buffer[..length]);
            }
            go.send(()).unwrap();
            let mut rest = Vec::new();
            let _ = client.stream.read_to_end(&mut rest);
            assert!(!rest.ends_with(b"0\r\n\r\n"), "a clean end: {half:?} {rest:?}");
            assert!(rest.len() < 6, "{half:?} {rest:?}");
        }
    }
}

/// An upstream that tells when its connection is closed from the other side.
fn watching(serve: impl Fn(&mut Connection) + Send + Sync + 'static) -> (Upstream, mpsc::Receiver<()>) {
    let (closed, gone) = mpsc::channel();
    let upstream = Upstream::with(move |mut connection| {
        serve(&mut connection);
        while connection.read_some().is_some() {}
        let _ = closed.send(());
    });
    (upstream, gone)
}

#[test]
fn a_client_that_leaves_in_the_middle_of_its_body_takes_the_upstream_connection_with_it() {
    let (started, seen) = mpsc::channel();
    let (upstream, gone) = watching(move |connection| {
        connection.read_some();
        let _ = started.send(());
    });
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    client.send("POST /v2/publish/a HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf of it");
    seen.recv_timeout(PATIENCE).unwrap();
    assert!(gone.try_recv().is_err(), "still there while the client is");
    drop(client);
    gone.recv_timeout(PATIENCE).unwrap();
    assert_eq!(upstream.requests().len(), 0, "the request never became whole");
}

#[test]
fn a_client_that_leaves_in_the_middle_of_the_answer_takes_the_upstream_connection_with_it() {
    let (upstream, gone) = watching(|connection| {
        connection.read_request();
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome";
        connection.stream.write_all(head).unwrap();
    });
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    client.send("GET /v2/logs HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_ne!(client.stream.read(&mut [0; 8]).unwrap(), 0);
    assert!(gone.try_recv().is_err(), "still there while the client is");
    drop(client);
    gone.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn a_client_that_leaves_before_the_answer_takes_the_upstream_connection_with_it() {
    let (started, seen) = mpsc::channel();
    let (upstream, gone) = watching(move |connection| {
        connection.read_request();
        let _ = started.send(());
    });
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    client.send("GET /v2/logs HTTP/1.1\r\nHost: a\r\n\r\n");
    seen.recv_timeout(PATIENCE).unwrap();
    drop(client);
    gone.recv_timeout(PATIENCE).unwrap();
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_guarded_request_goes_on_without_its_client() {
    let (started, seen) = mpsc::channel();
    let (go, told) = mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    let upstream = Upstream::with(move |mut connection| {
        connection.read_request();
        let _ = started.send(());
        let _ = told.lock().unwrap().recv_timeout(PATIENCE);
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"cancelled\":3}";
        let _ = connection.stream.write_all(answer);
    });
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    client.send(format!("{} {} HTTP/1.1\r\nHost: a\r\n\r\n", CANCEL.0, CANCEL.1));
    seen.recv_timeout(PATIENCE).unwrap();
    drop(client);
    crate::support::wait::until(|| guard.metric_line("qstash_guard_connections"), |open| *open == 0);
    go.send(()).unwrap();
    let outcome = &guard.wait_for("outcome", 1)[0];
    assert_eq!(
        (&outcome["result"], &outcome["cancelled"]),
        (&"completed".into(), &3.into())
    );
}

#[test]
fn clients_that_leave_at_once_leave_no_intent_without_its_outcome() {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let guard = Guard::start(&upstream.url(), "rate_limits: []");
    for _ in 0..100 {
        let mut client = Client::connect(guard.address);
        client.send(format!("{} {} HTTP/1.1\r\nHost: a\r\n\r\n", CANCEL.0, CANCEL.1));
    }
    crate::support::wait::until(|| guard.metric_line("qstash_guard_connections"), |open| *open == 0);
    // The end waits for what goes on without its client.
    let (folder, trail) = (std::sync::Arc::clone(&guard.folder), guard.trail_path());
    let (status, log) = guard.stop();
    assert!(status.success(), "{log}");
    let trail = std::fs::read_to_string(trail).unwrap();
    let number = |event: &str| trail.matches(&format!(r#""event":"{event}""#)).count();
    assert_ne!(number("intent"), 0);
    assert_eq!(number("outcome"), number("intent"));
    assert_eq!(upstream.requests().len(), number("intent"));
    drop(folder);
}

#[test]
fn an_answer_before_the_end_of_the_body_reaches_the_client() {
    let upstream = Upstream::with(|mut connection| {
        connection.read_some();
        let answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig";
        connection.stream.write_all(answer).unwrap();
        while connection.read_some().is_some() {}
    });
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    client.send("POST /v2/publish/a HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf");
    let answer = client.answer();
    assert_eq!((answer.status(), answer.text().as_str()), (413, "big"));
}

#[test]
fn a_body_that_is_broken_off_by_its_framing_is_answered() {
    let (upstream, gone) = watching(|_| {});
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    client.send("POST /v2/publish/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nXX\r\n");
    assert_answered(&client.answer(), 400, "malformed_request");
    gone.recv_timeout(PATIENCE).unwrap();
}
