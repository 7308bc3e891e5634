//! Every cancel that goes on: its bytes at the upstream, and its two records.

use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};

use crate::support::check::assert_unchanged;
use crate::support::{Guard, Upstream, assert_forwarded, redacted, request};
use crate::{CANCELLED, TOKEN, start};

/// Asserts that a cancel goes on unchanged, and that its intent holds this selection; gives the intent.
#[track_caller]
fn assert_passes(upstream: &Upstream, guard: &Guard, target: &str, body: &str, selection: &Value) -> Value {
    let (before, requests) = (guard.records().len(), upstream.requests().len());
    let headers = [
        TOKEN,
        "accept: */*",
        "Content-TYPE: application/json",
        "x-Two: 1",
        "x-Two:   2",
        "accept-encoding: gzip, deflate",
    ];
    let answer = request(guard.address, "DELETE", target, &headers, body.as_bytes());
    assert_eq!(
        (answer.status(), answer.text().as_str()),
        (202, CANCELLED),
        "{target} {body}"
    );
    assert_eq!(answer.code(), "", "the upstream's own answer");
    let got = upstream.requests().split_off(requests);
    assert_eq!(got.len(), 1, "{target} was sent once");
    let sent = headers.map(|line| if line == "x-Two:   2" { "x-Two: 2" } else { line });
    assert_unchanged(&got[0], "DELETE", target, &sent, body.as_bytes(), &upstream.host());
    let (intent, outcome) = assert_forwarded(guard, before);
    assert_eq!(&intent["selection"], selection, "{target} {body}");
    assert_eq!(intent["decision"], "allow");
    assert_eq!(intent["operation"], "messages.bulk_cancel");
    assert!(intent["code"].is_null() && intent["violations"].is_null(), "{intent}");
    assert_eq!(
        (&outcome["result"], &outcome["cancelled"]),
        (&json!("completed"), &json!(1))
    );
    assert_eq!(outcome["upstream_status"], 202);
    intent
}

#[test]
fn bounded_cancels_go_on_by_query() {
    let (upstream, guard) = start("");
    let rows = [
        (
            "/v2/messages?messageIds=a",
            json!({"kind": "ids", "ids": ["a"], "ids_total": 1}),
        ),
        (
            "/v2/messages?messageIds=a&messageIds=b",
            json!({"kind": "ids", "ids": ["a", "b"], "ids_total": 2}),
        ),
        (
            "/v2/messages?messageIds=a,b%2Cc,,a",
            json!({"kind": "ids", "ids": ["a", "b", "c", "a"], "ids_total": 4}),
        ),
        (
            "/v2/messages?messageIds=a&label=&fromDate=",
            json!({"kind": "ids", "ids": ["a"], "ids_total": 1}),
        ),
        (
            "/v2/messages?messageIds=a&count=5&async=false",
            json!({"kind": "ids", "ids": ["a"], "ids_total": 1, "count": 5, "async": false}),
        ),
        (
            "/v2/messages?label=a&count=5",
            json!({"kind": "filter", "filters": {"label": ["a"]}, "count": 5}),
        ),
        (
            "/v2/messages?count=100&label=a&&",
            json!({"kind": "filter", "filters": {"label": ["a"]}, "count": 100}),
        ),
        (
            "/v2/messages?l%61bel=%61,b+c&count=1&async=",
            json!({"kind": "filter", "filters": {"label": ["a", "b c"]}, "count": 1}),
        ),
        (
            "/v2/messages?queueName=a+b&queueName=c%2Cd&url=https%3A%2F%2Fexample.com%2Fx&fromDate=0&toDate=9&count=7&async=true",
            json!({"kind": "filter", "filters": {"queueName": ["a b", "c", "d"], "url": ["https://example.com/x"]},
                   "from_date": 0, "to_date": 9, "count": 7, "async": true}),
        ),
        (
            "/v2/messages?topicName=t&host=h&path=/p&flowControlKey=k&scheduleId=s&callerIp=1&callerIP=2&count=5",
            json!({"kind": "filter", "filters": {"topicName": ["t"], "host": ["h"], "path": ["/p"],
                   "flowControlKey": ["k"], "scheduleId": ["s"], "callerIp": ["1"], "callerIP": ["2"]}, "count": 5}),
        ),
    ];
    for (target, selection) in rows {
        let intent = assert_passes(&upstream, &guard, target, "", &selection);
        assert_eq!(intent["target"], target);
    }
}

