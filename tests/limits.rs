//! Rate limits through the real binary. Rates are one an hour or less, so that nothing refills while a test runs.
#![expect(clippy::unwrap_used, reason = "a test may panic, and takes the short way")]

mod support;

use std::net::IpAddr;
use std::time::SystemTime;

use serde_json::Value;
use support::{Answer, Client, Guard, Upstream, assert_denied, assert_forwarded, refusal, request};

const ALICE: &str = "Authorization: Bearer alice";
const BOB: &str = "Authorization: Bearer bob";

fn start(limits: &str) -> (Upstream, Guard) {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let guard = Guard::start(&upstream.url(), limits);
    (upstream, guard)
}

fn cancel(guard: &Guard, caller: &str, count: u32) -> Answer {
    let target = format!("/v2/messages?label=a&count={count}");
    request(guard.address, "DELETE", &target, &[caller], b"")
}

#[track_caller]
fn assert_passed(answer: &Answer) {
    assert_eq!((answer.status(), answer.code().as_str()), (202, ""), "{answer:?}");
}

/// Asserts a refusal by this limit.
#[track_caller]
fn assert_limited(answer: &Answer, limit: &str) -> Value {
    let body = refusal(answer, 429, &["rate_limited"]);
    assert_eq!(body["limit"], limit, "{answer:?}");
    body
}

fn number(answer: &Answer, header: &str) -> u64 {
    let values = answer.header(header);
    assert_eq!(values.len(), 1, "{header}: {answer:?}");
    values[0].parse().unwrap()
}

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

#[test]
fn a_burst_passes_and_the_next_is_told_when_to_come_again() {
    let (upstream, guard) = start(
        "rate_limits: [{name: cancels, applies_to: [messages.bulk_cancel], per: caller, unit: requests, rate: 1/h, burst: 5}]\n",
    );
    (0..5).for_each(|_| assert_passed(&cancel(&guard, ALICE, 5)));
    let (before, sent) = (guard.records().len(), now());
    let answer = cancel(&guard, ALICE, 5);
    let answered = now();
    let record = assert_denied(&guard, before, &answer, 429, &["rate_limited"]);
    assert_eq!(
        (&record["limit"], &answer.json()["limit"]),
        (&"cancels".into(), &"cancels".into())
    );
    assert_eq!(record["selection"]["count"], 5);
    let wait = number(&answer, "retry-after");
    assert!((1..=3600).contains(&wait), "{wait}");
    assert_eq!(number(&answer, "burst-ratelimit-limit"), 5);
    assert_eq!(number(&answer, "burst-ratelimit-remaining"), 0);
    let reset = number(&answer, "burst-ratelimit-reset");
    assert!(
        (sent + wait - 1..=answered + wait + 1).contains(&reset),
        "{reset} for {wait} s"
    );
    assert_eq!(upstream.requests().len(), 5);
    let limited = guard.metric("qstash_guard_rate_limited_total", &["limit=\"cancels\""]);
    assert_eq!(limited, 1);
}

#[test]
fn the_defaults_limit_cancels() {
    let (upstream, guard) = start("");
    // At 10 a minute with a burst of 5, fifty at once cannot all pass, however slow this machine is.
    let answers: Vec<u16> = (0..50)
        .map(|_| {
            std::thread::spawn({
                let address = guard.address;
                move || request(address, "DELETE", "/v2/messages?messageIds=a", &[ALICE], b"").status()
            })
        })
        .collect::<Vec<_>>()
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    let passed = answers.iter().filter(|status| **status == 202).count();
    assert!((5..50).contains(&passed), "{answers:?}");
    assert!(answers.iter().all(|status| matches!(status, 202 | 429)), "{answers:?}");
    assert_eq!(upstream.requests().len(), passed);
    assert_eq!(guard.records_of("intent").len(), passed);
    assert_eq!(guard.records_of("denied").len(), 50 - passed);
}

