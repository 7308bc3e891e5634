//! Budgets in messages before a guard that enforces caps: guards share what was found, and a store that goes between the
//! listing and the charge is treated as `on_error` says.

use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::script::{cancelling, done, listing, serving, waiting};
use crate::support::{Guard, Upstream, assert_denied, refusal};
use crate::{ALICE, BOB, Server, UNCOUNTED, assert_limited, cancel, failing, limit, store, wait_until_up};

const GUARDED: &str = "policy: {bulk_cancel: {cap_enforced_by: guard, max_message_ids: 2}}\n";

/// How many cancels an upstream got.
fn cancels(upstream: &Upstream) -> usize {
    let requests = upstream.requests();
    requests
        .iter()
        .filter(|request| request.line().starts_with("DELETE"))
        .count()
}

#[test]
fn guards_share_a_budget_of_the_messages_that_are_found() {
    let server = Server::start();
    let upstream = serving(vec![waiting(0..3)]);
    let yaml = format!("{GUARDED}{}{}", limit("caller", "messages", 5), store(&server.url()));
    let [one, other] = [
        Guard::start(&upstream.url(), &yaml),
        Guard::start(&upstream.url(), &yaml),
    ];
    // A count of 100 could never pass a burst of 5; the three that match do.
    assert_eq!(cancel(&one, ALICE, 100).json(), json!({"cancelled": 3}));
    let (before, sent) = (other.records().len(), cancels(&upstream));
    let answer = cancel(&other, ALICE, 100);
    let record = assert_denied(&other, before, &answer, 429, &["rate_limited"]);
    assert_eq!(record["selection"]["ids_total"], 3, "those that were found: {record}");
    assert_eq!(answer.header("burst-ratelimit-remaining"), ["2"]);
    assert_eq!(cancels(&upstream), sent, "nothing was cancelled");
    assert_eq!(cancel(&other, ALICE, 2).json(), json!({"cancelled": 2}));
    assert_limited(&cancel(&one, ALICE, 1));
    assert_eq!(cancel(&one, BOB, 100).json(), json!({"cancelled": 3}));
}

#[test]
fn what_a_cancel_takes_beyond_its_ids_is_charged_for_all_guards() {
    let server = Server::start();
    let upstream = cancelling(vec![waiting(0..2)], |_, _| {
        crate::support::upstream::answer("202 OK", r#"{"cancelled":5}"#)
    });
    let yaml = format!("{GUARDED}{}{}", limit("caller", "messages", 5), store(&server.url()));
    let [one, other] = [
        Guard::start(&upstream.url(), &yaml),
        Guard::start(&upstream.url(), &yaml),
    ];
    refusal(&cancel(&one, ALICE, 2), 502, &["cap_unresolvable"]);
    // Two were charged before; the other three are once the answer is there.
    assert_limited(&cancel(&other, ALICE, 1));
    assert_eq!(cancels(&upstream), 1);
}

/// An upstream that ends the store while it is asked for its listing.
fn ending(server: &Arc<Mutex<Server>>) -> Upstream {
    let (server, mut ended) = (Arc::clone(server), false);
    let end = Mutex::new(move || {
        if !std::mem::replace(&mut ended, true) {
            server.lock().unwrap().stop();
        }
    });
    Upstream::answering(move |request| {
        let listed = listing(&[waiting(0..3)], request);
        if listed.is_some() {
            end.lock().unwrap()();
        }
        listed.unwrap_or_else(|| done(request))
    })
}

#[test]
fn a_store_that_goes_between_listing_and_charge() {
    for on_error in ["deny", "local", "allow"] {
        let server = Arc::new(Mutex::new(Server::start()));
        let upstream = ending(&server);
        let url = server.lock().unwrap().url();
        let yaml = format!("{GUARDED}{}{}", limit("caller", "messages", 5), failing(&url, on_error));
        let guard = Guard::start(&upstream.url(), &yaml);
        wait_until_up(&guard, true);
        let before = guard.records().len();
        let answer = cancel(&guard, ALICE, 100);
        if on_error == "deny" {
            let record = assert_denied(&guard, before, &answer, 503, &["store_unavailable"]);
            assert_eq!(record["selection"]["ids_total"], 3, "{record}");
            assert_eq!(cancels(&upstream), 0);
            continue;
        }
        assert_eq!(answer.json(), json!({"cancelled": 3}), "{on_error}: {answer:?}");
        assert_eq!(cancels(&upstream), 2);
        let again = cancel(&guard, ALICE, 100);
        if on_error == "local" {
            // Counted here: three of five are gone.
            assert_limited(&again);
            assert_eq!(cancels(&upstream), 2);
        } else {
            assert_eq!(again.json(), json!({"cancelled": 3}));
            assert_eq!(guard.metric_line(UNCOUNTED), 2);
        }
    }
}
