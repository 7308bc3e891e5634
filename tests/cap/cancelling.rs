//! What is sent in the place of a cancel, and what is said when not all of it goes well.

use std::process::Stdio;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::script::{asked, cancelling, done, serving, waiting};
use crate::support::upstream::answer;
use crate::support::{Answer, Folder, Guard, Upstream, assert_forwarded, refusal};
use crate::{CHUNKS_OF_TWO, GUARDED, cancelled, delete, start};

#[test]
fn ids_go_in_chunks_and_are_summed_up() {
    let upstream = serving(vec![waiting(0..9)]);
    let guard = Guard::start(&upstream.url(), CHUNKS_OF_TWO);
    let answer = delete(&guard, "/v2/messages?label=a&count=5&async=true");
    assert_eq!(
        (answer.status(), answer.json()),
        (200, json!({"cancelled": 5})),
        "{answer:?}"
    );
    let sent = cancelled(&upstream);
    assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    let (intent, outcome) = assert_forwarded(&guard, 1);
    assert_eq!(
        intent["selection"]["ids"],
        json!(sent.concat()),
        "all ids that were sent"
    );
    assert_eq!(outcome["cancelled"], 5);
    assert_eq!(guard.metric("qstash_guard_cancelled_messages_total", &[]), 5);
}

#[test]
fn the_intent_is_on_disk_before_the_first_cancel() {
    let trail = Arc::new(std::sync::Mutex::new(std::path::PathBuf::new()));
    let path = Arc::clone(&trail);
    let upstream = cancelling(vec![waiting(0..3)], move |_, request| {
        let text = std::fs::read_to_string(&*path.lock().unwrap()).unwrap();
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["event"], "intent");
        assert_eq!(last["selection"]["ids"], json!(["msg_000", "msg_001", "msg_002"]));
        done(request)
    });
    let guard = start(&upstream);
    *trail.lock().unwrap() = guard.trail_path();
    assert_eq!(
        delete(&guard, "/v2/messages?label=a&count=3").json(),
        json!({"cancelled": 3})
    );
}

#[test]
fn long_ids_make_shorter_chunks() {
    let long: Vec<Value> = waiting(0..100)
        .into_iter()
        .map(|mut entry| {
            entry["messageId"] = format!("{}{}", entry["messageId"].as_str().unwrap(), "x".repeat(200)).into();
            entry
        })
        .collect();
    let upstream = serving(vec![long]);
    let guard = start(&upstream);
    assert_eq!(
        delete(&guard, "/v2/messages?label=a&count=100").json(),
        json!({"cancelled": 100})
    );
    let targets: Vec<usize> = upstream
        .requests()
        .iter()
        .map(|request| request.target().len())
        .collect();
    assert!(
        targets.len() > 3 && targets.iter().all(|length| *length <= 6 * 1024),
        "{targets:?}"
    );
    assert_eq!(cancelled(&upstream).concat().len(), 100);
}

#[test]
fn where_nothing_matches_nothing_is_sent() {
    let upstream = serving(vec![vec![]]);
    let guard = start(&upstream);
    let answer = delete(&guard, "/v2/messages?label=a&count=5");
    assert_eq!((answer.status(), answer.json()), (200, json!({"cancelled": 0})));
    assert_eq!(upstream.request().line(), "GET /v2/logs?count=100&label=a HTTP/1.1");
    let (intent, outcome) = assert_forwarded(&guard, 1);
    assert!(intent["selection"]["ids"].is_null(), "{intent}");
    assert_eq!(
        (&outcome["result"], &outcome["cancelled"], &outcome["upstream_status"]),
        (&json!("completed"), &json!(0), &Value::Null)
    );
}

