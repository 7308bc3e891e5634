//! An answer that says that more went than was allowed closes such cancels, and those alone.

use std::sync::{Arc, Barrier};

use serde_json::{Value, json};

use crate::support::upstream::{answer, broken_off};
use crate::support::{Guard, RawRequest, Upstream, assert_denied, assert_forwarded, redacted, wait};
use crate::{UNLIMITED, cancel, cancel_by_body};

const OVERRUNS: &str = "qstash_guard_cap_overruns_total";

/// An upstream that says nine messages went for whatever has `more` in it, else one.
fn upstream() -> Upstream {
    Upstream::answering(|request| {
        let more = request.target().contains("more") || String::from_utf8_lossy(&request.body).contains("more");
        answer(
            "202 Accepted",
            if more {
                r#"{"cancelled":9}"#
            } else {
                r#"{"cancelled":1}"#
            },
        )
    })
}

fn start(yaml: &str) -> (Upstream, Guard) {
    let upstream = upstream();
    let guard = Guard::start(&upstream.url(), &format!("{UNLIMITED}{yaml}"));
    (upstream, guard)
}

/// Asserts that a cancel was denied by a closed cap: with one record, and not a byte for the upstream.
#[track_caller]
fn assert_closed(upstream: &Upstream, guard: &Guard, cancel: impl FnOnce() -> crate::Answer, codes: &[&str]) -> Value {
    let (bytes, records) = (upstream.bytes().len(), guard.records().len());
    let record = assert_denied(guard, records, &cancel(), 403, codes);
    assert_eq!(upstream.bytes().len(), bytes, "the upstream got some of it");
    assert!(record["selection"].is_object(), "{record}");
    record
}

#[track_caller]
fn assert_open(guard: &Guard, cancel: impl FnOnce() -> crate::Answer) {
    let before = guard.records().len();
    assert_eq!(cancel().status(), 202);
    assert_forwarded(guard, before);
}

