//! Where the guard's token stands in what goes on, and what of the client's goes with it.

use std::collections::HashSet;

use qstash_guard::qstash::operation::{Operation, Verb};
use qstash_guard::qstash::target::Target;

use crate::support::{Client, check, request};
use crate::{ENCODED, KEY, NEXT_KEY, Place, bearer, place, start};

/// One request of every operation; those that QStash calls out for.
const CALLS_OUT: [(&str, &str); 6] = [
    ("POST", "/v2/publish/https://example.com/hook"),
    ("POST", "/v2/enqueue/queue/https://example.com/hook"),
    ("POST", "/v2/batch"),
    ("POST", "/v2/schedules/https://example.com/hook"),
    ("POST", "/v2/trigger/https://example.com/flow"),
    ("POST", "/v2/batch/trigger"),
];

/// The others.
const OTHERS: [(&str, &str); 54] = [
    ("GET", "/v2/messages/msg_1"),
    ("POST", "/v2/messages/msg_1/retry"),
    ("DELETE", "/v2/messages/msg_1"),
    ("DELETE", "/v2/messages?label=a&count=5"),
    ("GET", "/v2/bulkActions"),
    ("GET", "/v2/bulkActions/ba_1"),
    ("GET", "/v2/queues"),
    ("GET", "/v2/queues/q"),
    ("POST", "/v2/queues"),
    ("DELETE", "/v2/queues/q"),
    ("POST", "/v2/queues/q/pause"),
    ("POST", "/v2/queues/q/resume"),
    ("GET", "/v2/schedules"),
    ("GET", "/v2/schedules/scd_1"),
    ("DELETE", "/v2/schedules/scd_1"),
    ("PATCH", "/v2/schedules/scd_1/pause"),
    ("POST", "/v2/schedules/scd_1/resume"),
    ("GET", "/v2/topics"),
    ("GET", "/v2/topics/t"),
    ("DELETE", "/v2/topics/t"),
    ("POST", "/v2/topics/t/endpoints"),
    ("DELETE", "/v2/topics/t/endpoints"),
    ("GET", "/v2/dlq"),
    ("GET", "/v2/dlq/1"),
    ("DELETE", "/v2/dlq/1"),
    ("DELETE", "/v2/dlq?dlqIds=1"),
    ("POST", "/v2/dlq/retry/1"),
    ("POST", "/v2/dlq/retry?dlqIds=1"),
    ("GET", "/v2/flowControl"),
    ("GET", "/v2/flowControl/k"),
    ("POST", "/v2/flowControl/k/pause"),
    ("POST", "/v2/flowControl/k/resume"),
    ("POST", "/v2/flowControl/k/pin"),
    ("POST", "/v2/flowControl/k/unpin"),
    ("POST", "/v2/flowControl/k/resetRate"),
    ("GET", "/v2/keys"),
    ("POST", "/v2/keys/rotate"),
    ("GET", "/v2/logs?state=ERROR"),
    ("GET", "/v2/workflows/runs/wfr_1"),
    ("DELETE", "/v2/workflows/runs/wfr_1"),
    ("DELETE", "/v2/workflows/runs?workflowRunIds=wfr_1"),
    ("GET", "/v2/workflows/logs"),
    ("POST", "/v2/notify/event"),
    ("GET", "/v2/waiters/event"),
    ("GET", "/v2/workflows/dlq"),
    ("GET", "/v2/workflows/dlq/1"),
    ("DELETE", "/v2/workflows/dlq/1"),
    ("DELETE", "/v2/workflows/dlq?dlqIds=1"),
    ("POST", "/v2/workflows/dlq/resume/1"),
    ("POST", "/v2/workflows/dlq/restart/1"),
    ("POST", "/v2/workflows/dlq/resume?dlqIds=1"),
    ("POST", "/v2/workflows/dlq/restart?dlqIds=1"),
    ("POST", "/llm/v1/chat/completions"),
    ("POST", "/v2/brand-new/endpoint"),
];

