//! A QStash that takes more than the ids that the guard sends: told once, with what was allowed and what went, and no
//! more cancels by filter from then on.

use std::sync::{Arc, Barrier};

use serde_json::{Value, json};

use crate::script::{done, listing, waiting};
use crate::support::upstream::{answer, broken_off};
use crate::support::{Answer, Gate, Guard, Upstream, assert_denied, redacted, refusal, request, wait};
use crate::{CHUNKS_OF_TWO, TOKEN, cancelled, delete};

const OVERRUNS: &str = "qstash_guard_cap_overruns_total";

/// Six messages that wait; a cancel of those with this number first is answered like this, bulk actions as they are said
/// to be.
fn upstream(first: &'static str, said: &'static str, action: &'static str) -> Upstream {
    Upstream::answering(move |request| {
        if request.line().starts_with("GET /v2/bulkActions/") {
            return answer("200 OK", action);
        }
        let is_one = request.target().contains(&format!("messageIds={first}"));
        listing(&[waiting(0..6)], request).unwrap_or_else(|| {
            if is_one {
                answer("202 Accepted", said)
            } else {
                done(request)
            }
        })
    })
}

/// Asserts the records of the last request, whose cancels overran; gives the last two.
#[track_caller]
fn assert_overran(guard: &Guard, before: usize) -> (Value, Value) {
    let records = guard.records().split_off(before);
    let events: Vec<&str> = records.iter().map(|record| record["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["intent", "outcome", "cap_overrun"], "{records:#?}");
    for name in ["request_id", "caller", "client", "operation", "policy"] {
        assert_eq!(records[2][name], records[0][name], "{name}");
    }
    (records[1].clone(), records[2].clone())
}

fn error(answer: &Answer) -> String {
    let body = refusal(answer, 502, &["cap_unresolvable"]);
    body["violations"][0]["message"].as_str().unwrap().to_owned()
}

#[test]
fn more_than_the_ids_of_one_cancel_ends_it_and_closes_cancels_by_filter() {
    let upstream = upstream("msg_002", r#"{"cancelled":3}"#, "");
    let guard = Guard::start(&upstream.url(), CHUNKS_OF_TWO);
    assert_eq!(guard.metric_line(OVERRUNS), 0);
    let answer = delete(&guard, "/v2/messages?label=a&count=6");
    assert_eq!(
        error(&answer),
        "Of 6 messages that the cancel may take, 5 were cancelled, then QStash says that it cancelled 3 for 2 ids; nothing \
         more was sent."
    );
    assert_eq!(cancelled(&upstream).len(), 2, "nothing goes after it");
    let (outcome, overrun) = assert_overran(&guard, 1);
    assert_eq!(
        (&outcome["result"], &outcome["cancelled"], &outcome["error"]),
        (&json!("completed"), &json!(5), &json!("cap_unresolvable"))
    );
    insta::assert_snapshot!("overrun-of-a-chunk", redacted(&overrun));
    assert_eq!(guard.metric_line(OVERRUNS), 1);
    let id = overrun["request_id"].as_str().unwrap();
    wait::until(
        || guard.log(),
        |log| log.lines().any(|line| line.contains("WARN") && line.contains(id)),
    );
    assert_eq!(guard.metric("qstash_guard_cancelled_messages_total", &[]), 5);

    // One overrun, not a hundred: not even the listing is asked for.
    let (bytes, before) = (upstream.bytes().len(), guard.records().len());
    let denied = delete(&guard, "/v2/messages?label=a&count=1");
    let record = assert_denied(&guard, before, &denied, 403, &["cap_not_honoured"]);
    insta::assert_snapshot!("denied-after-a-chunk", redacted(&record));
    let body = br#"{"label":"a","count":1}"#;
    let denied = request(guard.address, "DELETE", "/v2/messages", &[TOKEN], body);
    refusal(&denied, 403, &["cap_not_honoured"]);
    assert_eq!(upstream.bytes().len(), bytes, "the upstream got some of it");
    // What names its messages itself stays open.
    assert_eq!(delete(&guard, "/v2/messages?messageIds=x,y").status(), 202);
    let body = br#"{"messageIds":["x"]}"#;
    assert_eq!(
        request(guard.address, "DELETE", "/v2/messages", &[TOKEN], body).status(),
        202
    );

    guard.signal("HUP");
    guard.wait_for_metric(r#"qstash_guard_policy_reloads_total{result="loaded"}"#, 1);
    let loaded = guard.records_of("policy_loaded").remove(0);
    let again = "caps that were overrun are trusted again";
    assert!(loaded["detail"].as_str().unwrap().contains(again), "{loaded}");
    assert_eq!(
        delete(&guard, "/v2/messages?label=a&count=2").json(),
        json!({"cancelled": 2})
    );
}

#[test]
fn each_cancel_is_held_against_its_own_ids() {
    // Nothing of the first two went, so three in all are fewer than the four ids sent; they are one too many.
    let upstream = Upstream::answering(|request| {
        let cancels = || {
            let first = request.target().contains("msg_000");
            answer(
                "202 OK",
                if first {
                    r#"{"cancelled":0}"#
                } else {
                    r#"{"cancelled":3}"#
                },
            )
        };
        listing(&[waiting(0..6)], request).unwrap_or_else(cancels)
    });
    let guard = Guard::start(&upstream.url(), CHUNKS_OF_TWO);
    error(&delete(&guard, "/v2/messages?label=a&count=6"));
    let (_, overrun) = assert_overran(&guard, 1);
    assert_eq!(
        overrun["detail"],
        "the ids of one cancel allowed 2 messages and 3 went (ids sent so far: 4, messages gone: 3; no more were sent); \
         cancels by filter are refused until a reload or restart"
    );
    assert_eq!(cancelled(&upstream).len(), 2);
}

#[test]
fn fewer_than_all_that_were_found_is_an_overrun_too() {
    let upstream = upstream("msg_000", r#"{"cancelled":5}"#, "");
    let guard = Guard::start(&upstream.url(), CHUNKS_OF_TWO);
    error(&delete(&guard, "/v2/messages?label=a&count=6"));
    let (outcome, overrun) = assert_overran(&guard, 1);
    assert_eq!((&outcome["cancelled"], &overrun["cancelled"]), (&json!(5), &json!(5)));
    assert_eq!(
        cancelled(&upstream).len(),
        1,
        "the four that were not sent stay where they are"
    );
}

#[test]
fn a_cancel_by_ids_that_goes_on_is_followed() {
    let action = r#"{"actionId":"ba_1","state":"FINISHED","total":4,"processed":4}"#;
    for (said, at_once) in [
        (r#"{"cancelled":9,"actionId":"ba_1"}"#, true),
        (r#"{"cancelled":2,"actionId":"ba_1"}"#, false),
    ] {
        let upstream = upstream("msg_002", said, action);
        let guard = Guard::start(&upstream.url(), CHUNKS_OF_TWO);
        let told = error(&delete(&guard, "/v2/messages?label=a&count=6"));
        let finished = guard.wait_for("bulk_action_finished", 1).remove(0);
        assert_eq!(
            told.contains("cancelled 9 for 2 ids; it may not have ended"),
            at_once,
            "{told}"
        );
        assert_eq!(
            told.contains("QStash answered 202 and goes on; up to 2 more"),
            !at_once,
            "{told}"
        );
        let outcome = guard.records_of("outcome").remove(0);
        assert_eq!(
            (&outcome["result"], &outcome["action_id"], &outcome["cancelled"]),
            (
                &json!("uncertain"),
                &json!("ba_1"),
                &json!(if at_once { 11 } else { 2 })
            )
        );
        assert_eq!(
            (&finished["total"], &finished["action_id"]),
            (&json!(4), &json!("ba_1"))
        );
        // Four went for two ids: told when it is known, once.
        let overruns = guard.records_of("cap_overrun");
        assert_eq!((overruns.len(), guard.metric_line(OVERRUNS)), (1, 1), "{overruns:?}");
        let allowed = if at_once {
            "2 messages and 9 went"
        } else {
            "2 messages and 4 went"
        };
        assert!(
            overruns[0]["detail"].as_str().unwrap().contains(allowed),
            "{overruns:?}"
        );
        refusal(
            &delete(&guard, "/v2/messages?label=a&count=1"),
            403,
            &["cap_not_honoured"],
        );
        let counted = if at_once { 11 } else { 6 };
        guard.wait_until("all of them are counted", || {
            guard.metric("qstash_guard_cancelled_messages_total", &[]) == counted
        });
    }
}

#[test]
fn a_cancel_that_is_under_way_stops_when_another_overruns() {
    let gate = Gate::default();
    let waits = gate.clone();
    let upstream = Upstream::answering(move |request| {
        let is_other = request.target().contains("label=b");
        let pages = if is_other { waiting(6..7) } else { waiting(0..6) };
        listing(&[pages], request).unwrap_or_else(|| {
            if request.target().contains("msg_006") {
                return answer("202 Accepted", r#"{"cancelled":2}"#);
            }
            waits.pass();
            done(request)
        })
    });
    let guard = Guard::start(&upstream.url(), CHUNKS_OF_TWO);
    let mut under_way = crate::leaving::ask(guard.address);
    upstream.wait_for(2);
    // The test's entries are labelled `a`; a cancel of both labels selects them too.
    error(&delete(&guard, "/v2/messages?label=b,a&count=1"));
    gate.open();
    let answer = under_way.answer();
    assert_eq!(
        error(&answer),
        "Of 5 messages that the cancel may take, 2 were cancelled, then QStash took more than the ids of another cancel; \
         nothing more was sent."
    );
    assert_eq!(cancelled(&upstream).len(), 2);
    let outcomes = guard.wait_for("outcome", 2);
    assert_eq!(
        (
            &outcomes[1]["result"],
            &outcomes[1]["cancelled"],
            &outcomes[1]["upstream_status"]
        ),
        (&json!("completed"), &json!(2), &Value::Null)
    );
    assert_eq!(
        (guard.records_of("cap_overrun").len(), guard.metric_line(OVERRUNS)),
        (1, 1)
    );
    // Both were judged before; a third is not listed any more.
    refusal(
        &delete(&guard, "/v2/messages?label=a&count=5"),
        403,
        &["cap_not_honoured"],
    );
}

#[test]
fn of_cancels_that_race_none_is_sent_once_one_has_overrun() {
    const RACERS: usize = 12;
    let upstream = Upstream::answering(|request| {
        listing(&[waiting(0..1)], request).unwrap_or_else(|| answer("202 Accepted", r#"{"cancelled":2}"#))
    });
    let guard = Arc::new(Guard::start(&upstream.url(), CHUNKS_OF_TWO));
    let start = Arc::new(Barrier::new(RACERS));
    let racers: Vec<_> = (0..RACERS)
        .map(|_| {
            let (guard, start) = (Arc::clone(&guard), Arc::clone(&start));
            std::thread::spawn(move || {
                start.wait();
                // Each twice: the second time something has overrun for certain.
                let cancel = || delete(&guard, "/v2/messages?label=a&count=5").code();
                [cancel(), cancel()]
            })
        })
        .collect();
    let codes: Vec<[String; 2]> = racers.into_iter().map(|racer| racer.join().unwrap()).collect();
    assert!(
        codes.iter().all(|[_, second]| second == "cap_not_honoured"),
        "{codes:?}"
    );
    let sent = cancelled(&upstream).len();
    assert!(sent >= 1, "{codes:?}");
    assert_eq!(guard.records_of("cap_overrun").len(), sent);
    assert_eq!(guard.metric_line(OVERRUNS), sent as u64);
    let (intents, outcomes) = (guard.records_of("intent"), guard.records_of("outcome"));
    assert_eq!(intents.len(), outcomes.len());
    assert_eq!(
        guard.records_of("denied").len() + intents.len(),
        2 * RACERS,
        "each left its records"
    );
}

#[test]
fn whatever_goes_with_a_number_it_is_believed_where_it_is_too_large() {
    let rows: [fn() -> Vec<u8>; 2] = [
        || answer("500 No", r#"{"cancelled":9}"#),
        || broken_off(r#"{"cancelled":9}"#),
    ];
    for row in rows {
        let upstream = Upstream::breaking_off(move |request| listing(&[waiting(0..6)], request).unwrap_or_else(row));
        let guard = Guard::start(&upstream.url(), CHUNKS_OF_TWO);
        let told = error(&delete(&guard, "/v2/messages?label=a&count=6"));
        assert!(told.contains("QStash says that it cancelled 9 for 2 ids"), "{told}");
        let (outcome, overrun) = assert_overran(&guard, 1);
        // Whether more than that went is not known.
        assert_eq!(
            (&outcome["result"], &outcome["cancelled"], &overrun["cancelled"]),
            (&json!("uncertain"), &json!(9), &json!(9))
        );
        refusal(
            &delete(&guard, "/v2/messages?label=a&count=6"),
            403,
            &["cap_not_honoured"],
        );
        assert_eq!(cancelled(&upstream).len(), 1);
    }
}

#[test]
fn a_number_in_what_is_no_success_says_nothing_where_it_may_be() {
    for row in [
        || answer("500 No", r#"{"cancelled":2}"#),
        || broken_off(r#"{"cancelled":2}"#),
    ] {
        let upstream = Upstream::breaking_off(move |request| listing(&[waiting(0..6)], request).unwrap_or_else(row));
        let guard = Guard::start(&upstream.url(), CHUNKS_OF_TWO);
        let told = error(&delete(&guard, "/v2/messages?label=a&count=6"));
        assert!(
            told.contains("0 were cancelled") && told.contains("up to 2 more"),
            "{told}"
        );
        assert_eq!(guard.metric_line(OVERRUNS), 0);
        assert_eq!(guard.records_of("outcome")[0]["result"], "uncertain");
        assert_eq!(
            error(&delete(&guard, "/v2/messages?label=a&count=6")),
            told,
            "nothing closes"
        );
    }
}
