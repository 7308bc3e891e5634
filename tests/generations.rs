//! A guard before both generations of QStash, as the simulator plays them: answers that are not all or nothing, and what a
//! listing shows while messages come and go.
#![expect(clippy::unwrap_used, reason = "a test may panic, and takes the short way")]

mod support;

use std::collections::BTreeSet;

use qstash_guard::simulator::DEV_TOKEN;
use serde_json::{Value, json};
use support::{Answer, Guard, Simulator, request};

const BEFORE: [&str; 2] = ["--count", "honoured"];
const SINCE: [&str; 2] = ["--count", "ignored"];
/// The most that the guard lets through at once, and no limits.
const WIDE: &str = "rate_limits: []\npolicy: {bulk_cancel: {max_count: 500, cap_enforced_by: ";

/// A guard before a simulator.
struct Line {
    simulator: Simulator,
    guard: Guard,
}

impl Line {
    fn new(arguments: &[&str], enforced_by: &str) -> Self {
        let simulator = Simulator::start(arguments);
        let guard = Guard::start(&simulator.url(), &format!("{WIDE}{enforced_by}}}}}"));
        Line { simulator, guard }
    }

    fn send(&self, method: &str, target: &str) -> Answer {
        let authorization = format!("Authorization: Bearer {DEV_TOKEN}");
        request(self.guard.address, method, target, &[&authorization], b"")
    }

    fn publish(&self, labels: &str) -> String {
        let target = format!("/v2/publish/https://example.com/?upstash-label={labels}");
        self.send("POST", &target).json()["messageId"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn cancel(&self, query: &str) -> Answer {
        self.send("DELETE", &format!("/v2/messages?{query}"))
    }

    /// What the trail says of the only cancel.
    fn outcome(&self) -> Value {
        let outcomes = self.guard.wait_for("outcome", 1);
        assert_eq!(outcomes.len(), 1);
        outcomes[0].clone()
    }
}

#[test]
fn some_are_gone_when_the_older_qstash_says_that_it_failed() {
    let line = Line::new(&BEFORE, "qstash");
    let ids = ["a", "a", "a,in-flight", "a"].map(|labels| line.publish(labels));
    let answer = line.cancel("label=a&count=10");
    assert_eq!((answer.status(), answer.code().as_str()), (400, ""));
    assert!(
        answer.json()["error"].as_str().unwrap().contains("is in flight"),
        "{answer:?}"
    );
    assert_eq!(
        line.simulator.pending(),
        BTreeSet::from([ids[2].clone(), ids[3].clone()])
    );
    // Two are gone, so it isn't said that nothing was.
    assert_eq!(line.outcome()["result"], "uncertain");
}

#[test]
fn a_cancel_that_outlasts_the_wait_goes_on_and_is_recorded_as_uncertain() {
    let line = Line::new(&[&SINCE[..], &["--wait", "10ms"]].concat(), "qstash");
    line.publish("slow-cancel");
    let answer = line.cancel("label=slow-cancel&count=10");
    assert_eq!((answer.status(), answer.code().as_str()), (429, ""));
    let outcome = line.outcome();
    assert_eq!(
        (&outcome["result"], &outcome["upstream_status"]),
        (&json!("uncertain"), &json!(429))
    );
    line.guard
        .wait_until("the end of the bulk action", || line.simulator.pending().is_empty());
}

#[test]
fn one_bulk_action_too_many_is_refused_and_cancels_nothing() {
    let line = Line::new(&[&SINCE[..], &["--max-running", "0"]].concat(), "qstash");
    let id = line.publish("a");
    let answer = line.cancel("label=a&count=10");
    assert_eq!((answer.status(), answer.code().as_str()), (412, ""));
    assert_eq!(line.outcome()["result"], "refused");
    assert_eq!(line.simulator.pending(), BTreeSet::from([id.clone()]));
    // Ids need none.
    assert_eq!(
        line.cancel(&format!("messageIds={id}")).json(),
        json!({ "cancelled": 1 })
    );
    assert_eq!(line.simulator.pending(), BTreeSet::new());
}

#[test]
fn the_guards_cap_needs_no_bulk_action() {
    let line = Line::new(&[&SINCE[..], &["--max-running", "0"]].concat(), "guard");
    for _ in 0..3 {
        line.publish("a");
    }
    assert_eq!(line.cancel("label=a&count=2").json(), json!({ "cancelled": 2 }));
    assert_eq!(line.simulator.pending().len(), 1);
}

#[test]
fn the_guards_cap_holds_over_pages_while_messages_arrive() {
    for generation in [BEFORE, SINCE] {
        // 310 of 1550 have the label; two more come after each page of the listing.
        let line = Line::new(
            &[&generation[..], &["--messages", "1550", "--late-arrivals", "2"]].concat(),
            "guard",
        );
        let answer = line.cancel("label=label-1&count=250");
        assert_eq!(
            (answer.status(), answer.json()),
            (200, json!({ "cancelled": 250 })),
            "{answer:?}"
        );
        let outcome = line.outcome();
        assert_eq!(
            (&outcome["result"], &outcome["cancelled"]),
            (&json!("completed"), &json!(250))
        );
        let intent = &line.guard.records_of("intent")[0];
        let ids = intent["selection"]["ids"].as_array().unwrap();
        let different: BTreeSet<&str> = ids.iter().map(|id| id.as_str().unwrap()).collect();
        assert_eq!((ids.len(), different.len()), (250, 250));
        // Nothing that came after the first page was looked at.
        assert!(different.iter().all(|id| *id < "msg_000000000000060e"), "{different:?}");
        for cancelled in ["msg_000000000000060a", *different.first().unwrap()] {
            assert_eq!(line.send("GET", &format!("/v2/messages/{cancelled}")).status(), 404);
        }
    }
}

#[test]
fn what_the_log_no_longer_shows_is_not_cancelled_and_said_not_to_be() {
    let line = Line::new(&[&SINCE[..], &["--log-entries", "3"]].concat(), "guard");
    let ids = ["a"; 5].map(|label| line.publish(label));
    assert_eq!(line.cancel("label=a&count=10").json(), json!({ "cancelled": 3 }));
    for (id, status) in ids.iter().zip([200, 200, 404, 404, 404]) {
        assert_eq!(line.send("GET", &format!("/v2/messages/{id}")).status(), status);
    }
}

#[test]
fn the_answer_of_the_guard_counts_what_went() {
    let line = Line::new(&SINCE, "guard");
    let in_flight = ["a", "a,in-flight", "a"].map(|labels| line.publish(labels))[1].clone();
    // Three are sent; one of them QStash no longer stops.
    assert_eq!(line.cancel("label=a&count=3").json(), json!({ "cancelled": 2 }));
    assert_eq!(line.simulator.pending(), BTreeSet::from([in_flight]));
}

#[test]
fn what_entries_do_not_show_is_not_guessed() {
    let line = Line::new(&[&SINCE[..], &["--messages", "20"]].concat(), "guard");
    for query in [
        "flowControlKey=flow-1&count=5",
        "label=label-1&callerIp=127.0.0.1&count=5",
    ] {
        let answer = line.cancel(query);
        assert_eq!(
            (answer.status(), answer.code().as_str()),
            (403, "filter_not_resolvable"),
            "{answer:?}"
        );
    }
    assert_eq!(line.simulator.pending().len(), 20);
    // Hosts and paths are read off the URLs of the entries.
    assert_eq!(
        line.cancel("host=host-1.example&path=/hook/1&count=5").json(),
        json!({ "cancelled": 1 })
    );
}