#[test]
fn messages_of_other_bulk_operations_are_charged_alike() {
    let (upstream, guard) = start(
        "policy: {operations: {dlq.bulk_delete: guard, dlq.bulk_retry: guard}}\n\
         rate_limits: [{name: dead, applies_to: [\"dlq.bulk_*\"], per: caller, unit: messages, rate: 1/h, burst: 50}]\n",
    );
    let ask = |method: &str, target: &str| request(guard.address, method, target, &[ALICE], b"");
    assert_passed(&ask("DELETE", "/v2/dlq?label=a&count=40"));
    assert_passed(&ask("POST", "/v2/dlq/retry?dlqIds=a,b,c"));
    assert_limited(&ask("DELETE", "/v2/dlq?label=a&count=8"), "dead");
    assert_limited(&ask("POST", "/v2/dlq/retry?label=a&count=8"), "dead");
    assert_passed(&ask("DELETE", "/v2/dlq?label=a&count=7"));
    // The cancel is another matter.
    assert_passed(&cancel(&guard, ALICE, 50));
    assert_eq!(upstream.requests().len(), 4);
    // A request that could never pass.
    let before = guard.records().len();
    let answer = ask("DELETE", "/v2/dlq?label=a&count=51");
    assert_denied(&guard, before, &answer, 403, &["count_over_budget"]);
    let said = answer.text();
    assert!(
        said.contains("The request may take") && !said.contains("cancel"),
        "{said}"
    );
}

#[test]
fn messages_are_charged_by_count_and_by_ids() {
    let (upstream, guard) = start(
        "policy: {bulk_cancel: {require_cap: false}}\n\
         rate_limits: [{name: volume, applies_to: [messages.bulk_cancel], per: caller, unit: messages, rate: 1/h, burst: 50}]\n",
    );
    assert_passed(&cancel(&guard, ALICE, 40));
    let answer = cancel(&guard, ALICE, 11);
    assert_limited(&answer, "volume");
    assert_eq!(number(&answer, "burst-ratelimit-limit"), 50);
    assert_eq!(number(&answer, "burst-ratelimit-remaining"), 10);
    // What was refused was not charged, and ids count each time they are given.
    let ids = |ids: &str| {
        request(
            guard.address,
            "DELETE",
            &format!("/v2/messages?messageIds={ids}"),
            &[ALICE],
            b"",
        )
    };
    assert_passed(&ids("a,a,b&messageIds=c"));
    let body = br#"{"messageIds":["a","b","c","d,e"]}"#;
    assert_passed(&request(guard.address, "DELETE", "/v2/messages", &[ALICE], body));
    assert_limited(&ids("a,b"), "volume");
    assert_passed(&ids("a"));
    assert_limited(&ids("a"), "volume");
    // Without count a cancel costs the whole burst: once, and only from a full bucket.
    let uncapped = || request(guard.address, "DELETE", "/v2/messages?label=a", &[BOB], b"");
    assert_passed(&uncapped());
    assert_limited(&uncapped(), "volume");
    assert_limited(&cancel(&guard, BOB, 1), "volume");
    assert_eq!(upstream.requests().len(), 5);
}

#[test]
fn a_cancel_that_could_never_pass_is_told_so() {
    let (upstream, guard) = start(
        "rate_limits: [{name: volume, applies_to: [messages.bulk_cancel], per: caller, unit: messages, rate: 1/h, burst: 50}]\n",
    );
    let before = guard.records().len();
    let answer = cancel(&guard, ALICE, 51);
    assert_denied(&guard, before, &answer, 403, &["count_over_budget"]);
    assert_eq!(answer.json()["limit"], "volume");
    assert!(
        answer.header("retry-after").is_empty(),
        "waiting does not help: {answer:?}"
    );
    upstream.assert_untouched();
    assert_passed(&cancel(&guard, ALICE, 50));
}

