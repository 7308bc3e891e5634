//! Monitor mode: everything goes on unchanged, and what would have been refused is recorded.

use crate::support::check::assert_unchanged;
use crate::support::{Client, assert_forwarded, request};
use crate::{CANCELLED, TOKEN, delete, start};

const MONITOR: &str = "mode: monitor";

#[test]
fn what_would_be_refused_goes_on_and_is_recorded() {
    let (upstream, guard) = start(&format!("policy: {{{MONITOR}}}\n"));
    let rows: &[(&str, &str, &[&str])] = &[
        ("/v2/messages", "", &["unfiltered_cancel", "uncapped_cancel"]),
        ("/v2/messages?label=a", "", &["uncapped_cancel"]),
        (
            "/v2/messages?lable=a&count=500",
            "",
            &["unknown_parameter", "unfiltered_cancel", "count_over_cap"],
        ),
        ("/v2/messages?label=%zz&count=5", "", &["ambiguous_request"]),
        (
            "/v2/messages/../messages?label=a",
            "",
            &["ambiguous_request", "uncapped_cancel"],
        ),
        ("/v2/messages", "[]", &["unsupported_body"]),
        (
            "/v2/messages",
            r#"{"messageIds":[]}"#,
            &["unfiltered_cancel", "uncapped_cancel"],
        ),
    ];
    for (target, body, codes) in rows {
        let (before, requests) = (guard.records().len(), upstream.requests().len());
        let answer = request(guard.address, "DELETE", target, &[TOKEN], body.as_bytes());
        assert_eq!((answer.status(), answer.text().as_str()), (202, CANCELLED), "{target}");
        let got = upstream.requests().split_off(requests);
        assert_unchanged(&got[0], "DELETE", target, &[TOKEN], body.as_bytes(), &upstream.host());
        let (intent, outcome) = assert_forwarded(&guard, before);
        let listed: Vec<&str> = intent["violations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v["code"].as_str().unwrap())
            .collect();
        assert_eq!(
            (&intent["decision"], listed.as_slice()),
            (&"would_deny".into(), *codes),
            "{target}"
        );
        assert_eq!(intent["code"], codes[0]);
        assert_eq!(outcome["result"], "completed");
    }
    let would_deny = ["decision=\"would_deny\"", "operation=\"messages.bulk_cancel\""];
    let counted = guard.metric("qstash_guard_requests_total", &would_deny);
    assert_eq!(counted, rows.len() as u64);
    let before = guard.records().len();
    assert_eq!(delete(&guard, "/v2/messages?label=a&count=5").status(), 202);
    assert_eq!(assert_forwarded(&guard, before).0["decision"], "allow");
}

#[test]
fn a_body_over_the_bound_goes_on_unchanged() {
    let (upstream, guard) = start(&format!(
        "policy: {{{MONITOR}}}\nresources: {{max_inspected_body: 1KiB}}\n"
    ));
    let before = guard.records().len();
    let ids: Vec<String> = (0..20_000).map(|id| format!("\"message-{id}\"")).collect();
    let body = format!("{{\"messageIds\":[{}]}}", ids.join(","));
    let answer = request(guard.address, "DELETE", "/v2/messages", &[TOKEN], body.as_bytes());
    assert_eq!(answer.status(), 202);
    assert_unchanged(
        &upstream.request(),
        "DELETE",
        "/v2/messages",
        &[TOKEN],
        body.as_bytes(),
        &upstream.host(),
    );
    let (intent, _) = assert_forwarded(&guard, before);
    assert_eq!(
        (&intent["decision"], &intent["code"]),
        (&"would_deny".into(), &"body_too_large".into())
    );
}

#[test]
fn a_body_that_breaks_off_does_not_go_on_whole() {
    let (upstream, guard) = start(&format!(
        "policy: {{{MONITOR}}}\nresources: {{body_idle_timeout: 250ms}}\n"
    ));
    let before = guard.records().len();
    let mut client = Client::connect(guard.address);
    client.send("DELETE /v2/messages HTTP/1.1\r\nHost: guard.test\r\nContent-Length: 24\r\n\r\n{\"messageIds\"");
    let answer = client.answer();
    assert_eq!((answer.status(), answer.code().as_str()), (408, "body_timeout"));
    assert_eq!(upstream.requests().len(), 0, "no whole request arrived");
    let (intent, outcome) = assert_forwarded(&guard, before);
    assert_eq!(
        (&intent["decision"], &outcome["result"]),
        (&"would_deny".into(), &"uncertain".into())
    );
    assert_eq!(answer.json()["request_id"], outcome["request_id"]);
}

#[test]
fn operations_that_would_be_denied_are_recorded_as_passed() {
    let (upstream, guard) = start(&format!(
        "policy: {{{MONITOR}, operations: {{keys.rotate: deny, queues.*: deny}}}}\n"
    ));
    for (method, target, operation, code) in [
        ("POST", "/v2/keys/rotate", "keys.rotate", "operation_denied"),
        ("DELETE", "/v2/queues/q", "queues.delete", "operation_denied"),
        (
            "POST",
            "/v2/publish/https://qstash.upstash.io/v2/messages",
            "messages.publish",
            "destination_is_qstash",
        ),
        ("GET", "/v2/x/../queues", "queues.list", "ambiguous_request"),
        (
            "DELETE",
            "/v2/messages/msg_1/..",
            "messages.bulk_cancel",
            "ambiguous_request",
        ),
    ] {
        let (before, requests) = (guard.records().len(), upstream.requests().len());
        assert_eq!(
            request(guard.address, method, target, &[TOKEN], b"").status(),
            202,
            "{target}"
        );
        assert_eq!(upstream.wait_for(requests + 1).target(), target);
        let records = guard.records().split_off(before);
        let event = if operation == "messages.bulk_cancel" {
            "intent"
        } else {
            "passed"
        };
        assert_eq!(records[0]["event"], event, "{records:#?}");
        assert_eq!(records.len(), if event == "intent" { 2 } else { 1 }, "{records:#?}");
        assert_eq!(
            (&records[0]["decision"], &records[0]["code"]),
            (&"would_deny".into(), &code.into())
        );
        assert_eq!(records[0]["operation"], operation, "{target}");
    }
}

#[test]
fn credentials_and_http_are_enforced_all_the_same() {
    let (upstream, guard) = start(&format!("policy: {{{MONITOR}}}\n"));
    let conflict = request(
        guard.address,
        "DELETE",
        "/v2/messages?qstash_token=other",
        &[TOKEN],
        b"",
    );
    assert_eq!(
        (conflict.status(), conflict.code().as_str()),
        (400, "conflicting_credentials")
    );
    let trace = request(guard.address, "TRACE", "/v2/messages", &[TOKEN], b"");
    assert_eq!((trace.status(), trace.code().as_str()), (405, "method_not_served"));
    upstream.assert_untouched();
}
