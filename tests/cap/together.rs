//! Caps that the guard enforces, together with what else a guard does: keys of its own, path prefixes, TLS, rules.

use std::sync::Arc;

use qstash_guard::qstash::credential::TokenHash;
use serde_json::json;

use crate::script::{cancelling, done, listing, serving, waiting};
use crate::support::tls::Authority;
use crate::support::upstream::answer;
use crate::support::{Folder, Guard, RawRequest, Upstream, assert_forwarded, refusal, request};
use crate::{CHUNKS_OF_TWO, TOKEN, cancelled, delete};

/// The guard's own token and a caller's key, as broker mode has them.
const HELD: &str = "eyJVc2VySUQiOiJhYmMifQ-of-the-guard==";
const KEY: &str = "qg_LkjHgfDsaPoiUytRewqMnbVcxZ0123456789";

/// `CHUNKS_OF_TWO` in broker mode, the key being billing's.
fn broker(upstream: &Upstream) -> Guard {
    let hash = TokenHash::of(KEY.as_bytes()).to_hex();
    let yaml = format!(
        "{CHUNKS_OF_TWO}credentials: {{mode: broker, token: \"{HELD}\"}}\ncallers: [{{name: billing, key_sha256: \
         \"{hash}\"}}]\nlog: {{level: debug}}\n"
    );
    Guard::start(&upstream.url(), &yaml)
}

/// Asserts that nothing that the guard wrote or says of itself holds the token or the key.
#[track_caller]
fn assert_no_secret(guard: &Guard) {
    let trail = std::fs::read_to_string(guard.trail_path()).unwrap();
    for text in [trail, guard.log(), guard.admin("/metrics").1] {
        assert!(!text.contains(HELD) && !text.contains(KEY), "{text}");
    }
}