/// What the SDKs put on the wire, as captured from them.
#[test]
fn cancels_of_real_clients_go_on_by_body() {
    let (upstream, guard) = start("");
    let ids = json!({"kind": "ids", "ids": ["a", "b"], "ids_total": 2});
    let rows = [
        (r#"{"messageIds":["a","b"]}"#, ids.clone()),
        (r#"{"messageIds": ["a", "b"]}"#, ids.clone()),
        (r#"{"messageIds":["a,b"],"label":null,"fromDate":null}"#, ids),
        (
            r#"{"label":"a","count":5}"#,
            json!({"kind": "filter", "filters": {"label": ["a"]}, "count": 5}),
        ),
        (
            " {\"queueName\": [\"a\", \"b,c\"], \"fromDate\": 1, \"toDate\": 2, \"count\": 5, \"async\": true}\n",
            json!({"kind": "filter", "filters": {"queueName": ["a", "b", "c"]}, "from_date": 1, "to_date": 2, "count": 5, "async": true}),
        ),
    ];
    for (body, selection) in rows {
        for target in ["/v2/messages", "/v2/messages/", "/v2/messages?"] {
            assert_passes(&upstream, &guard, target, body, &selection);
        }
    }
}

#[test]
fn one_message_is_cancelled_without_a_record() {
    let (upstream, guard) = start("");
    let before = guard.records().len();
    for target in ["/v2/messages/msg_1", "/v2/messages/msg_1/", "/v1/messages/a?b=c"] {
        let requests = upstream.requests().len();
        let answer = request(guard.address, "DELETE", target, &[TOKEN], b"");
        assert_eq!(answer.status(), 202, "{target}");
        let got = upstream.requests().split_off(requests);
        assert_unchanged(&got[0], "DELETE", target, &[TOKEN], b"", &upstream.host());
    }
    assert_eq!(guard.records().len(), before);
    let passed = guard.metric(
        "qstash_guard_requests_total",
        &["operation=\"messages.cancel\"", "decision=\"allow\""],
    );
    assert_eq!(passed, 3);
}

#[test]
fn a_policy_may_ask_for_less() {
    let (upstream, guard) =
        start("policy: {bulk_cancel: {require_filter: false, require_cap: false, extra_parameters: [region]}}\n");
    assert_passes(&upstream, &guard, "/v2/messages", "", &json!({"kind": "all"}));
    assert_passes(&upstream, &guard, "/v2/messages?region=eu", "", &json!({"kind": "all"}));
    assert_passes(&upstream, &guard, "/v2/messages", "{}", &json!({"kind": "all"}));
}

#[test]
fn a_cancel_over_http2_is_judged_and_sent_alike() {
    let (upstream, guard) = start("");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let answers = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(guard.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);
        let mut answers = Vec::new();
        for query in ["", "?label=a&count=5"] {
            let request = http::Request::delete(format!("http://guard.test/v2/messages{query}"))
                .header("authorization", "Bearer t")
                .body(Empty::<bytes::Bytes>::new())
                .unwrap();
            let (head, body) = sender.send_request(request).await.unwrap().into_parts();
            let code = head
                .headers
                .get("qstash-guard-code")
                .map(|code| code.to_str().unwrap().to_owned());
            answers.push((head.status.as_u16(), code, body.collect().await.unwrap().to_bytes()));
        }
        answers
    });
    assert_eq!(
        (answers[0].0, answers[0].1.as_deref()),
        (403, Some("unfiltered_cancel"))
    );
    assert_eq!((answers[1].0, answers[1].2.as_ref()), (202, CANCELLED.as_bytes()));
    assert_eq!(
        upstream.request().line(),
        "DELETE /v2/messages?label=a&count=5 HTTP/1.1"
    );
    let events: Vec<Value> = guard
        .records()
        .into_iter()
        .map(|record| record["event"].clone())
        .collect();
    assert_eq!(events, ["started", "denied", "intent", "outcome"]);
}

#[test]
fn one_record_of_each_event() {
    let (_upstream, guard) = start("audit: {record: all}\n");
    request(
        guard.address,
        "POST",
        "/v2/publish/https://user:pass@example.com/a?b=c",
        &[TOKEN],
        b"x",
    );
    request(guard.address, "DELETE", "/v2/messages", &[TOKEN], b"");
    request(guard.address, "DELETE", "/v2/messages?label=a&count=5", &[TOKEN], b"");
    let path = guard.trail_path();
    let folder = std::sync::Arc::clone(&guard.folder);
    assert!(guard.stop().0.success());
    let text = std::fs::read_to_string(path).unwrap();
    drop(folder);
    let shown: Vec<String> = text
        .lines()
        .map(|line| redacted(&serde_json::from_str(line).unwrap()).to_string())
        .collect();
    insta::assert_snapshot!("records", shown.join("\n"));
}