#[test]
fn a_message_that_was_delivered_meanwhile_is_not_counted() {
    let upstream = cancelling(vec![waiting(0..3)], |_, _| answer("202 Accepted", r#"{"cancelled":2}"#));
    let guard = start(&upstream);
    assert_eq!(
        delete(&guard, "/v2/messages?label=a&count=3").json(),
        json!({"cancelled": 2})
    );
    assert_eq!(assert_forwarded(&guard, 1).1["cancelled"], 2);
}

/// Cancels six messages in chunks of two, of which the second is answered like this.
fn second(respond: fn(&crate::support::RawRequest) -> Vec<u8>) -> (Upstream, Guard, Answer) {
    let upstream = cancelling(vec![waiting(0..6)], move |number, request| match number {
        1 => respond(request),
        _ => done(request),
    });
    let guard = Guard::start(&upstream.url(), CHUNKS_OF_TWO);
    let answer = delete(&guard, "/v2/messages?label=a&count=6");
    (upstream, guard, answer)
}

type Respond = fn(&crate::support::RawRequest) -> Vec<u8>;

#[test]
fn a_chunk_that_fails_ends_it_and_the_answer_says_how_many() {
    let rows: &[(Respond, &str, &str)] = &[
        (|_| answer("500 No", "{}"), "uncertain", "QStash answered 500"),
        (|_| answer("429 No", "{}"), "uncertain", "QStash answered 429"),
        (
            |_| answer("200 OK", "OK"),
            "uncertain",
            "QStash answered 200 without a number",
        ),
        (
            |_| b"nonsense\r\n\r\n".to_vec(),
            "uncertain",
            "the connection to QStash broke",
        ),
        (
            |_| b"HTTP/1.1 202 OK\r\nContent-Length: 90\r\nConnection: close\r\n\r\n{\"cancelled\":2".to_vec(),
            "uncertain",
            "QStash answered 202, and the answer did not come to its end",
        ),
        (|_| answer("403 No", "{}"), "completed", "QStash answered 403"),
        (|_| answer("404 No", "{}"), "completed", "QStash answered 404"),
        (|_| answer("412 No", "{}"), "completed", "QStash answered 412"),
    ];
    for (respond, result, why) in rows {
        // Where the answer breaks off, the upstream has to close the connection.
        let broken = String::from_utf8_lossy(&respond(&crate::support::RawRequest {
            head: String::new(),
            body: vec![],
        }))
        .contains("Content-Length: 90");
        let (upstream, guard, answer) = if broken { breaking() } else { second(*respond) };
        let body = refusal(&answer, 502, &["cap_unresolvable"]);
        let error = body["error"].as_str().unwrap();
        assert!(
            error.starts_with("Of 6 messages that the cancel may take, 2 were cancelled, then "),
            "{error}"
        );
        assert!(error.contains(why), "{error}");
        assert_eq!(error.contains("up to 2 more"), *result == "uncertain", "{error}");
        assert_eq!(cancelled(&upstream).len(), 2, "{why}: nothing goes after it");
        let (intent, outcome) = assert_forwarded(&guard, 1);
        assert_eq!(intent["selection"]["ids_total"], 6);
        assert_eq!(
            (&outcome["result"], &outcome["cancelled"], &outcome["error"]),
            (&json!(result), &json!(2), &json!("cap_unresolvable")),
            "{why}"
        );
    }
}

/// The same with an answer that breaks off in its body.
fn breaking() -> (Upstream, Guard, Answer) {
    use std::io::Write as _;
    use std::sync::atomic::{AtomicUsize, Ordering};

    let cancels = AtomicUsize::new(0);
    let upstream = Upstream::with(move |mut connection| {
        while let Some(request) = connection.read_request() {
            let listed = crate::script::listing(&[waiting(0..6)], &request);
            let breaks = listed.is_none() && cancels.fetch_add(1, Ordering::SeqCst) == 1;
            let text = if breaks {
                b"HTTP/1.1 202 OK\r\nContent-Length: 90\r\n\r\n{\"cancelled\":2".to_vec()
            } else {
                listed.unwrap_or_else(|| done(&request))
            };
            if connection.stream.write_all(&text).is_err() || breaks {
                return;
            }
        }
    });
    let guard = Guard::start(&upstream.url(), CHUNKS_OF_TWO);
    let answer = delete(&guard, "/v2/messages?label=a&count=6");
    (upstream, guard, answer)
}

#[test]
fn a_first_chunk_that_is_refused_cancelled_nothing() {
    let upstream = cancelling(vec![waiting(0..3)], |_, _| answer("403 Forbidden", "{}"));
    let guard = start(&upstream);
    let answer = delete(&guard, "/v2/messages?label=a&count=3");
    let body = refusal(&answer, 502, &["cap_unresolvable"]);
    assert!(body["error"].as_str().unwrap().contains(" 0 were cancelled"), "{body}");
    let (_, outcome) = assert_forwarded(&guard, 1);
    assert_eq!(
        (&outcome["result"], &outcome["cancelled"], &outcome["upstream_status"]),
        (&json!("refused"), &json!(0), &json!(403))
    );
}

#[test]
fn an_answer_that_says_that_more_went_ends_it() {
    let (upstream, guard, answer) = second(|_| answer("202 OK", r#"{"cancelled":900}"#));
    let body = refusal(&answer, 502, &["cap_unresolvable"]);
    assert!(body["error"].as_str().unwrap().contains("902 were cancelled"), "{body}");
    assert_eq!(cancelled(&upstream).len(), 2);
    assert_eq!(guard.wait_for("outcome", 1)[0]["cancelled"], 902);
}

#[test]
fn a_packed_answer_is_read() {
    let upstream = cancelling(vec![waiting(0..3)], |_, request| {
        use std::io::Write as _;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        write!(gzip, "{{\"cancelled\":{}}}", asked(request)).unwrap();
        let packed = gzip.finish().unwrap();
        let length = packed.len();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n");
        [head.into_bytes(), packed].concat()
    });
    let guard = start(&upstream);
    assert_eq!(
        delete(&guard, "/v2/messages?label=a&count=3").json(),
        json!({"cancelled": 3})
    );
}

#[test]
fn a_cancel_by_ids_goes_on_unchanged() {
    let upstream = Upstream::json(r#"{"cancelled":2}"#);
    let guard = start(&upstream);
    let target = "/v2/messages?messageIds=a&messageIds=b%2Cc&count=9";
    let answer = delete(&guard, target);
    assert_eq!((answer.status(), answer.text().as_str()), (202, r#"{"cancelled":2}"#));
    assert_eq!(upstream.request().target(), target);
    let (_, outcome) = assert_forwarded(&guard, 1);
    assert_eq!(outcome["upstream_status"], 202);
}

#[test]
fn what_the_policy_refuses_lists_nothing() {
    let upstream = serving(vec![waiting(0..3)]);
    let guard = start(&upstream);
    for target in [
        "/v2/messages?count=5",
        "/v2/messages?label=a",
        "/v2/messages?label=a&count=101",
    ] {
        assert_eq!(delete(&guard, target).status(), 403, "{target}");
    }
    upstream.assert_untouched();
}

#[test]
fn a_trail_that_cannot_be_written_cancels_nothing() {
    let upstream = serving(vec![waiting(0..3)]);
    let folder = Arc::new(Folder::new());
    let mut command = Guard::command(&folder, &upstream.url(), &format!("{GUARDED}audit: {{path: \"-\"}}\n"));
    command.stdout(Stdio::piped());
    let mut guard = Guard::spawn_with_stdout(folder, command);
    // Nobody reads the trail any more.
    drop(guard.child.stdout.take());
    let answer = delete(&guard, "/v2/messages?label=a&count=2");
    refusal(&answer, 503, &["audit_unavailable"]);
    assert_eq!(upstream.request().line(), "GET /v2/logs?count=100&label=a HTTP/1.1");
}