fn operation(method: &str, target: &str) -> Operation {
    let path = target.split('?').next().unwrap();
    Target::read(path.as_bytes()).operation(Verb::read(method))
}

#[test]
fn every_operation_gets_the_token_where_it_belongs() {
    let (upstream, guard) = start("");
    let mut seen = HashSet::new();
    let cases = CALLS_OUT.map(|case| (case, Place::Pair));
    let cases = cases.into_iter().chain(OTHERS.map(|case| (case, Place::Header)));
    let mut client = Client::connect(guard.address);
    for (number, ((method, target), expected)) in cases.enumerate() {
        seen.insert(operation(method, target));
        let body: &[u8] = if method == "POST" { b"[]" } else { b"" };
        let answer = client.request(method, target, &[&bearer(KEY)], body);
        assert_eq!(answer.status(), 202, "{method} {target}: {answer:?}");
        let got = upstream.wait_for(number + 1);
        assert_eq!(place(&got), expected, "{method} {target}");
        let (at, added) = match expected {
            Place::Header => (target.to_owned(), format!("Authorization: Bearer {}", crate::TOKEN)),
            Place::Pair => (format!("{target}?qstash_token={ENCODED}"), String::new()),
        };
        let headers: Vec<&str> = [added.as_str()].into_iter().filter(|line| !line.is_empty()).collect();
        check::assert_unchanged(&got, method, &at, &headers, body, &upstream.host());
    }
    let missing: Vec<_> = Operation::ALL.iter().filter(|op| !seen.contains(op)).collect();
    assert!(missing.is_empty(), "not tried: {missing:?}");
}