#[test]
fn callers_addresses_and_everybody_have_buckets_of_their_own() {
    let limit = |per: &str| {
        format!(
            "rate_limits: [{{name: l, applies_to: [messages.bulk_cancel], per: {per}, unit: requests, rate: 1/h, burst: 1}}]\n"
        )
    };
    let from = |guard: &Guard, source: [u8; 4]| {
        let mut client = Client::connect_from(IpAddr::from(source), guard.address);
        client.send(format!(
            "DELETE /v2/messages?messageIds=a HTTP/1.1\r\nHost: guard.test\r\n{ALICE}\r\n\r\n"
        ));
        client.answer()
    };
    let (_upstream, guard) = start(&limit("caller"));
    assert_passed(&cancel(&guard, ALICE, 1));
    assert_passed(&cancel(&guard, BOB, 1));
    assert_limited(&cancel(&guard, ALICE, 1), "l");
    assert_limited(&from(&guard, [127, 0, 0, 2]), "l");
    // The same token in the query is the same caller; nobody is one too.
    let target = "/v2/messages?messageIds=a";
    assert_limited(
        &request(guard.address, "DELETE", &format!("{target}&qstash_token=bob"), &[], b""),
        "l",
    );
    assert_passed(&request(guard.address, "DELETE", target, &[], b""));
    assert_limited(&request(guard.address, "DELETE", target, &[], b""), "l");

    let (_upstream, guard) = start(&limit("client_ip"));
    assert_passed(&cancel(&guard, ALICE, 1));
    assert_limited(&cancel(&guard, BOB, 1), "l");
    assert_passed(&from(&guard, [127, 0, 0, 2]));
    assert_limited(&from(&guard, [127, 0, 0, 2]), "l");
    assert_eq!(guard.records().last().unwrap()["client"], "127.0.0.2");

    let (_upstream, guard) = start(&limit("global"));
    assert_passed(&cancel(&guard, ALICE, 1));
    assert_limited(&from(&guard, [127, 0, 0, 2]), "l");
    assert_limited(&cancel(&guard, BOB, 1), "l");
}

#[test]
fn what_the_policy_refuses_is_not_charged() {
    let (_upstream, guard) = start(
        "rate_limits: [{name: l, applies_to: [messages.bulk_cancel], per: global, unit: requests, rate: 1/h, burst: 1}]\n",
    );
    for target in [
        "/v2/messages",
        "/v2/messages?label=a&count=500",
        "/v2/messages/../messages",
        "/v2/messages?qstash_token=%20",
    ] {
        let status = request(guard.address, "DELETE", target, &[], b"").status();
        assert!(matches!(status, 400 | 403), "{target}: {status}");
    }
    assert_passed(&cancel(&guard, ALICE, 1));
    assert_limited(&cancel(&guard, ALICE, 1), "l");
    // Refusals come before limits, also once those are used up.
    assert_eq!(
        request(guard.address, "DELETE", "/v2/messages", &[], b"").code(),
        "unfiltered_cancel"
    );
}

#[test]
fn limits_are_charged_in_their_order_and_stay_charged() {
    let (_upstream, guard) = start(
        "rate_limits:\n\
         - {name: volume, applies_to: [messages.bulk_cancel], per: global, unit: messages, rate: 1/h, burst: 10}\n\
         - {name: pace, applies_to: ['messages.*'], per: global, unit: requests, rate: 1/h, burst: 1}\n",
    );
    assert_passed(&cancel(&guard, ALICE, 5));
    // The first limit passes and is charged, the second refuses.
    assert_limited(&cancel(&guard, ALICE, 5), "pace");
    assert_limited(&cancel(&guard, ALICE, 1), "volume");
    assert_limited(
        &request(guard.address, "GET", "/v2/messages/msg_1", &[ALICE], b""),
        "pace",
    );
}

#[test]
fn operations_that_are_not_guarded_can_be_limited() {
    let (upstream, guard) = start(
        "rate_limits: [{name: publishes, applies_to: [messages.publish], per: caller, unit: requests, rate: 1/d, burst: 2}]\n",
    );
    let publish = || {
        request(
            guard.address,
            "POST",
            "/v2/publish/https://example.com/x",
            &[ALICE],
            b"hello",
        )
    };
    let before = guard.records().len();
    assert_passed(&publish());
    assert_passed(&publish());
    assert_eq!(guard.records().len(), before, "what passes leaves no record");
    let record = assert_denied(&guard, before, &publish(), 429, &["rate_limited"]);
    assert_eq!(
        (&record["operation"], &record["limit"]),
        (&"messages.publish".into(), &"publishes".into())
    );
    assert_eq!(upstream.requests().len(), 2);
    assert_passed(&request(
        guard.address,
        "POST",
        "/v2/enqueue/q/https://example.com/x",
        &[ALICE],
        b"hello",
    ));
}

