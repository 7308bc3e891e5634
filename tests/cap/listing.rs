//! What the guard asks QStash's listing, and what becomes of its answers.

use serde_json::json;

use crate::script::{asked, cancelling, done, entry, listing, page, parameter, serving, waiting};
use crate::support::upstream::answer;
use crate::support::{Answer, Guard, Upstream, assert_denied, assert_forwarded, refusal, request};
use crate::{GUARDED, SECRET, TOKEN, cancelled, delete, start};

/// Asserts that the listing failed: 502, nothing cancelled, and a trail that says so.
#[track_caller]
pub(crate) fn assert_unlisted(upstream: &Upstream, guard: &Guard, answer: &Answer, why: &str) {
    let body = refusal(answer, 502, &["cap_unresolvable"]);
    let error = body["error"].as_str().unwrap();
    assert!(
        error.contains(why) && error.contains("Nothing was cancelled."),
        "{error}"
    );
    assert_eq!(cancelled(upstream), Vec::<Vec<String>>::new());
    let records = guard.records();
    let (intent, outcome) = assert_forwarded(guard, records.len() - 2);
    assert_eq!(intent["request_id"], body["request_id"]);
    assert!(intent["selection"]["ids"].is_null(), "{intent}");
    assert_eq!(
        (&outcome["result"], &outcome["error"], &outcome["cancelled"]),
        (&json!("unsent"), &json!("cap_unresolvable"), &json!(0)),
        "{outcome}"
    );
}

#[test]
fn it_follows_the_cursor_and_stops_at_count() {
    let upstream = serving(vec![waiting(0..3), waiting(2..6), waiting(6..9)]);
    let guard = start(&upstream);
    let answer = delete(&guard, "/v2/messages?label=a&count=5");
    assert_eq!(
        (answer.status(), answer.json()),
        (200, json!({"cancelled": 5})),
        "{answer:?}"
    );
    assert_eq!(answer.header("content-type"), ["application/json"]);
    let ids = ["msg_000", "msg_001", "msg_002", "msg_003", "msg_004"];
    assert_eq!(cancelled(&upstream), [ids]);
    let lines: Vec<String> = upstream
        .requests()
        .iter()
        .map(|request| request.line().to_owned())
        .collect();
    assert_eq!(
        lines[..2],
        [
            "GET /v2/logs?count=100&label=a HTTP/1.1",
            "GET /v2/logs?count=100&label=a&cursor=1 HTTP/1.1"
        ]
    );
    assert_eq!(lines.len(), 3, "{lines:?}");
    let (intent, outcome) = assert_forwarded(&guard, 1);
    assert_eq!(intent["selection"]["ids"], json!(ids));
    assert_eq!(
        (
            &intent["selection"]["kind"],
            &intent["selection"]["count"],
            &intent["selection"]["ids_total"]
        ),
        (&json!("filter"), &json!(5), &json!(5))
    );
    assert_eq!(
        (&outcome["result"], &outcome["cancelled"], &outcome["upstream_status"]),
        (&json!("completed"), &json!(5), &json!(202))
    );
}

#[test]
fn a_message_that_is_done_with_is_left_out() {
    let pages = vec![
        vec![
            entry("new_done", "DELIVERED"),
            entry("old_done", "ERROR"),
            entry("waits", "RETRY"),
        ],
        vec![
            entry("new_done", "CREATED"),
            entry("old_done", "CANCELLED"),
            entry("waits", "CREATED"),
        ],
    ];
    let upstream = serving(pages);
    let guard = start(&upstream);
    let answer = delete(&guard, "/v2/messages?label=a&count=5");
    assert_eq!(answer.json(), json!({"cancelled": 1}));
    assert_eq!(cancelled(&upstream), [["waits"]]);
}