#[test]
fn the_pair_stands_behind_the_destinations_own_query() {
    let (upstream, guard) = start("");
    for (number, (target, forwarded)) in [
        (
            "/v2/publish/https://e.com/hook?x=1",
            "/v2/publish/https://e.com/hook?x=1&",
        ),
        ("/v2/publish/https://e.com/hook?", "/v2/publish/https://e.com/hook?"),
        (
            "/v2/publish/https://e.com/?a=%2f&&b",
            "/v2/publish/https://e.com/?a=%2f&&b&",
        ),
        (
            "/v2/publish/https://e.com//a/../b?x=?",
            "/v2/publish/https://e.com//a/../b?x=?&",
        ),
        (
            "/v2/publish/https://e.com?qstash_token=$K",
            "/v2/publish/https://e.com?",
        ),
        (
            "/v2/publish/https://e.com?x=1&qstash_token=$K&y=2",
            "/v2/publish/https://e.com?x=1&y=2&",
        ),
        (
            "/v2/publish/https://e.com?qstash%5Ftoken=$K&y=2",
            "/v2/publish/https://e.com?y=2&",
        ),
        (
            "/v2/publish/https://e.com?qstash_token=&y=2",
            "/v2/publish/https://e.com?y=2&",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let target = target.replace("$K", KEY);
        let answer = request(guard.address, "POST", &target, &[&bearer(KEY)], b"x");
        assert_eq!(answer.status(), 202, "{target}: {answer:?}");
        let got = upstream.wait_for(number + 1);
        assert_eq!(got.target(), format!("{forwarded}qstash_token={ENCODED}"), "{target}");
        assert_eq!(place(&got), Place::Pair);
    }
}

#[test]
fn whatever_may_be_read_as_a_call_out_keeps_the_header_free() {
    let (upstream, guard) = start("");
    let own = "X-Own: 1";
    for (number, (method, target, header, expected)) in [
        ("POST", "/V2/Publish/https://e.com", own, Place::Pair),
        ("POST", "/v2/%70ublish/https://e.com", own, Place::Pair),
        ("POST", "//v2//publish//https://e.com", own, Place::Pair),
        ("POST", "/v1/publish/https://e.com", own, Place::Pair),
        ("POST", "/v2/x/../publish/https://e.com", own, Place::Pair),
        ("POST", "/v2/publish;x/https://e.com", own, Place::Pair),
        ("POST", "/v2%2fpublish/https://e.com", own, Place::Pair),
        ("POST", "/v2/publish/https://e.com/../../../../keys", own, Place::Pair),
        ("POST", "/v2/schedules/https:%2f%2fe.com/pause", own, Place::Pair),
        ("post", "/v2/publish/https://e.com", own, Place::Pair),
        ("PUT", "/v2/publish/https://e.com", own, Place::Pair),
        ("PATCH", "/v2/trigger/https://e.com", own, Place::Pair),
        ("PUT", "/v2/schedules/https://e.com", own, Place::Pair),
        ("POST", "/v2/publish", own, Place::Pair),
        ("GET", "/v2/publish/https://e.com", own, Place::Header),
        (
            "GET",
            "/v2/publish/https://e.com",
            "X-HTTP-Method-Override: POST",
            Place::Pair,
        ),
        ("GET", "/v2/schedules/scd_1", "X-HTTP-Method: post", Place::Pair),
        // QStash is asked to pass headers on.
        ("POST", "/v2/brand-new", "Upstash-Header-Forward: true", Place::Pair),
        (
            "POST",
            "/llm/v1/chat/completions",
            "UPSTASH-HEADER-FORWARD: 1",
            Place::Pair,
        ),
        (
            "POST",
            "/v2/notify/event",
            "Upstash-Header-Forward: false",
            Place::Header,
        ),
        ("POST", "/v2/notify/event?upstash-header-forward=true", own, Place::Pair),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = request(guard.address, method, target, &[&bearer(KEY), header], b"x");
        assert_eq!(answer.status(), 202, "{method} {target}: {answer:?}");
        let got = upstream.wait_for(number + 1);
        assert_eq!(place(&got), expected, "{method} {target} {header}");
    }
}

#[test]
fn a_key_is_taken_from_wherever_a_token_would_be() {
    let (upstream, guard) = start("audit: {record: all}\n");
    let encoded = KEY.replace('_', "%5F");
    for (number, (target, headers)) in [
        ("/v2/keys", vec![bearer(KEY)]),
        ("/v2/keys", vec![bearer(NEXT_KEY)]),
        ("/v2/keys", vec![format!("aUtHoRiZaTiOn:   bearer \t {KEY} ")]),
        ("/v2/keys?qstash_token=$K", vec![]),
        ("/v2/keys?qstash_token=$E&a=1", vec![]),
        ("/v2/keys?qstash_token=$K", vec![bearer(KEY)]),
        (
            "/v2/keys?qstash_token=$K",
            vec!["Authorization: Basic dXNlcjpwYXNz".to_owned()],
        ),
        ("/v2/keys?qstash_token=$K", vec!["Authorization: anything".to_owned()]),
        ("/v2/keys?qstash_token=$K", vec!["Authorization:".to_owned()]),
    ]
    .into_iter()
    .enumerate()
    {
        let target = target.replace("$K", KEY).replace("$E", &encoded);
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let answer = request(guard.address, "GET", &target, &headers, b"");
        assert_eq!(answer.status(), 202, "{target} {headers:?}: {answer:?}");
        assert_eq!(
            place(&upstream.wait_for(number + 1)),
            Place::Header,
            "{target} {headers:?}"
        );
        let record = guard.wait_for("passed", number + 1).pop().unwrap();
        assert_eq!(record["caller"], "billing", "{record}");
    }
    let cancel = "/v2/messages?label=a&count=5&qstash_token=";
    let answer = request(guard.address, "DELETE", &format!("{cancel}{KEY}"), &[], b"");
    assert_eq!(answer.status(), 202, "{answer:?}");
    let outcome = guard.wait_for("outcome", 1).remove(0);
    let intent = guard.wait_for("intent", 1).remove(0);
    assert_eq!(
        (&intent["caller"], &outcome["caller"]),
        (&"billing".into(), &"billing".into())
    );
    assert_eq!(intent["target"], "/v2/messages?label=a&count=5");
    assert_eq!(
        guard.metric("qstash_guard_cancelled_messages_total", &["caller=\"billing\""]),
        1
    );
}

#[test]
fn what_belongs_to_the_destination_stays() {
    let (upstream, guard) = start("");
    let own = [
        "Upstash-Forward-Authorization: Bearer the-destinations-own",
        "upstash-forward-X-Key: a",
        "upstash-forward-X-Key: b",
        "Upstash-Header-Forward: true",
        "Cookie: session=1",
        "X-Api-Key: z",
    ];
    let key = bearer(KEY);
    let mut headers = own.to_vec();
    headers.insert(2, &key);
    let answer = request(guard.address, "POST", "/v2/publish/https://e.com", &headers, b"body");
    assert_eq!(answer.status(), 202, "{answer:?}");
    let got = upstream.request();
    let target = format!("/v2/publish/https://e.com?qstash_token={ENCODED}");
    check::assert_unchanged(&got, "POST", &target, &own, b"body", &upstream.host());
}

#[test]
fn records_show_the_target_that_the_client_sent() {
    let (upstream, guard) = start("audit: {record: all}\n");
    for (number, (method, target, shown)) in [
        ("POST", "/v2/batch", "/v2/batch"),
        ("POST", "/v2/publish/group?delay=1", "/v2/publish/group?delay=***"),
        ("POST", "/v2/publish/https://e.com/a", "/v2/publish/https://e.com/***"),
        ("POST", "/v2/batch?qstash_token=$K&x=1", "/v2/batch?x=***"),
        ("GET", "/v2/logs?label=a", "/v2/logs?label=a"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = request(guard.address, method, &target.replace("$K", KEY), &[&bearer(KEY)], b"");
        assert_eq!(answer.status(), 202, "{target}: {answer:?}");
        assert_eq!(guard.wait_for("passed", number + 1)[number]["target"], shown);
    }
    let headers = [&*bearer(KEY), "Upstash-Header-Forward: true"];
    let answer = request(guard.address, "DELETE", "/v2/messages?label=a&count=5", &headers, b"");
    assert_eq!(answer.status(), 202, "{answer:?}");
    assert_eq!(place(&upstream.wait_for(6)), Place::Pair);
    assert_eq!(guard.records_of("intent")[0]["target"], "/v2/messages?label=a&count=5");
}

#[test]
fn a_credential_in_trailers_does_not_go_on() {
    let (upstream, guard) = start("");
    let mut client = Client::connect(guard.address);
    client.send(format!(
        "POST /v2/publish/https://e.com HTTP/1.1\r\nHost: guard.test\r\n{}\r\nTransfer-Encoding: chunked\r\n\
         Trailer: Authorization, X-Sum\r\n\r\n1\r\nx\r\n0\r\nAuthorization: Bearer {KEY}\r\nX-Sum: 1\r\n\r\n",
        bearer(KEY)
    ));
    assert_eq!(client.answer().status(), 202);
    let got = upstream.request();
    assert_eq!(place(&got), Place::Pair);
    let body = String::from_utf8_lossy(&got.body).to_lowercase();
    assert!(!body.contains("authorization") && body.contains("x-sum: 1"), "{body}");
}

#[test]
fn a_connection_header_cannot_take_the_token_away_from_its_place() {
    let (upstream, guard) = start("");
    let headers = [&*bearer(KEY), "Connection: Authorization"];
    let answer = request(guard.address, "GET", "/v2/keys", &headers, b"");
    assert_eq!(answer.status(), 202, "{answer:?}");
    let got = upstream.request();
    assert!(!got.head.contains(KEY), "{got:?}");
}