#[test]
fn what_went_beyond_the_charge_is_charged_afterwards() {
    let upstream = Upstream::json(r#"{"cancelled":60}"#);
    let guard = Guard::start(
        &upstream.url(),
        "rate_limits: [{name: volume, applies_to: [messages.bulk_cancel], per: caller, unit: messages, rate: 1/h, burst: 100}]\n",
    );
    // By ids, since the first overrun closes cancels by filter.
    let cancel = |caller, messages: usize| {
        let target = format!("/v2/messages?messageIds={}", vec!["a"; messages].join(","));
        request(guard.address, "DELETE", &target, &[caller], b"")
    };
    assert_passed(&cancel(ALICE, 10));
    let answer = cancel(ALICE, 41);
    assert_limited(&answer, "volume");
    assert_eq!(number(&answer, "burst-ratelimit-remaining"), 40);
    // More than the bucket holds empties it, and does no more.
    assert_passed(&cancel(ALICE, 40));
    assert_limited(&cancel(ALICE, 1), "volume");
    assert_passed(&cancel(BOB, 10));
}

#[test]
fn monitor_mode_records_what_limits_would_refuse() {
    let (upstream, guard) = start(
        "policy: {mode: monitor}\n\
         rate_limits:\n\
         - {name: cancels, applies_to: [messages.bulk_cancel], per: caller, unit: requests, rate: 1/h, burst: 1}\n\
         - {name: publishes, applies_to: [messages.publish], per: caller, unit: requests, rate: 1/h, burst: 1}\n",
    );
    assert_passed(&cancel(&guard, ALICE, 1));
    let before = guard.records().len();
    assert_passed(&cancel(&guard, ALICE, 1));
    let (intent, _) = assert_forwarded(&guard, before);
    assert_eq!(
        (&intent["decision"], &intent["code"]),
        (&"would_deny".into(), &"rate_limited".into())
    );
    assert_eq!(intent["limit"], "cancels");
    // What would be denied anyway costs nothing and meets no limit, as under enforce.
    let before = guard.records().len();
    assert_passed(&request(guard.address, "DELETE", "/v2/messages?count=5", &[ALICE], b""));
    let (intent, _) = assert_forwarded(&guard, before);
    let codes: Vec<&Value> = intent["violations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| &v["code"])
        .collect();
    assert_eq!(codes, ["unfiltered_cancel"]);
    let publish = || {
        request(
            guard.address,
            "POST",
            "/v2/publish/https://example.com/x",
            &[ALICE],
            b"hello",
        )
    };
    let before = guard.records().len();
    assert_passed(&publish());
    assert_passed(&publish());
    let records = guard.records().split_off(before);
    assert_eq!(records.len(), 1, "{records:#?}");
    assert_eq!(
        (&records[0]["event"], &records[0]["decision"]),
        (&"passed".into(), &"would_deny".into())
    );
    assert_eq!(
        (&records[0]["limit"], &records[0]["upstream_status"]),
        (&"publishes".into(), &202.into())
    );
    assert_eq!(upstream.requests().len(), 5);
}

#[test]
fn nobody_washes_the_trail_away() {
    let (upstream, guard) = start(
        "rate_limits: [{name: denials, applies_to: [denied], per: client_ip, unit: requests, rate: 1/d, burst: 3}]\n",
    );
    for _ in 0..10 {
        let answer = request(guard.address, "DELETE", "/v2/messages", &[ALICE], b"");
        refusal(&answer, 403, &["unfiltered_cancel", "uncapped_cancel"]);
    }
    assert_eq!(guard.records_of("denied").len(), 3);
    let counted = guard.metric(
        "qstash_guard_requests_total",
        &["code=\"unfiltered_cancel\"", "decision=\"deny\""],
    );
    assert_eq!(counted, 10);
    // Another address has its own share, and what goes on is recorded whatever was refused.
    let mut other = Client::connect_from([127, 0, 0, 3].into(), guard.address);
    other.send("DELETE /v2/messages HTTP/1.1\r\nHost: guard.test\r\n\r\n");
    assert_eq!(other.answer().status(), 403);
    assert_eq!(guard.records_of("denied").len(), 4);
    let before = guard.records().len();
    assert_passed(&cancel(&guard, ALICE, 1));
    assert_forwarded(&guard, before);
    assert_eq!(upstream.requests().len(), 1);
    let (path, folder) = (guard.trail_path(), std::sync::Arc::clone(&guard.folder));
    let (status, _) = guard.stop();
    assert!(status.success());
    let text = std::fs::read_to_string(path).unwrap();
    drop(folder);
    let last: Vec<Value> = text
        .lines()
        .rev()
        .take(2)
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&last[1]["event"], &last[0]["event"]),
        (&"denials_suppressed".into(), &"stopped".into())
    );
    assert!(last[1]["detail"].as_str().unwrap().starts_with("7 "), "{}", last[1]);
}
