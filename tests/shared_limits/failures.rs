//! The store stopped, hung, unwilling, and brought back.

use crate::support::{Guard, assert_denied, refusal, request};
use crate::{
    ALICE, BOB, ERRORS, Server, UNCOUNTED, assert_limited, assert_passed, cancel, failing, limit, logged, upstream,
    wait_until_up,
};

#[test]
fn without_the_store_each_guard_counts_for_itself() {
    let (mut server, upstream) = (Server::start(), upstream());
    let yaml = limit("caller", "requests", 2) + &failing(&server.url(), "local");
    let [one, other] = [
        Guard::start(&upstream.url(), &yaml),
        Guard::start(&upstream.url(), &yaml),
    ];
    assert_passed(&cancel(&one, ALICE, 1));
    server.stop();
    // Of the burst, this guard has let one through already.
    assert_passed(&cancel(&one, ALICE, 1));
    assert_limited(&cancel(&one, ALICE, 1));
    assert_passed(&cancel(&one, BOB, 1));
    // The other one does not know of that.
    (0..2).for_each(|_| assert_passed(&cancel(&other, ALICE, 1)));
    assert_limited(&cancel(&other, ALICE, 1));
    assert_eq!(upstream.requests().len(), 5);
    wait_until_up(&one, false);
    // A server that holds nothing is back: a full bucket for both together.
    server.bring_back();
    wait_until_up(&one, true);
    wait_until_up(&other, true);
    assert_passed(&cancel(&one, ALICE, 1));
    assert_passed(&cancel(&other, ALICE, 1));
    assert_limited(&cancel(&one, ALICE, 1));
    assert_limited(&cancel(&other, ALICE, 1));
    assert_eq!(upstream.requests().len(), 7);
}

#[test]
fn with_deny_limited_requests_are_refused_until_the_store_is_back() {
    let (mut server, upstream) = (Server::start(), upstream());
    let guard = Guard::start(
        &upstream.url(),
        &(limit("caller", "messages", 20) + &failing(&server.url(), "deny")),
    );
    assert_passed(&cancel(&guard, ALICE, 1));
    server.stop();
    let before = guard.records().len();
    let answer = cancel(&guard, ALICE, 1);
    let record = assert_denied(&guard, before, &answer, 503, &["store_unavailable"]);
    assert_eq!(record["selection"]["count"], 1);
    assert!(answer.header("retry-after").is_empty(), "{answer:?}");
    (0..9).for_each(|_| drop(refusal(&cancel(&guard, ALICE, 1), 503, &["store_unavailable"])));
    // What could never pass, what the policy refuses and what is not limited needs no store.
    refusal(&cancel(&guard, ALICE, 21), 403, &["count_over_budget"]);
    refusal(&cancel(&guard, ALICE, 101), 403, &["count_over_cap"]);
    assert_eq!(upstream.requests().len(), 1);
    let publish = request(guard.address, "POST", "/v2/publish/https://example.com", &[ALICE], b"x");
    assert_eq!(publish.status(), 202);
    assert_eq!(upstream.requests().len(), 2);
    wait_until_up(&guard, false);
    assert_eq!(guard.metric_line(ERRORS), 10);
    // Said once, however many asked.
    let lost = logged(&guard, "the store of limits is lost");
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert_eq!(
        (&lost[0]["level"], &lost[0]["on_error"]),
        (&"WARN".into(), &"deny".into())
    );
    server.bring_back();
    wait_until_up(&guard, true);
    assert_passed(&cancel(&guard, ALICE, 20));
    assert_limited(&cancel(&guard, ALICE, 1));
}

#[test]
fn with_allow_they_pass_uncounted() {
    let (mut server, upstream) = (Server::start(), upstream());
    let guard = Guard::start(
        &upstream.url(),
        &(limit("caller", "requests", 1) + &failing(&server.url(), "allow")),
    );
    assert_passed(&cancel(&guard, ALICE, 1));
    assert_limited(&cancel(&guard, ALICE, 1));
    assert_eq!(guard.metric_line(UNCOUNTED), 0);
    server.stop();
    (0..5).for_each(|_| assert_passed(&cancel(&guard, ALICE, 1)));
    assert_eq!((guard.metric_line(UNCOUNTED), guard.metric_line(ERRORS)), (5, 5));
    assert_eq!(upstream.requests().len(), 6);
    assert_eq!(guard.records_of("intent").len(), 6);
}