/// The records of a cancel that overran: its outcome, and that.
#[track_caller]
fn assert_overruns(guard: &Guard, cancel: impl FnOnce() -> crate::Answer) -> Value {
    let (before, counted) = (guard.records().len(), guard.metric(OVERRUNS, &[]));
    let answer = cancel();
    assert_eq!(
        (answer.status(), answer.text().as_str()),
        (202, r#"{"cancelled":9}"#),
        "the client is told what QStash said"
    );
    let mut records = guard.records().split_off(before);
    let events: Vec<&Value> = records.iter().map(|record| &record["event"]).collect();
    assert_eq!(events, ["intent", "outcome", "cap_overrun"]);
    let overrun = records.remove(2);
    for name in ["request_id", "caller", "client", "operation", "policy"] {
        assert_eq!(overrun[name], records[0][name], "{name}");
    }
    assert_eq!(guard.metric(OVERRUNS, &[]), counted + 1);
    let warned = |log: &String| {
        log.lines()
            .any(|line| line.contains("WARN") && line.contains(overrun["request_id"].as_str().unwrap()))
    };
    wait::until(|| guard.log(), warned);
    overrun
}

#[test]
fn a_filter_cancel_that_overruns_closes_filter_cancels_alone() {
    let (upstream, guard) = start("");
    assert_eq!(guard.metric_line(OVERRUNS), 0);
    assert_open(&guard, || cancel(&guard, "label=a&count=5"));
    let overrun = assert_overruns(&guard, || cancel(&guard, "label=more&count=5"));
    insta::assert_snapshot!("overrun-by-filter", redacted(&overrun));

    let closed = ["cap_not_honoured"];
    let record = assert_closed(&upstream, &guard, || cancel(&guard, "label=a&count=5"), &closed);
    insta::assert_snapshot!("denied-by-filter", redacted(&record));
    assert_closed(
        &upstream,
        &guard,
        || cancel_by_body(&guard, r#"{"label":"a","count":1}"#),
        &closed,
    );
    // What else is wrong with a request comes first.
    assert_closed(
        &upstream,
        &guard,
        || cancel(&guard, "label=a&count=500"),
        &["count_over_cap", "cap_not_honoured"],
    );
    assert_closed(
        &upstream,
        &guard,
        || cancel(&guard, "lable=a"),
        &[
            "unknown_parameter",
            "unfiltered_cancel",
            "uncapped_cancel",
            "cap_not_honoured",
        ],
    );
    assert_open(&guard, || cancel(&guard, "messageIds=a,b"));
    assert_open(&guard, || cancel_by_body(&guard, r#"{"messageIds":["a"]}"#));
    assert_eq!(guard.metric_line(OVERRUNS), 1);
    assert_eq!(guard.verify().0, Some(0));
}

#[test]
fn an_answer_that_breaks_off_is_believed_as_far_as_it_came() {
    let upstream = Upstream::breaking_off(|_| broken_off(r#"{"cancelled":9}"#));
    let guard = Guard::start(&upstream.url(), UNLIMITED);
    let answer = cancel(&guard, "label=a&count=5");
    assert_eq!((answer.status(), answer.code().as_str()), (502, "upstream_failed"));
    let records = guard.records().split_off(1);
    let events: Vec<&str> = records.iter().map(|record| record["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["intent", "outcome", "cap_overrun"], "{records:#?}");
    assert_eq!(
        (
            &records[1]["result"],
            &records[1]["cancelled"],
            &records[2]["cancelled"]
        ),
        (&json!("uncertain"), &json!(9), &json!(9))
    );
    assert_closed(
        &upstream,
        &guard,
        || cancel(&guard, "label=a&count=5"),
        &["cap_not_honoured"],
    );
}

#[test]
fn ids_in_a_body_that_overrun_close_such_cancels_alone() {
    let (upstream, guard) = start("");
    let overrun = assert_overruns(&guard, || cancel_by_body(&guard, r#"{"messageIds":["more","b"]}"#));
    insta::assert_snapshot!("overrun-by-body", redacted(&overrun));
    let record = assert_closed(
        &upstream,
        &guard,
        || cancel_by_body(&guard, r#"{"messageIds":["a"]}"#),
        &["cap_not_honoured"],
    );
    insta::assert_snapshot!("denied-by-body", redacted(&record));
    assert_open(&guard, || cancel(&guard, "messageIds=a,b"));
    assert_open(&guard, || cancel(&guard, "label=a&count=5"));
    assert_open(&guard, || cancel_by_body(&guard, r#"{"label":"a","count":5}"#));
    // The other kind closes by its own overrun.
    assert_overruns(&guard, || cancel(&guard, "label=more&count=5"));
    assert_closed(
        &upstream,
        &guard,
        || cancel(&guard, "label=a&count=5"),
        &["cap_not_honoured"],
    );
}

#[test]
fn ids_in_a_query_stay_open_whatever_is_said_of_them() {
    let (_upstream, guard) = start("");
    let overrun = assert_overruns(&guard, || cancel(&guard, "messageIds=more,b"));
    assert_eq!(
        overrun["detail"],
        "the ids sent allowed 2 messages and 9 went; they stood in the query; nothing is refused"
    );
    assert_open(&guard, || cancel(&guard, "messageIds=a"));
    assert_open(&guard, || cancel_by_body(&guard, r#"{"messageIds":["a"]}"#));
    assert_open(&guard, || cancel(&guard, "label=a&count=5"));
}

#[test]
fn as_many_as_were_allowed_are_no_overrun() {
    let (_upstream, guard) = start("");
    assert_open(&guard, || cancel(&guard, "label=more&count=9"));
    assert_open(&guard, || {
        cancel_by_body(&guard, r#"{"messageIds":["more","2,3,4,5,6,7,8,9"]}"#)
    });
    // Where nothing is a cap, none can be overrun.
    let (_upstream, guard) = start("policy: {bulk_cancel: {require_cap: false}}\n");
    assert_open(&guard, || cancel(&guard, "label=more"));
    assert_open(&guard, || cancel(&guard, "label=a&count=1"));
}

#[test]
fn a_cancel_of_all_is_capped_by_count_too() {
    let (upstream, guard) = start("policy: {bulk_cancel: {require_filter: false}}\n");
    assert_overruns(&guard, || cancel(&guard, "count=5&callerIp=more"));
    for query in ["count=5", "label=a&count=5"] {
        assert_closed(&upstream, &guard, || cancel(&guard, query), &["cap_not_honoured"]);
    }
}

#[test]
fn no_rule_opens_what_an_overrun_has_closed() {
    let (upstream, guard) = start("policy: {rules: [{name: all, allow: true}]}\n");
    assert_open(&guard, || cancel(&guard, "label=a&count=500"));
    assert_overruns(&guard, || cancel(&guard, "label=more&count=5"));
    let record = assert_closed(
        &upstream,
        &guard,
        || cancel(&guard, "label=a&count=5"),
        &["cap_not_honoured"],
    );
    assert!(record["rule"].is_null(), "no rule had a part in it: {record}");
}

#[test]
fn a_reload_trusts_again_also_one_that_changes_nothing() {
    let (upstream, guard) = start("");
    assert_overruns(&guard, || cancel(&guard, "label=more&count=5"));
    assert_closed(
        &upstream,
        &guard,
        || cancel(&guard, "label=a&count=5"),
        &["cap_not_honoured"],
    );
    guard.signal("HUP");
    guard.wait_for_metric(r#"qstash_guard_policy_reloads_total{result="loaded"}"#, 1);
    let loaded = guard.records_of("policy_loaded").remove(0);
    assert_eq!(
        loaded["detail"],
        "by SIGHUP; as before; caps that were overrun are trusted again"
    );
    assert_open(&guard, || cancel(&guard, "label=a&count=5"));
    assert_overruns(&guard, || cancel(&guard, "label=more&count=5"));
    // A faulty configuration changes nothing, this neither.
    guard.folder.write("guard.yaml", "polcy: {}\n");
    guard.wait_for("policy_rejected", 1);
    assert_closed(
        &upstream,
        &guard,
        || cancel(&guard, "label=a&count=5"),
        &["cap_not_honoured"],
    );
}

#[test]
fn monitor_mode_records_and_refuses_nothing() {
    let (_upstream, guard) = start("policy: {mode: monitor}\n");
    let overrun = assert_overruns(&guard, || cancel(&guard, "label=more&count=5"));
    assert_eq!(
        overrun["detail"],
        "count allowed 5 messages and 9 went; mode monitor: nothing is refused"
    );
    let before = guard.records().len();
    assert_eq!(cancel(&guard, "label=a&count=5").status(), 202);
    let (intent, _) = assert_forwarded(&guard, before);
    assert_eq!(
        (&intent["decision"], &intent["code"]),
        (&json!("would_deny"), &json!("cap_not_honoured"))
    );
}

/// Whatever arrived overran; whatever did not was refused, and says so.
#[test]
fn of_cancels_that_race_none_is_sent_once_one_has_overrun() {
    const RACERS: usize = 24;
    let (upstream, guard) = start("");
    let (guard, start) = (Arc::new(guard), Arc::new(Barrier::new(RACERS)));
    let racers: Vec<_> = (0..RACERS)
        .map(|number| {
            let (guard, start) = (Arc::clone(&guard), Arc::clone(&start));
            std::thread::spawn(move || {
                start.wait();
                // Each twice: the second time something has overrun for certain.
                let query = format!("label=more-{number}&count=5");
                [cancel(&guard, &query).status(), cancel(&guard, &query).status()]
            })
        })
        .collect();
    let statuses: Vec<[u16; 2]> = racers.into_iter().map(|racer| racer.join().unwrap()).collect();
    assert!(statuses.iter().all(|[_, second]| *second == 403), "{statuses:?}");
    let passed = statuses.iter().filter(|[first, _]| *first == 202).count();
    assert!(passed >= 1, "{statuses:?}");
    let targets = |requests: Vec<RawRequest>| requests.len();
    assert_eq!(targets(upstream.requests()), passed);
    assert_eq!(guard.records_of("cap_overrun").len(), passed);
    assert_eq!(guard.metric(OVERRUNS, &[]), passed as u64);
    // A request that was refused behind its intent has sent nothing.
    let (intents, outcomes) = (guard.records_of("intent"), guard.records_of("outcome"));
    assert_eq!(intents.len(), outcomes.len());
    let unsent: Vec<&Value> = outcomes
        .iter()
        .filter(|outcome| outcome["result"] == "unsent")
        .collect();
    assert_eq!(unsent.len(), intents.len() - passed);
    assert!(unsent.iter().all(|outcome| outcome["error"] == "cap_not_honoured"));
    assert_eq!(
        guard.records_of("denied").len() + intents.len(),
        2 * RACERS,
        "each left its records"
    );
}