#[test]
fn what_the_listing_does_not_know_is_matched_on_its_entries() {
    let at = |id: &str, url: &str, queue: &str| json!({"messageId": id, "state": "CREATED", "time": 1000, "url": url, "queueName": queue});
    let pages = vec![vec![
        at("a", "https://a.example/x?y", "q"),
        at("b", "https://b.example/x", "q"),
        at("c", "https://a.example/", "q"),
        at("d", "https://a.example/x", "other"),
        at("e", "https://A.example/x", "r"),
    ]];
    let upstream = serving(pages);
    let guard = start(&upstream);
    let answer = delete(&guard, "/v2/messages?host=a.example&path=/x&queueName=q,r&count=9");
    assert_eq!(answer.json(), json!({"cancelled": 2}), "{answer:?}");
    assert_eq!(cancelled(&upstream), [["a", "e"]]);
    assert_eq!(upstream.requests()[0].target(), "/v2/logs?count=100");
}

#[test]
fn the_body_of_an_older_client_is_listed_too() {
    let upstream = serving(vec![waiting(0..3)]);
    let guard = start(&upstream);
    let headers = [TOKEN, "Content-Type: application/json"];
    let answer = request(
        guard.address,
        "DELETE",
        "/v2/messages/",
        &headers,
        br#"{"label":"a","count":2}"#,
    );
    assert_eq!(answer.json(), json!({"cancelled": 2}), "{answer:?}");
    assert_eq!(cancelled(&upstream), [["msg_000", "msg_001"]]);
    assert!(
        upstream
            .requests()
            .iter()
            .all(|request| request.header("content-type").is_empty())
    );
}

#[test]
fn an_entry_that_lacks_what_is_needed_refuses_the_cancel() {
    let upstream = serving(vec![waiting(0..3)]);
    let guard = start(&upstream);
    for name in ["flowControlKey", "callerIp", "callerIP"] {
        let (before, requests) = (guard.records().len(), upstream.requests().len());
        let target = format!("/v2/messages?count=2&label=a&{name}=x");
        let answer = delete(&guard, &target);
        let record = assert_denied(&guard, before, &answer, 403, &["filter_not_resolvable"]);
        assert_eq!(record["selection"]["count"], 2);
        assert!(answer.text().contains(&format!("`{name}`")), "{answer:?}");
        assert_eq!(upstream.requests().len(), requests + 1, "one page was asked for");
    }
    assert_eq!(cancelled(&upstream), Vec::<Vec<String>>::new());
}

#[test]
fn a_parameter_that_nobody_knows_refuses_the_cancel() {
    let upstream = serving(vec![waiting(0..3)]);
    let yaml = "policy: {bulk_cancel: {cap_enforced_by: guard, extra_parameters: [region]}}\nrate_limits: []\n";
    let guard = Guard::start(&upstream.url(), yaml);
    let answer = delete(&guard, "/v2/messages?label=a&region=eu&count=2");
    assert_denied(&guard, 1, &answer, 403, &["filter_not_resolvable"]);
    upstream.assert_untouched();
}