#[test]
fn in_broker_mode_every_request_carries_the_guards_token() {
    // The second cancel goes on as a bulk action, which is followed.
    let upstream = cancelling(vec![waiting(0..2), waiting(2..4)], |number, request| match number {
        0 => done(request),
        1 => answer("202 OK", r#"{"cancelled":2,"actionId":"ba_1"}"#),
        _ => answer("200 OK", r#"{"state":"FINISHED","total":2,"processed":2}"#),
    });
    let guard = broker(&upstream);
    for (target, header) in [
        (
            "/v2/messages?label=a&count=4".to_owned(),
            vec![format!("Authorization: Bearer {KEY}")],
        ),
        (format!("/v2/messages?label=a&qstash_token={KEY}&count=2"), vec![]),
    ] {
        let headers: Vec<&str> = header.iter().map(String::as_str).collect();
        request(guard.address, "DELETE", &target, &headers, b"");
    }
    guard.wait_for("bulk_action_finished", 1);
    let requests = upstream.requests();
    let own = [format!("Bearer {HELD}")];
    for got in &requests {
        assert_eq!(got.header("authorization"), own, "{got:?}");
        assert!(
            !got.head.contains(KEY) && !got.target().contains("qstash_token"),
            "{got:?}"
        );
    }
    let is = |start: &str| requests.iter().filter(|got| got.line().starts_with(start)).count();
    assert_eq!(
        (
            is("GET /v2/logs?"),
            is("DELETE /v2/messages?"),
            is("GET /v2/bulkActions/ba_1 ")
        ),
        (3, 3, 1)
    );
    let intents = guard.records_of("intent");
    assert!(
        intents.iter().all(|intent| intent["caller"] == "billing"),
        "{intents:?}"
    );
    assert_eq!(intents[1]["target"], "/v2/messages?label=a&count=2");
    assert_no_secret(&guard);
}

#[test]
fn in_broker_mode_an_upstream_that_names_the_token_as_an_id_gets_it_nowhere() {
    let upstream = Upstream::answering(|request| {
        let entry = crate::script::entry(HELD, "CREATED");
        listing(&[vec![entry]], request).unwrap_or_else(|| done(request))
    });
    let guard = broker(&upstream);
    let key = format!("Authorization: Bearer {KEY}");
    let answer = request(guard.address, "DELETE", "/v2/messages?label=a&count=2", &[&key], b"");
    refusal(&answer, 502, &["cap_unresolvable"]);
    assert!(!answer.text().contains(HELD), "{answer:?}");
    assert_eq!(cancelled(&upstream), Vec::<Vec<String>>::new());
    let refused = request(guard.address, "DELETE", "/v2/messages?label=a&count=2", &[TOKEN], b"");
    refusal(&refused, 401, &["unauthenticated"]);
    assert_eq!(upstream.requests().len(), 1, "a caller without a key lists nothing");
    assert_no_secret(&guard);
}

#[test]
fn the_guards_own_requests_have_the_upstreams_prefix_and_not_the_listeners() {
    let upstream = Upstream::answering(|request| {
        let inner = RawRequest {
            head: request.head.replacen(" /q/r/v2/", " /v2/", 1),
            body: Vec::new(),
        };
        let is_action = inner.line().starts_with("GET /v2/bulkActions/");
        listing(&[waiting(0..1), waiting(1..3)], &inner).unwrap_or_else(|| match inner.target() {
            _ if is_action => answer("200 OK", r#"{"state":"FINISHED","total":1,"processed":1}"#),
            target if target.contains("msg_002") => answer("202 OK", r#"{"cancelled":1,"actionId":"ba_1"}"#),
            _ => done(&inner),
        })
    });
    let yaml = format!("{CHUNKS_OF_TWO}listen: {{path_prefix: /guard}}\n");
    let guard = Guard::start(&format!("{}/q/r", upstream.url()), &yaml);
    delete(&guard, "/guard/v2/messages?label=a&count=3");
    guard.wait_for("bulk_action_finished", 1);
    let requests = upstream.requests();
    let lines: Vec<&str> = requests.iter().map(RawRequest::line).collect();
    assert_eq!(
        lines,
        [
            "GET /q/r/v2/logs?count=100&label=a HTTP/1.1",
            "GET /q/r/v2/logs?count=100&label=a&cursor=1 HTTP/1.1",
            "DELETE /q/r/v2/messages?messageIds=msg_000,msg_001 HTTP/1.1",
            "DELETE /q/r/v2/messages?messageIds=msg_002 HTTP/1.1",
            "GET /q/r/v2/bulkActions/ba_1 HTTP/1.1",
        ]
    );
    refusal(&delete(&guard, "/v2/messages?label=a&count=3"), 404, &["not_served"]);
    assert_eq!(upstream.requests().len(), lines.len());
}

#[test]
fn an_upstream_behind_tls_is_listed_and_cancelled_from_too() {
    let authority = Authority::new("test roots");
    let upstream = authority.upstream_answering("localhost", |request| {
        listing(&[waiting(0..2), waiting(2..5)], request).unwrap_or_else(|| done(request))
    });
    let folder = Arc::new(Folder::new());
    let file = folder.write("ca.pem", &authority.pem);
    let yaml = format!("{CHUNKS_OF_TWO}upstream: {{ca_file: {}}}\n", file.display());
    let guard = Guard::start_in(folder, &upstream.url(), &yaml);
    assert_eq!(
        delete(&guard, "/v2/messages?label=a&count=3").json(),
        json!({"cancelled": 3})
    );
    let seen = upstream.seen();
    assert!(
        seen.names.iter().all(|name| name.as_deref() == Some("localhost")),
        "{seen:?}"
    );
    let lines: Vec<&str> = seen.plain.lines().filter(|line| line.ends_with("HTTP/1.1")).collect();
    assert_eq!(
        lines,
        [
            "GET /v2/logs?count=100&label=a HTTP/1.1",
            "GET /v2/logs?count=100&label=a&cursor=1 HTTP/1.1",
            "DELETE /v2/messages?messageIds=msg_000,msg_001 HTTP/1.1",
            "DELETE /v2/messages?messageIds=msg_002 HTTP/1.1",
        ]
    );
    assert_eq!(assert_forwarded(&guard, 1).0["selection"]["ids_total"], 3);
    // One that it does not believe gets no word, the listing neither.
    let stranger = Authority::new("other roots").upstream_answering("localhost", done);
    let yaml = format!("{CHUNKS_OF_TWO}upstream: {{ca_file: {}}}\n", file.display());
    let guard = Guard::start(&stranger.url(), &yaml);
    refusal(
        &delete(&guard, "/v2/messages?label=a&count=3"),
        502,
        &["cap_unresolvable"],
    );
    assert_eq!(stranger.seen().plain, "");
}

#[test]
fn the_limits_of_a_rule_bound_what_is_listed_and_each_cancel() {
    let upstream = serving(vec![waiting(0..9)]);
    let yaml = "policy:\n  bulk_cancel: {cap_enforced_by: guard, max_count: 5, max_message_ids: 3}\n  rules:\n    \
                - {name: next-month, mode: monitor, bulk_cancel: {max_count: 1}}\n    \
                - {name: drain, when: 'cancel.filters.label == [\"a\", \"b\"]', bulk_cancel: {max_count: 7, \
                max_message_ids: 2}}\nrate_limits: []\n";
    let guard = Guard::start(&upstream.url(), yaml);
    let mut before = 0;
    for (target, lengths, rule) in [
        ("/v2/messages?label=a&count=5", &[3, 2][..], "next-month"),
        ("/v2/messages?label=a,b&count=7", &[2, 2, 2, 1], "next-month"),
    ] {
        let records = guard.records().len();
        let total: usize = lengths.iter().sum();
        assert_eq!(delete(&guard, target).json(), json!({ "cancelled": total }), "{target}");
        let sent = cancelled(&upstream).split_off(before);
        assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), lengths, "{target}");
        before += sent.len();
        let (intent, _) = assert_forwarded(&guard, records);
        // A rule that rehearses changes nothing of it, and is told.
        assert_eq!(
            (&intent["decision"], &intent["code"], &intent["rule"]),
            (&json!("would_deny"), &json!("count_over_cap"), &json!(rule)),
            "{intent}"
        );
        assert_eq!(intent["selection"]["ids_total"], json!(total));
    }
    refusal(
        &delete(&guard, "/v2/messages?label=a&count=6"),
        403,
        &["count_over_cap"],
    );
    refusal(
        &delete(&guard, "/v2/messages?label=a,b&count=8"),
        403,
        &["count_over_cap"],
    );
}

#[test]
fn monitor_mode_lists_nothing_and_closes_nothing() {
    let upstream = Upstream::json(r#"{"cancelled":9}"#);
    let yaml = "policy: {mode: monitor, bulk_cancel: {cap_enforced_by: guard}}\nrate_limits: []\n";
    let guard = Guard::start(&upstream.url(), yaml);
    for _ in 0..2 {
        assert_eq!(delete(&guard, "/v2/messages?label=a&count=5").status(), 202);
    }
    let lines: Vec<String> = upstream.requests().iter().map(|got| got.line().to_owned()).collect();
    assert_eq!(lines, ["DELETE /v2/messages?label=a&count=5 HTTP/1.1"; 2]);
    assert_eq!(guard.records_of("cap_overrun").len(), 2);
}

#[test]
fn what_the_guard_asks_itself_is_timed_and_logged() {
    let upstream = cancelling(vec![waiting(0..2), waiting(2..4)], |number, request| match number {
        0 => done(request),
        1 => answer("202 OK", r#"{"cancelled":2,"actionId":"ba_1"}"#),
        _ => answer("200 OK", r#"{"state":"FINISHED","total":2,"processed":2}"#),
    });
    let guard = Guard::start(&upstream.url(), &format!("{CHUNKS_OF_TWO}log: {{level: debug}}\n"));
    delete(&guard, "/v2/messages?label=a&count=4");
    guard.wait_for("bulk_action_finished", 1);
    // Two pages, two cancels, one question after the bulk action.
    assert_eq!(guard.metric("qstash_guard_upstream_duration_seconds_count", &[]), 5);
    for (message, number) in [
        ("asked QStash's listing for a page", 2),
        ("sent a cancel by ids", 2),
        ("asked QStash for a bulk action", 1),
    ] {
        let lines = |log: &String| {
            log.lines()
                .filter(|line| line.contains(&format!("\"{message}\"")))
                .count()
        };
        guard.wait_until(message, || lines(&guard.log()) == number);
        let log = guard.log();
        assert!(
            log.lines()
                .filter(|line| line.contains(message))
                .all(|line| line.contains("DEBUG")),
            "{log}"
        );
    }
}
