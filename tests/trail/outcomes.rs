//! What became of a guarded request, whatever became of client and upstream.

use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::{Value, json};
use socket2::SockRef;

use crate::support::upstream::{Connection, answer};
use crate::support::{Client, Gate, Guard, Upstream, assert_forwarded, refusal, request};
use crate::{BEARER, UNLIMITED, cancel, publish, target};

/// An upstream that answers each request with what `respond` gives, and closes the connection then.
fn once(respond: impl Fn(&mut Connection) + Send + Sync + 'static) -> Upstream {
    Upstream::with(move |mut connection| {
        if connection.read_request().is_some() {
            respond(&mut connection);
        }
    })
}

fn reset(connection: &Connection) {
    SockRef::from(&connection.stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

#[test]
fn every_status_has_its_result() {
    let upstream = Upstream::answering(|request| {
        let label = request.target().split(['=', '&']).nth(1).unwrap().to_owned();
        let (status, body) = label.split_once('-').unwrap();
        let body = match body {
            "number" => r#"{"cancelled":5}"#,
            "action" => r#"{"cancelled":5,"actionId":"ba_1"}"#,
            "error" => r#"{"error":"no"}"#,
            "text" => "OK",
            _ => "",
        };
        answer(&format!("{status} Whatever"), body)
    });
    let yaml = format!("{UNLIMITED}audit: {{follow_bulk_actions: false}}\n");
    let guard = Guard::start(&upstream.url(), &yaml);
    let five = json!(5);
    let rows: &[(&str, &str, &Value)] = &[
        ("200-number", "completed", &five),
        ("202-number", "completed", &five),
        ("200-action", "accepted", &five),
        ("202-action", "accepted", &five),
        ("200-text", "uncertain", &Value::Null),
        ("200-empty", "uncertain", &Value::Null),
        ("202-error", "uncertain", &Value::Null),
        ("401-error", "refused", &Value::Null),
        ("403-error", "refused", &Value::Null),
        ("404-error", "refused", &Value::Null),
        ("405-error", "refused", &Value::Null),
        ("412-error", "refused", &Value::Null),
        ("400-error", "uncertain", &Value::Null),
        ("429-error", "uncertain", &Value::Null),
        ("500-error", "uncertain", &Value::Null),
        ("503-text", "uncertain", &Value::Null),
        ("302-empty", "uncertain", &Value::Null),
    ];
    for (label, result, cancelled) in rows {
        let before = guard.records().len();
        let answer = cancel(&guard, label);
        let (_, outcome) = assert_forwarded(&guard, before);
        assert_eq!(
            (&outcome["result"], &outcome["cancelled"]),
            (&json!(result), *cancelled),
            "{label}"
        );
        assert_eq!(outcome["upstream_status"], answer.status(), "{label}");
        assert_eq!(answer.code(), "", "{label}: the upstream's own answer");
        assert_eq!(
            outcome["action_id"],
            if label.ends_with("action") {
                json!("ba_1")
            } else {
                Value::Null
            }
        );
        assert!(outcome["error"].is_null(), "{outcome}");
    }
    let cancelled = guard.metric("qstash_guard_cancelled_messages_total", &[]);
    assert_eq!(cancelled, 20);
}

#[test]
fn a_compressed_answer_is_read_and_passed_on_as_it_is() {
    let json = br#"{"cancelled":4,"actionId":"ba_9"}"#;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(json).unwrap();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(json).unwrap();
    for (coding, body) in [("gzip", gzip.finish().unwrap()), ("deflate", zlib.finish().unwrap())] {
        let sent = body.clone();
        let upstream = Upstream::answering(move |_| {
            let mut answer = format!(
                "HTTP/1.1 202 Accepted\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n",
                sent.len()
            )
            .into_bytes();
            answer.extend_from_slice(&sent);
            answer
        });
        let guard = Guard::start(&upstream.url(), UNLIMITED);
        let before = guard.records().len();
        let answer = cancel(&guard, "a");
        assert_eq!((answer.status(), &answer.body), (202, &body), "{coding}");
        assert_eq!(answer.header("content-encoding"), [coding]);
        let (_, outcome) = assert_forwarded(&guard, before);
        assert_eq!(
            (&outcome["cancelled"], &outcome["action_id"]),
            (&json!(4), &json!("ba_9")),
            "{coding}"
        );
    }
}

#[test]
fn a_chunked_answer_is_read_and_passed_on() {
    let upstream = Upstream::answering(|_| {
        b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"can\r\n9\r\ncelled\":1\r\n1\r\n}\r\n0\r\n\r\n".to_vec()
    });
    let guard = Guard::start(&upstream.url(), UNLIMITED);
    let before = guard.records().len();
    assert_eq!(cancel(&guard, "a").text(), r#"{"cancelled":1}"#);
    assert_eq!(assert_forwarded(&guard, before).1["cancelled"], 1);
}

#[test]
fn a_client_that_hangs_up_does_not_keep_the_outcome_from_being_written() {
    let gate = Gate::default();
    let upstream = Upstream::with({
        let gate = gate.clone();
        move |mut connection| {
            while connection.read_request().is_some() {
                gate.pass();
                connection
                    .stream
                    .write_all(&answer("202 Accepted", r#"{"cancelled":7}"#))
                    .unwrap();
            }
        }
    });
    let guard = Guard::start(&upstream.url(), UNLIMITED);
    let mut client = Client::connect(guard.address);
    client.send(format!("DELETE {} HTTP/1.1\r\nHost: guard.test\r\n\r\n", target("a")));
    upstream.wait_for(1);
    drop(client);
    guard.wait_until("the end of the connection", || {
        guard.metric("qstash_guard_connections", &[]) == 0
    });
    assert_eq!(guard.records_of("outcome").len(), 0);
    gate.open();
    let outcome = guard.wait_for("outcome", 1).remove(0);
    assert_eq!(
        (&outcome["result"], &outcome["cancelled"]),
        (&json!("completed"), &json!(7))
    );
    assert_eq!(outcome["request_id"], guard.records_of("intent")[0]["request_id"]);
    assert_eq!(upstream.requests().len(), 1);
}

/// Whenever it leaves, there is an intent with its outcome or neither, and nothing arrives without an intent.
#[test]
fn a_client_that_leaves_at_once_leaves_no_intent_alone() {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let guard = Guard::start(&upstream.url(), UNLIMITED);
    for number in 0..40 {
        let mut client = Client::connect(guard.address);
        client.send(format!(
            "DELETE {} HTTP/1.1\r\nHost: guard.test\r\n\r\n",
            target(&format!("n{number}"))
        ));
        if number % 2 == 0 {
            SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
    }
    let folder = std::sync::Arc::clone(&guard.folder);
    let path = guard.trail_path();
    let (status, log) = guard.stop();
    assert!(status.success(), "{status}: {log}");
    let text = std::fs::read_to_string(path).unwrap();
    drop(folder);
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids = |event: &str| -> Vec<String> {
        let mut ids: Vec<String> = records
            .iter()
            .filter(|r| r["event"] == event)
            .map(|r| r["request_id"].to_string())
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(ids("intent"), ids("outcome"));
    for got in upstream.requests() {
        assert!(
            records
                .iter()
                .any(|r| r["event"] == "intent" && r["target"] == got.target()),
            "{got:?}"
        );
    }
}

/// Sends a cancel that fails upstream; asserts the answer, and gives the outcome.
#[track_caller]
fn assert_fails(guard: &Guard, status: u16, code: &str) -> Value {
    let before = guard.records().len();
    let answer = cancel(guard, "a");
    let body = refusal(&answer, status, &[code]);
    let (intent, outcome) = assert_forwarded(guard, before);
    assert_eq!(
        body["request_id"], intent["request_id"],
        "the client is told under which id to look"
    );
    assert_eq!(outcome["error"], code);
    assert_eq!(guard.records_of("denied").len(), 0, "it was not denied");
    outcome
}

#[test]
fn an_upstream_that_breaks_after_the_request_leaves_it_uncertain() {
    for how in ["close", "reset", "garbage", "half a head"] {
        let upstream = once(move |connection| match how {
            "reset" => reset(connection),
            "garbage" => connection.stream.write_all(b"what?\r\n\r\n").unwrap(),
            "half a head" => connection.stream.write_all(b"HTTP/1.1 202 Accep").unwrap(),
            _ => {}
        });
        let guard = Guard::start(&upstream.url(), UNLIMITED);
        let outcome = assert_fails(&guard, 502, "upstream_failed");
        assert_eq!(outcome["result"], "uncertain", "{how}");
        assert!(outcome["upstream_status"].is_null(), "{how}: {outcome}");
        assert_eq!(upstream.requests().len(), 1, "{how}: a cancel is never sent twice");
    }
}

#[test]
fn an_answer_that_breaks_in_the_middle_is_answered_for() {
    for how in ["close", "reset", "chunked"] {
        let upstream = once(move |connection| {
            let framing = if how == "chunked" {
                "Transfer-Encoding: chunked\r\n\r\n50\r\n"
            } else {
                "Content-Length: 50\r\n\r\n"
            };
            connection
                .stream
                .write_all(format!("HTTP/1.1 202 Accepted\r\n{framing}{{\"cancelled\":3}}").as_bytes())
                .unwrap();
            if how == "reset" {
                reset(connection);
            }
        });
        let guard = Guard::start(&upstream.url(), UNLIMITED);
        let outcome = assert_fails(&guard, 502, "upstream_failed");
        assert_eq!(outcome["result"], "uncertain", "{how}");
        // What it said before is told; whether it is all of it is not known.
        assert_eq!(outcome["cancelled"], 3, "{how}: {outcome}");
        assert_eq!(upstream.requests().len(), 1, "{how}: a cancel is never sent twice");
    }
}

#[test]
fn an_upstream_that_cannot_be_reached_has_seen_nothing() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let guard = Guard::start(&format!("http://{closed}"), UNLIMITED);
    let outcome = assert_fails(&guard, 502, "upstream_unreachable");
    assert_eq!(outcome["result"], "unsent");
    // What is not guarded is answered alike, and leaves no record.
    let before = guard.records().len();
    refusal(&publish(&guard), 502, &["upstream_unreachable"]);
    assert_eq!(guard.records().len(), before);
}

#[test]
fn a_dead_pooled_connection_is_no_lost_cancel() {
    let upstream = once(|connection| {
        connection
            .stream
            .write_all(&answer("202 Accepted", r#"{"cancelled":1}"#))
            .unwrap();
    });
    let guard = Guard::start(&upstream.url(), UNLIMITED);
    for number in 0..10 {
        let before = guard.records().len();
        assert_eq!(cancel(&guard, &format!("n{number}")).status(), 202);
        assert_eq!(assert_forwarded(&guard, before).1["result"], "completed");
    }
    let targets: Vec<String> = upstream
        .requests()
        .iter()
        .map(|request| request.target().to_owned())
        .collect();
    let expected: Vec<String> = (0..10).map(|number| target(&format!("n{number}"))).collect();
    assert_eq!(targets, expected, "each arrived once");
}

#[test]
fn everything_is_recorded_where_it_is_asked_for() {
    let gate = Gate::default();
    let upstream = Upstream::with({
        let gate = gate.clone();
        move |mut connection| {
            while let Some(request) = connection.read_request() {
                if request.target().contains("slow") {
                    gate.pass();
                }
                if connection
                    .stream
                    .write_all(&answer("202 Accepted", r#"{"cancelled":1}"#))
                    .is_err()
                {
                    return;
                }
            }
        }
    });
    let guard = Guard::start(&upstream.url(), &format!("{UNLIMITED}audit: {{record: all}}\n"));
    let before = guard.records().len();
    publish(&guard);
    request(guard.address, "GET", "/v2/brand-new?a=b", &[BEARER], b"");
    cancel(&guard, "a");
    let records = guard.records().split_off(before);
    let events: Vec<&Value> = records.iter().map(|record| &record["event"]).collect();
    assert_eq!(events, ["passed", "passed", "intent", "outcome"]);
    assert_eq!(
        (&records[0]["operation"], &records[1]["operation"]),
        (&json!("messages.publish"), &json!("unknown"))
    );
    assert_eq!(records[0]["target"], "/v2/publish/https://example.com/***");
    assert_eq!(records[1]["target"], "/v2/brand-new?a=***");
    for record in &records[..2] {
        assert_eq!(
            (&record["decision"], &record["upstream_status"]),
            (&json!("allow"), &json!(202))
        );
    }
    // A client that leaves before the answer is recorded too.
    let mut client = Client::connect(guard.address);
    client.send("GET /v2/slow HTTP/1.1\r\nHost: guard.test\r\n\r\n");
    guard.wait_until("the request", || {
        upstream.requests().iter().any(|request| request.target() == "/v2/slow")
    });
    drop(client);
    let passed = guard.wait_for("passed", 3).remove(2);
    assert_eq!(passed["target"], "/v2/slow");
    assert!(
        passed["upstream_status"].is_null() && passed["error"].is_string(),
        "{passed}"
    );
    gate.open();
}

#[test]
fn a_passed_request_that_failed_is_recorded_under_the_id_of_its_answer() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let guard = Guard::start(
        &format!("http://{closed}"),
        &format!("{UNLIMITED}audit: {{record: all}}\n"),
    );
    let body = refusal(&publish(&guard), 502, &["upstream_unreachable"]);
    let passed = guard.records_of("passed").remove(0);
    assert_eq!(
        (&passed["request_id"], &passed["error"]),
        (&body["request_id"], &json!("upstream_unreachable"))
    );
}
