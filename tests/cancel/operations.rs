//! Operations that the policy denies, and publishes to QStash itself.

use crate::support::{assert_denied, request};
use crate::{TOKEN, delete, start};

#[test]
fn a_denied_operation_reaches_nobody() {
    let (upstream, guard) = start(
        "policy:\n  operations:\n    keys.rotate: deny\n    dlq.*: deny\n    dlq.list: allow\n    queues.p*: deny\n    \
         unknown: deny\n",
    );
    let rows = [
        ("POST", "/v2/keys/rotate", "keys.rotate"),
        ("DELETE", "/v2/dlq/id", "dlq.delete"),
        ("DELETE", "/v2/dlq", "dlq.bulk_delete"),
        ("POST", "/v2/queues/q/pause", "queues.pause"),
        ("GET", "/v2/brand-new", "unknown"),
        ("PUT", "/v2/keys/rotate", "unknown"),
    ];
    for (method, target, operation) in rows {
        let before = guard.records().len();
        let answer = request(guard.address, method, target, &[TOKEN], b"");
        let record = assert_denied(&guard, before, &answer, 403, &["operation_denied"]);
        assert_eq!(record["operation"], operation, "{method} {target}");
        assert!(answer.text().contains(operation), "{answer:?}");
        let counted = guard.metric(
            "qstash_guard_requests_total",
            &[
                &format!("operation=\"{operation}\""),
                "decision=\"deny\"",
                "code=\"operation_denied\"",
            ],
        );
        assert!(counted >= 1, "{operation}: {counted}");
    }
    upstream.assert_untouched();
    for (method, target) in [
        ("GET", "/v2/dlq"),
        ("POST", "/v2/queues/q/resume"),
        ("GET", "/v2/keys"),
        ("GET", "/v2/queues"),
    ] {
        assert_eq!(
            request(guard.address, method, target, &[TOKEN], b"").status(),
            202,
            "{method} {target}"
        );
    }
}

#[test]
fn other_spellings_of_a_denied_operation_are_no_way_around() {
    let (upstream, guard) = start("policy: {operations: {keys.rotate: deny}}\n");
    for (target, status, code) in [
        ("/V2/Keys/ROTATE", 403, "operation_denied"),
        ("//v2/keys//rotate/", 403, "operation_denied"),
        ("/v2/%6beys/rotate", 403, "operation_denied"),
        ("/v2/x/../keys/rotate", 400, "ambiguous_request"),
        ("/v2/keys/rotate;a", 400, "ambiguous_request"),
        ("/v2/keys%2frotate", 400, "ambiguous_request"),
    ] {
        let before = guard.records().len();
        let answer = request(guard.address, "POST", target, &[TOKEN], b"");
        assert_denied(&guard, before, &answer, status, &[code]);
    }
    upstream.assert_untouched();
}

#[test]
fn bulk_cancels_can_be_denied_or_let_through_altogether() {
    let (upstream, guard) = start("policy: {operations: {messages.bulk_cancel: deny}}\n");
    let before = guard.records().len();
    assert_denied(
        &guard,
        before,
        &delete(&guard, "/v2/messages?messageIds=a"),
        403,
        &["operation_denied"],
    );
    upstream.assert_untouched();
    let (upstream, guard) = start("policy: {operations: {messages.bulk_cancel: allow}}\n");
    let before = guard.records().len();
    assert_eq!(delete(&guard, "/v2/messages").status(), 202);
    assert_eq!(upstream.request().line(), "DELETE /v2/messages HTTP/1.1");
    assert_eq!(guard.records().len(), before, "it passes unread and unrecorded");
    // A glob does not lift the guard.
    let (upstream, guard) = start("policy: {operations: {\"messages.*\": allow}}\n");
    assert_eq!(delete(&guard, "/v2/messages").status(), 403);
    upstream.assert_untouched();
}

#[test]
fn nothing_is_published_to_qstash_itself() {
    let (upstream, guard) = start("");
    let own = format!("/v2/publish/http://{}/v2/messages", upstream.host());
    for target in [
        own.as_str(),
        "/v2/publish/https://qstash.upstash.io/v2/messages",
        "/v2/publish/https://QSTASH.Upstash.io./v2/messages",
        "/v2/publish/https://qstash-us-east-1.upstash.io/v2/messages",
        "/v2/publish/https://user:pass@qstash.upstash.io:443/v2/messages",
        "/v2/publish/https%3A%2F%2Fqstash.upstash.io%2Fv2%2Fmessages",
        "/v2/enqueue/q/https://qstash.upstash.io/v2/messages",
        "/v2/schedules/https://qstash.upstash.io/v2/messages",
        "/v2/trigger/https://qstash.upstash.io/v2/messages",
    ] {
        let before = guard.records().len();
        let answer = request(guard.address, "POST", target, &[TOKEN], b"{}");
        let record = assert_denied(&guard, before, &answer, 403, &["destination_is_qstash"]);
        assert!(!record["target"].as_str().unwrap().contains("pass"), "{record}");
    }
    upstream.assert_untouched();
    for target in [
        "/v2/publish/https://example.com/qstash.upstash.io",
        "/v2/publish/https://qstash.upstash.io.example.com/",
        "/v2/publish/https://example.com?to=https://qstash.upstash.io",
    ] {
        assert_eq!(
            request(guard.address, "POST", target, &[TOKEN], b"{}").status(),
            202,
            "{target}"
        );
    }
    let (upstream, guard) = start("policy: {qstash_destinations: allow}\n");
    let target = "/v2/publish/https://qstash.upstash.io/v2/messages";
    assert_eq!(request(guard.address, "POST", target, &[TOKEN], b"{}").status(), 202);
    assert_eq!(upstream.request().target(), target);
}
