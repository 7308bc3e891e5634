//! A bulk action is asked for until it has ended, whatever QStash answers meanwhile.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use socket2::SockRef;

use crate::support::upstream::{answer, broken_off};
use crate::support::{Gate, Guard, RawRequest, Upstream, assert_denied, redacted, request};
use crate::{SECRET, UNLIMITED, assert_no_secret, cancel};

const STARTED: &str = r#"{"cancelled":2,"actionId":"ba_1"}"#;

/// An upstream that answers cancels with this, and hands questions, numbered from 0, to `tell`, which gives the bytes of
/// the answer; none closes the connection with a reset.
fn acting(
    started: &'static str,
    tell: impl Fn(usize, &RawRequest) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> Upstream {
    let asked = AtomicUsize::new(0);
    Upstream::with(move |mut connection| {
        while let Some(request) = connection.read_request() {
            let bytes = if request.line().starts_with("DELETE") {
                Some(answer("202 Accepted", started))
            } else {
                tell(asked.fetch_add(1, Ordering::SeqCst), &request)
            };
            let Some(bytes) = bytes else {
                SockRef::from(&connection.stream)
                    .set_linger(Some(Duration::ZERO))
                    .unwrap();
                return;
            };
            if connection.stream.write_all(&bytes).is_err() {
                return;
            }
        }
    })
}

fn in_progress(processed: u64) -> Vec<u8> {
    let action =
        json!({"actionId": "ba_1", "kind": "cancel", "state": "IN_PROGRESS", "total": 2, "processed": processed});
    answer("200 OK", &action.to_string())
}

fn finished(total: u64) -> Vec<u8> {
    let action = json!({"actionId": "ba_1", "kind": "cancel", "state": "FINISHED", "total": total, "processed": total,
                        "createdAt": 1, "completedAt": 2, "filter": {"label": ["a"]}});
    answer("200 OK", &action.to_string())
}

fn start(upstream: &Upstream) -> Guard {
    Guard::start(&upstream.url(), UNLIMITED)
}

#[track_caller]
fn finish(guard: &Guard) -> Value {
    guard.wait_for("bulk_action_finished", 1).remove(0)
}

#[test]
fn it_is_followed_through_errors_to_its_end() {
    let upstream = acting(STARTED, |question, _| match question {
        0 => Some(answer("500 Internal Server Error", r#"{"error":"no"}"#)),
        1 => None,
        _ => Some(finished(2)),
    });
    let guard = start(&upstream);
    assert_eq!(cancel(&guard, "label=a&count=5&async=true").text(), STARTED);
    let record = finish(&guard);
    let outcome = guard.records_of("outcome").remove(0);
    assert_eq!(
        (&outcome["result"], &outcome["action_id"]),
        (&json!("accepted"), &json!("ba_1"))
    );
    for name in ["request_id", "caller", "client", "operation", "policy"] {
        assert_eq!(record[name], outcome[name], "{name}");
    }
    insta::assert_snapshot!("finished", redacted(&record));
    let questions = upstream.requests().split_off(1);
    assert_eq!(questions.len(), 3, "{questions:#?}");
    for question in &questions {
        assert_eq!(question.line(), "GET /v2/bulkActions/ba_1 HTTP/1.1");
        assert_eq!(question.header("authorization"), [format!("Bearer {SECRET}")]);
        assert_eq!(question.header("host"), [upstream.host()]);
        assert_eq!(question.headers().len(), 3, "Accept, and nothing else: {question:?}");
    }
    assert_no_secret(&guard);
    assert_eq!(guard.verify().0, Some(0));
}

#[test]
fn a_token_that_stays_in_the_query_is_asked_with_as_well() {
    let upstream = acting(STARTED, |question, _| {
        Some(if question == 0 { in_progress(1) } else { finished(2) })
    });
    let guard = start(&upstream);
    let target = format!("/v2/messages?label=a&count=5&async=true&qstash_token={SECRET}");
    request(guard.address, "DELETE", &target, &["Upstash-Header-Forward: true"], b"");
    assert_eq!(finish(&guard)["processed"], 2);
    let questions = upstream.requests().split_off(1);
    assert_eq!(questions.len(), 2);
    for question in questions {
        assert_eq!(question.header("authorization"), [format!("Bearer {SECRET}")]);
        assert_eq!(question.target(), "/v2/bulkActions/ba_1");
    }
    assert_no_secret(&guard);
}

#[test]
fn an_answer_that_is_none_is_asked_for_again_and_a_compressed_one_is_read() {
    let upstream = acting(STARTED, |question, _| {
        if question == 0 {
            return Some(answer("200 OK", r#"{"total":9,"processed":9}"#));
        }
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(br#"{"state":"FINISHED","total":4,"processed":3}"#)
            .unwrap();
        let body = gzip.finish().unwrap();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Some([head.into_bytes(), body].concat())
    });
    let guard = start(&upstream);
    cancel(&guard, "label=a&count=5&async=true");
    let record = finish(&guard);
    assert_eq!((&record["total"], &record["processed"]), (&json!(4), &json!(3)));
    assert_eq!(
        guard.records_of("cap_overrun").len(),
        0,
        "what has no state is no bulk action"
    );
}

#[test]
fn an_end_with_more_than_was_allowed_is_an_overrun() {
    let upstream = acting(STARTED, |_, _| Some(finished(9)));
    let guard = start(&upstream);
    assert_eq!(cancel(&guard, "label=a&count=5&async=true").status(), 202);
    let record = finish(&guard);
    assert_eq!((&record["total"], &record["processed"]), (&json!(9), &json!(9)));
    let overruns = guard.records_of("cap_overrun");
    assert_eq!(overruns.len(), 1);
    insta::assert_snapshot!("overrun-at-the-end", redacted(&overruns[0]));
    assert_eq!(guard.metric("qstash_guard_cap_overruns_total", &[]), 1);
    assert_eq!(guard.metric("qstash_guard_cancelled_messages_total", &[]), 9);
    let (bytes, records) = (upstream.bytes().len(), guard.records().len());
    assert_denied(
        &guard,
        records,
        &cancel(&guard, "label=b&count=5"),
        403,
        &["cap_not_honoured"],
    );
    assert_eq!(upstream.bytes().len(), bytes);
}

#[test]
fn a_cancel_overruns_once_whoever_tells_it() {
    let upstream = acting(r#"{"cancelled":9,"actionId":"ba_1"}"#, |_, _| Some(finished(9)));
    let guard = start(&upstream);
    cancel(&guard, "label=a&count=5&async=true");
    finish(&guard);
    assert_eq!(guard.records_of("cap_overrun").len(), 1);
    assert_eq!(guard.metric("qstash_guard_cap_overruns_total", &[]), 1);
}

#[test]
fn an_overrun_after_a_reload_closes_the_policy_in_force() {
    let reloaded = Gate::default();
    let upstream = acting(STARTED, {
        let reloaded = reloaded.clone();
        move |_, _| {
            reloaded.pass();
            Some(finished(9))
        }
    });
    let guard = start(&upstream);
    cancel(&guard, "label=a&count=5&async=true");
    guard.signal("HUP");
    guard.wait_for_metric(r#"qstash_guard_policy_reloads_total{result="loaded"}"#, 1);
    reloaded.open();
    finish(&guard);
    let records = guard.records().len();
    assert_denied(
        &guard,
        records,
        &cancel(&guard, "label=b&count=5"),
        403,
        &["cap_not_honoured"],
    );
}

#[test]
fn what_more_went_at_the_end_is_charged() {
    let upstream = acting(STARTED, |_, _| Some(finished(60)));
    let yaml = "rate_limits: [{name: volume, applies_to: [messages.bulk_cancel], per: global, unit: messages, rate: 1/h, burst: 100}]\n";
    let guard = Guard::start(&upstream.url(), yaml);
    cancel(&guard, "label=a&count=5&async=true");
    finish(&guard);
    let ids = vec!["a"; 41].join(",");
    let refused = cancel(&guard, &format!("messageIds={ids}"));
    assert_eq!((refused.status(), refused.code().as_str()), (429, "rate_limited"));
    assert_eq!(refused.header("burst-ratelimit-remaining"), ["40"]);
}

/// What an upstream gives for an id leads nowhere else, and is no way to get a credential recorded.
#[test]
fn an_id_that_is_none_is_not_asked_for() {
    for id in ["..", "../messages", "a/b", "a?b", "%2e%2e", "a\\r\\nX: y", "ä"] {
        let started: &'static str = format!(r#"{{"cancelled":2,"actionId":"{id}"}}"#).leak();
        let upstream = acting(started, |_, _| Some(finished(2)));
        let guard = start(&upstream);
        cancel(&guard, "label=a&count=5&async=true");
        let record = finish(&guard);
        assert_eq!(record["result"], "uncertain", "{id}");
        assert_eq!(record["detail"], "not followed: its id is no segment of a path", "{id}");
        assert_eq!(upstream.requests().len(), 1, "{id}");
    }
    let echo: &'static str = format!(r#"{{"cancelled":2,"actionId":"x{SECRET}"}}"#).leak();
    let upstream = acting(echo, |_, _| Some(finished(2)));
    let guard = start(&upstream);
    cancel(&guard, "label=a&count=5&async=true");
    assert_eq!(guard.records_of("outcome")[0]["result"], "uncertain");
    assert_no_secret(&guard);
    // What goes on under no name that can be asked for has not ended.
    for id in [
        "7".to_owned(),
        "[\"ba_1\"]".to_owned(),
        format!("\"{}\"", "x".repeat(300)),
    ] {
        let started: &'static str = format!(r#"{{"cancelled":2,"actionId":{id}}}"#).leak();
        let guard = start(&Upstream::json(started));
        assert_eq!(cancel(&guard, "label=a&count=5&async=true").status(), 202);
        let outcome = guard.records_of("outcome").remove(0);
        assert_eq!(
            (&outcome["result"], &outcome["cancelled"]),
            (&json!("uncertain"), &json!(2)),
            "{id}"
        );
    }
}

/// The client is told that it is not known; the trail can come to know it.
#[test]
fn it_is_followed_behind_an_answer_that_broke_off() {
    let upstream = Upstream::breaking_off(|request| {
        if request.line().starts_with("DELETE") {
            broken_off(STARTED)
        } else {
            finished(2)
        }
    });
    let guard = start(&upstream);
    let answer = cancel(&guard, "label=a&count=5&async=true");
    assert_eq!((answer.status(), answer.code().as_str()), (502, "upstream_failed"));
    let outcome = guard.records_of("outcome").remove(0);
    assert_eq!(
        (&outcome["result"], &outcome["cancelled"], &outcome["action_id"]),
        (&json!("uncertain"), &json!(2), &json!("ba_1"))
    );
    let record = finish(&guard);
    assert_eq!((&record["result"], &record["processed"]), (&Value::Null, &json!(2)));
}

#[test]
fn so_many_are_followed_at_a_time_and_no_more() {
    const MOST: usize = 256;
    let upstream = acting(STARTED, |_, _| Some(in_progress(1)));
    let guard = Guard::start(
        &upstream.url(),
        &format!("{UNLIMITED}audit: {{durability: buffered}}\n"),
    );
    for number in 0..=MOST {
        let answer = cancel(&guard, &format!("label=n{number}&count=5&async=true"));
        assert_eq!(answer.status(), 202);
    }
    let record = finish(&guard);
    assert_eq!(record["result"], "uncertain");
    assert_eq!(record["detail"], "not followed: 256 bulk actions are followed already");
    let last = guard.records_of("outcome").pop().unwrap();
    assert_eq!(record["request_id"], last["request_id"], "it is the last one");
    assert_eq!(guard.records_of("bulk_action_finished").len(), 1);
}
