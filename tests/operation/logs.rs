//! The log: JSON where nobody sits before it, one line a request.

use serde_json::Value;

use crate::support::{Guard, Upstream, request};

/// The log of a guard that served one passing and one refused request.
fn log_of(level: &str) -> Vec<Value> {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), &format!("log: {{level: {level}}}"));
    let token = "Authorization: Bearer secret-token";
    let target = "/v2/publish/https://user:secret-info@example.com/secret-path?qstash_token=secret-token";
    assert_eq!(
        request(guard.address, "POST", target, &[token], b"secret-body").status(),
        202
    );
    assert_eq!(
        request(guard.address, "DELETE", "/v2/messages", &[token], b"").status(),
        403
    );
    let (_, log) = guard.stop();
    assert!(!log.contains("secret"), "{log}");
    log.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect()
}

fn named<'a>(log: &'a [Value], message: &str) -> Vec<&'a Value> {
    log.iter().filter(|entry| entry["message"] == message).collect()
}

#[test]
fn at_debug_each_request_is_one_line() {
    let log = log_of("debug");
    let passed = named(&log, "request");
    assert_eq!(passed.len(), 1, "{log:#?}");
    assert_eq!(passed[0]["level"], "DEBUG");
    assert_eq!(
        (&passed[0]["operation"], &passed[0]["method"], &passed[0]["status"]),
        (&"messages.publish".into(), &"POST".into(), &"202 Accepted".into())
    );
    let denied = named(&log, "denied");
    assert_eq!(denied.len(), 1, "{log:#?}");
    assert_eq!(denied[0]["level"], "INFO");
    assert_eq!(
        (&denied[0]["operation"], &denied[0]["code"]),
        (&"messages.bulk_cancel".into(), &"unfiltered_cancel".into())
    );
}

#[test]
fn at_info_only_what_was_refused_is_a_line() {
    let log = log_of("info");
    assert_eq!(
        (named(&log, "request").len(), named(&log, "denied").len()),
        (0, 1),
        "{log:#?}"
    );
    assert_eq!((named(&log, "listening").len(), named(&log, "stopped").len()), (1, 1));
}