#[test]
fn an_answer_that_is_no_listing_cancels_nothing() {
    type Answers = fn() -> Vec<u8>;
    let rows: &[(Answers, &str)] = &[
        (|| answer("200 OK", "hello"), "no page"),
        (|| answer("200 OK", r#"{"logs":"#), "no page"),
        (|| answer("200 OK", "{}"), "no page"),
        (|| page(&[entry("a,b", "CREATED")], None), "no page"),
        (|| page(&[entry("", "CREATED")], None), "no page"),
        (|| page(&[entry("a\r\nHost: x", "CREATED")], None), "no page"),
        (|| page(&[], Some("1")), "leads back"),
        (
            || answer("500 Internal Server Error", r#"{"error":"no"}"#),
            "it answered 500",
        ),
        (|| answer("401 Unauthorized", r#"{"error":"no"}"#), "it answered 401"),
        (
            || answer("429 Too Many Requests", r#"{"error":"no"}"#),
            "it answered 429",
        ),
        (
            || b"HTTP/1.1 302 Found\r\nLocation: /v2/logs\r\nContent-Length: 0\r\n\r\n".to_vec(),
            "it answered 302",
        ),
        (|| b"nonsense\r\n\r\n".to_vec(), "broke"),
    ];
    for (second, why) in rows {
        let upstream = Upstream::answering(move |request| match parameter(request, "cursor") {
            _ if request.line().starts_with("DELETE") => done(request),
            None => page(&waiting(0..2), Some("1")),
            Some(_) => second(),
        });
        let guard = start(&upstream);
        let answer = delete(&guard, "/v2/messages?label=a&count=5");
        assert_unlisted(&upstream, &guard, &answer, why);
    }
}

#[test]
fn a_listing_without_end_is_given_up() {
    let number = std::sync::atomic::AtomicUsize::new(0);
    let upstream = Upstream::answering(move |_| {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        page(
            &[entry(&format!("done_{number}"), "DELIVERED")],
            Some(&format!("c{number}")),
        )
    });
    let guard = start(&upstream);
    let answer = delete(&guard, "/v2/messages?label=a&count=5");
    assert_unlisted(&upstream, &guard, &answer, "did not end within 200 pages");
    assert_eq!(upstream.requests().len(), 200);
}

#[test]
fn a_page_that_is_too_long_is_asked_for_again_with_fewer_entries() {
    let body = "x".repeat(1024 * 1024);
    let upstream = Upstream::answering(move |request| {
        if request.line().starts_with("DELETE") {
            return done(request);
        }
        let size: usize = parameter(request, "count").unwrap().parse().unwrap();
        let begin: usize = parameter(request, "cursor").map_or(0, |cursor| cursor.parse().unwrap());
        let end = (begin + size).min(10);
        let mut entries = waiting(begin..end);
        for entry in &mut entries {
            entry["body"] = body.clone().into();
        }
        page(&entries, (end < 10).then(|| end.to_string()).as_deref())
    });
    let guard = start(&upstream);
    let answer = delete(&guard, "/v2/messages?label=a&count=10");
    assert_eq!(answer.json(), json!({"cancelled": 10}), "{answer:?}");
    let sizes: Vec<String> = upstream
        .requests()
        .iter()
        .filter_map(|request| parameter(request, "count").map(str::to_owned))
        .collect();
    assert_eq!(sizes[..3], ["100", "25", "6"], "{sizes:?}");
    assert_eq!(cancelled(&upstream).concat().len(), 10);
}

#[test]
fn an_entry_that_is_too_long_alone_is_a_failure() {
    let upstream = Upstream::answering(|_| page(&[json!({"messageId": "a", "body": "x".repeat(5 << 20)})], None));
    let guard = start(&upstream);
    let answer = delete(&guard, "/v2/messages?label=a&count=10");
    assert_unlisted(&upstream, &guard, &answer, "4 MiB");
}

#[test]
fn both_go_to_the_upstream_as_everything_does() {
    let upstream = Upstream::answering(|request| {
        let inner = request.head.replacen(" /q/r/v2/", " /v2/", 1);
        let inner = crate::support::RawRequest {
            head: inner,
            body: Vec::new(),
        };
        listing(&[waiting(0..3)], &inner).unwrap_or_else(|| done(&inner))
    });
    let guard = Guard::start(&format!("{}/q/r", upstream.url()), GUARDED);
    let target = format!("/v2/messages?label=a&qstash_token={SECRET}&count=2&async=true");
    let headers = ["User-Agent: the-sdk/1", "Upstash-Forward-X: y", "X-Other: z"];
    let answer = request(guard.address, "DELETE", &target, &headers, b"");
    assert_eq!(
        (answer.status(), answer.json()),
        (200, json!({"cancelled": 2})),
        "{answer:?}"
    );
    let requests = upstream.requests();
    assert_eq!(requests.len(), 2);
    for (request, target) in requests.iter().zip([
        "/q/r/v2/logs?count=100&label=a",
        "/q/r/v2/messages?messageIds=msg_000,msg_001",
    ]) {
        assert_eq!(request.target(), target);
        let mut headers = request.headers();
        headers.sort_unstable();
        let host = format!("host: {}", upstream.host());
        let headers: Vec<String> = headers.iter().map(|line| line.to_lowercase()).collect();
        let own = format!("authorization: bearer {SECRET}");
        assert_eq!(
            headers,
            [
                "accept-encoding: identity".to_owned(),
                own,
                host,
                "user-agent: the-sdk/1".to_owned()
            ]
        );
    }
}

#[test]
fn a_token_that_stays_in_the_query_goes_with_each_request_and_nowhere_else() {
    let upstream = serving(vec![waiting(0..3)]);
    let guard = start(&upstream);
    let target = format!("/v2/messages?label=a&qstash_token={SECRET}%3D&count=2");
    let basic = "Authorization: Basic c2VuZGVyOnNlY3JldA==";
    let answer = request(guard.address, "DELETE", &target, &[basic], b"");
    assert_eq!(answer.json(), json!({"cancelled": 2}), "{answer:?}");
    let requests = upstream.requests();
    let targets: Vec<&str> = requests.iter().map(crate::support::RawRequest::target).collect();
    assert_eq!(
        targets,
        [
            &format!("/v2/logs?count=100&label=a&qstash_token={SECRET}%3D"),
            &format!("/v2/messages?messageIds=msg_000,msg_001&qstash_token={SECRET}%3D"),
        ]
    );
    assert!(
        requests
            .iter()
            .all(|request| request.header("authorization") == ["Basic c2VuZGVyOnNlY3JldA=="])
    );
    let trail = guard.records().iter().map(ToString::to_string).collect::<String>();
    let (_, log) = guard.stop();
    for text in [trail, log] {
        assert!(!text.contains(SECRET) && !text.contains("c2VuZGVy"), "{text}");
    }
}

#[test]
fn an_upstream_that_echoes_the_token_gets_it_into_no_record() {
    let echoed = format!("msg_{SECRET}x");
    let echo = echoed.clone();
    let upstream = Upstream::answering(move |_| page(&[entry(&echo, "CREATED")], None));
    let basic = format!("Authorization: Basic {echoed}");
    for (header, query) in [
        (TOKEN, ""),
        (basic.as_str(), ""),
        ("X: y", &format!("&qstash_token={SECRET}")),
    ] {
        let guard = start(&upstream);
        let target = format!("/v2/messages?label=a&count=2{query}");
        let answer = request(guard.address, "DELETE", &target, &[header], b"");
        assert_unlisted(&upstream, &guard, &answer, "no page");
        let trail = guard.records().iter().map(ToString::to_string).collect::<String>();
        let (_, log) = guard.stop();
        assert!(![answer.text(), trail, log].concat().contains(SECRET));
    }
}

#[test]
fn the_upstreams_words_and_the_token_stay_out_of_trail_and_log() {
    let upstream = Upstream::answering(|_| answer("500 No", &format!("{{\"error\":\"{SECRET}\"}}")));
    let guard = start(&upstream);
    let answer = delete(&guard, "/v2/messages?label=a&count=2");
    assert_unlisted(&upstream, &guard, &answer, "500");
    let trail = guard.records().iter().map(ToString::to_string).collect::<String>();
    let (_, log) = guard.stop();
    assert!(![answer.text(), trail, log].concat().contains(SECRET));
}

#[test]
fn dates_are_those_of_the_message() {
    let at = |id: &str, state: &str, time: u64| json!({"messageId": id, "state": state, "time": time, "labels": ["a"]});
    let pages = vec![vec![
        at("late", "CREATED", 30),
        at("retried", "ERROR", 40),
        at("retried", "CREATED", 20),
        at("early", "ERROR", 25),
        at("early", "CREATED", 5),
        at("done", "DELIVERED", 50),
        at("done", "CREATED", 20),
    ]];
    let upstream = cancelling(pages, |_, request| {
        assert_eq!(asked(request), 1);
        done(request)
    });
    let guard = start(&upstream);
    let answer = delete(&guard, "/v2/messages?label=a&fromDate=10&toDate=25&count=9");
    assert_eq!(answer.json(), json!({"cancelled": 1}), "{answer:?}");
    assert_eq!(cancelled(&upstream), [["retried"]]);
    assert_eq!(
        upstream.requests()[0].target(),
        "/v2/logs?count=100&label=a&fromDate=10"
    );
}