#[test]
fn monitor_mode_notes_that_the_store_is_gone() {
    let (mut server, upstream) = (Server::start(), upstream());
    let yaml = limit("caller", "requests", 1) + &failing(&server.url(), "deny") + "policy: {mode: monitor}\n";
    let guard = Guard::start(&upstream.url(), &yaml);
    server.stop();
    assert_passed(&cancel(&guard, ALICE, 1));
    let intent = &guard.records_of("intent")[0];
    assert_eq!(
        (&intent["decision"], &intent["code"]),
        (&"would_deny".into(), &"store_unavailable".into())
    );
}

#[test]
fn a_store_that_hangs_keeps_nobody_waiting_for_long() {
    let (server, upstream) = (Server::start(), upstream());
    let guard = Guard::start(
        &upstream.url(),
        &(limit("caller", "requests", 2) + &failing(&server.url(), "deny")),
    );
    assert_passed(&cancel(&guard, ALICE, 1));
    server.hang();
    // Were each of them to wait for the timeout, they would take longer than a test may.
    for _ in 0..100 {
        refusal(&cancel(&guard, ALICE, 1), 503, &["store_unavailable"]);
    }
    assert_eq!(upstream.requests().len(), 1);
    wait_until_up(&guard, false);
    let lost = logged(&guard, "the store of limits is lost");
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert!(
        lost[0]["message"].as_str().unwrap().contains("no answer within 2s"),
        "{lost:?}"
    );
    server.wake();
    wait_until_up(&guard, true);
    // It still holds what it held; a question that it got before it hung may count.
    let answers = [cancel(&guard, ALICE, 1), cancel(&guard, ALICE, 1)];
    assert_limited(&answers[1]);
    assert!(upstream.requests().len() <= 2);
}

#[test]
fn a_store_that_hangs_is_noticed_without_a_request() {
    let (server, upstream) = (Server::start(), upstream());
    let guard = Guard::start(
        &upstream.url(),
        &(limit("caller", "requests", 2) + &failing(&server.url(), "local")),
    );
    wait_until_up(&guard, true);
    server.hang();
    wait_until_up(&guard, false);
    server.wake();
    wait_until_up(&guard, true);
    assert_eq!(guard.metric_line(ERRORS), 0, "no request asked");
}

#[test]
fn a_guard_starts_without_its_store_and_takes_it_when_it_comes() {
    let (mut server, upstream) = (Server::start(), upstream());
    server.stop();
    let guard = Guard::start(
        &upstream.url(),
        &(limit("caller", "requests", 1) + &failing(&server.url(), "local")),
    );
    let unreachable = logged(&guard, "the store of limits cannot be reached");
    assert_eq!(unreachable.len(), 1, "{unreachable:?}");
    assert_eq!(unreachable[0]["store"], format!("127.0.0.1:{}", server.port));
    wait_until_up(&guard, false);
    assert_passed(&cancel(&guard, ALICE, 1));
    assert_limited(&cancel(&guard, ALICE, 1));
    server.bring_back();
    wait_until_up(&guard, true);
    assert_passed(&cancel(&guard, ALICE, 1));
    assert_limited(&cancel(&guard, ALICE, 1));
    assert_eq!(logged(&guard, "the store of limits answers").len(), 1);
}

#[test]
fn a_store_that_takes_no_writes_is_none() {
    let (server, upstream) = (Server::start(), upstream());
    let guard = Guard::start(
        &upstream.url(),
        &(limit("caller", "requests", 1) + &failing(&server.url(), "deny")),
    );
    // A replica, as after a failover that took the address along.
    server.ask::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    refusal(&cancel(&guard, ALICE, 1), 503, &["store_unavailable"]);
    wait_until_up(&guard, false);
    let lost = logged(&guard, "the store of limits is lost: it answers READONLY");
    assert_eq!(lost.len(), 1, "{}", guard.log());
    upstream.assert_untouched();
    server.ask::<()>(&["REPLICAOF", "NO", "ONE"]);
    wait_until_up(&guard, true);
    assert_passed(&cancel(&guard, ALICE, 1));
}
