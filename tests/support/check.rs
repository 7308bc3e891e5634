//! What every refusal, and every cancel that goes on, must look like from outside.

use serde_json::Value;

use super::client::Answer;
use super::guard::Guard;
use super::upstream::RawRequest;

/// Asserts that the guard answered a refusal in full form: status, headers, and a body with these codes in this order.
#[track_caller]
pub fn refusal(answer: &Answer, status: u16, codes: &[&str]) -> Value {
    let body = answer.json();
    let listed: Vec<&str> = list(&body["violations"]).iter().map(|v| text(&v["code"])).collect();
    assert_eq!((answer.status(), listed.as_slice()), (status, codes), "{answer:?}");
    assert_eq!(answer.header("content-type"), ["application/json"], "{answer:?}");
    assert_eq!(answer.header("qstash-guard-code"), [codes[0]], "{answer:?}");
    assert_eq!(
        answer.header("qstash-guard-request-id"),
        [text(&body["request_id"])],
        "{answer:?}"
    );
    assert_eq!(body["code"], codes[0], "{answer:?}");
    let pointed = format!(
        "{} (qstash-guard: docs/refusals.md#{})",
        text(&body["violations"][0]["message"]),
        codes[0]
    );
    assert_eq!(body["error"], pointed, "{answer:?}");
    let ids = ["error", "code", "violations", "rule", "limit", "request_id"];
    let mut left = ids.iter();
    for (name, value) in body.as_object().unwrap() {
        assert!(
            left.any(|known| known == name),
            "`{name}` is unknown or out of order: {answer:?}"
        );
        assert!(!value.is_null(), "`{name}` is null instead of left out: {answer:?}");
    }
    for violation in list(&body["violations"]) {
        let message = text(&violation["message"]);
        assert!(
            message.ends_with(['.', '?']) && message.len() > 20,
            "no sentence: {message:?}"
        );
        assert_eq!(violation.as_object().unwrap().len(), 2, "{violation}");
    }
    assert!(
        answer
            .head
            .lines()
            .all(|line| !line.to_lowercase().starts_with("ratelimit-")),
        "{answer:?}"
    );
    body
}

/// Asserts a refusal that left exactly one record, a `denied` with the same id, codes and messages; gives that record.
/// `before` is the number of records there were.
#[track_caller]
pub fn assert_denied(guard: &Guard, before: usize, answer: &Answer, status: u16, codes: &[&str]) -> Value {
    let body = refusal(answer, status, codes);
    let mut records = guard.records().split_off(before);
    assert_eq!(records.len(), 1, "a refusal leaves one record: {records:#?}");
    let record = records.remove(0);
    assert_eq!(
        (text(&record["event"]), text(&record["decision"])),
        ("denied", "deny"),
        "{record}"
    );
    for name in ["request_id", "code", "violations", "limit"] {
        assert_eq!(record[name], body[name], "{name} of {record}");
    }
    assert!(record["policy"].as_str().unwrap().starts_with("sha256:"), "{record}");
    assert_eq!(record["client"], "127.0.0.1", "{record}");
    record
}

/// Asserts that exactly an `intent` and its `outcome` were recorded; gives them.
#[track_caller]
pub fn assert_forwarded(guard: &Guard, before: usize) -> (Value, Value) {
    let records = guard.records().split_off(before);
    let [intent, outcome] = records.as_slice() else {
        panic!("an intent and an outcome were expected: {records:#?}");
    };
    assert_eq!(
        (text(&intent["event"]), text(&outcome["event"])),
        ("intent", "outcome"),
        "{records:#?}"
    );
    for name in ["request_id", "caller", "client", "operation", "policy"] {
        assert!(intent[name].is_string(), "{name} of {intent}");
        assert_eq!(intent[name], outcome[name], "{name}: {records:#?}");
    }
    (intent.clone(), outcome.clone())
}

/// Asserts that the upstream got the request with its bytes unchanged, but for `Host`. `headers` are those that the
/// client sent, without Host.
#[track_caller]
pub fn assert_unchanged(got: &RawRequest, method: &str, target: &str, headers: &[&str], body: &[u8], host: &str) {
    assert_eq!(got.line(), format!("{method} {target} HTTP/1.1"));
    let mut expected: Vec<String> = headers.iter().map(|line| (*line).to_owned()).collect();
    expected.push(format!("Host: {host}"));
    if !body.is_empty() {
        expected.push(format!("Content-Length: {}", body.len()));
    }
    let mut received = got.headers();
    received.sort_unstable();
    expected.sort_unstable();
    assert_eq!(received, expected, "headers of {target}");
    assert_eq!(String::from_utf8_lossy(&got.body), String::from_utf8_lossy(body));
}

/// A record or answer without what differs from run to run.
pub fn redacted(value: &Value) -> Value {
    let mut value = value.clone();
    let fields = value.as_object_mut().expect("an object");
    for (name, field) in fields.iter_mut() {
        match name.as_str() {
            "time" | "instance" | "request_id" | "prev" | "policy" | "duration_ms" => {
                *field = format!("[{name}]").into();
            }
            "detail" if text(field).contains("upstream 127.0.0.1") => {
                let shown = text(field).to_owned();
                let (before, port) = shown.split_once("127.0.0.1:").unwrap();
                let rest = port.trim_start_matches(|c: char| c.is_ascii_digit());
                *field = format!("{before}[address]{rest}").into();
            }
            _ => {}
        }
    }
    value
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
