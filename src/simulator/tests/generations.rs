//! What differs between QStash before and since September 2026.

use std::time::Duration;

use serde_json::json;

use super::{super::CountHandling, ask, publish, simulator};

const BEFORE: CountHandling = CountHandling::Honoured;
const SINCE: CountHandling = CountHandling::Ignored;

#[test]
fn the_same_capped_cancel() {
    for (count, status, gone) in [(BEFORE, 200, 2), (SINCE, 202, 6)] {
        let simulator = simulator(count, 30, Duration::from_secs(5));
        let answer = ask(&simulator, "DELETE", "/v2/messages?label=label-1&count=2", "");
        assert_eq!(answer, (status, json!({ "cancelled": gone })), "{count:?}");
        assert_eq!(simulator.pending(), 30 - gone, "{count:?}");
    }
}

#[test]
fn a_message_in_flight_ends_the_older_cancel_and_is_passed_over_by_the_newer() {
    for (target, before, since) in [
        // What goes of five; the third is in flight. The newer one counts by filter what matched, by id what went.
        ("/v2/messages?label=a", (400, 2), (202, 5)),
        (
            "/v2/messages?messageIds=msg_0000000000000001,msg_0000000000000002,msg_0000000000000003",
            (400, 1),
            (202, 2),
        ),
        ("/v2/messages/msg_0000000000000002", (404, 0), (404, 0)),
    ] {
        for (count, (status, number)) in [(BEFORE, before), (SINCE, since)] {
            let simulator = simulator(count, 0, Duration::from_secs(5));
            for labels in ["a", "a", "a,in-flight", "a", "a"] {
                publish(&simulator, labels);
            }
            let (answered, answer) = ask(&simulator, "DELETE", target, "");
            assert_eq!(answered, status, "{count:?} {target}: {answer}");
            let gone = 5 - simulator.pending();
            match (status, answer["error"].as_str()) {
                (202, None) => {
                    assert_eq!(answer["cancelled"], number, "{count:?} {target}");
                    assert_eq!(gone, number.min(4), "{count:?} {target}");
                }
                (_, Some(error)) => {
                    assert!(error.contains("msg_0000000000000002 is in flight"), "{error}");
                    assert_eq!(gone, number, "{count:?} {target}");
                }
                other => panic!("{count:?} {target}: {other:?}"),
            }
            // It is still there to be delivered.
            assert_eq!(ask(&simulator, "GET", "/v2/messages/msg_0000000000000002", "").0, 200);
        }
    }
}

#[test]
fn a_cap_short_of_the_message_in_flight_is_no_error() {
    let simulator = simulator(BEFORE, 0, Duration::from_secs(5));
    for labels in ["a", "a", "in-flight,a"] {
        publish(&simulator, labels);
    }
    let answer = ask(&simulator, "DELETE", "/v2/messages?label=a&count=2", "");
    assert_eq!(answer, (200, json!({ "cancelled": 2 })));
}

#[test]
fn before_there_were_no_bulk_actions() {
    let simulator = simulator(BEFORE, 10, Duration::from_secs(5));
    publish(&simulator, "slow-cancel");
    // `async` is a name that nobody knows yet, and no cancel is slow.
    let answer = ask(&simulator, "DELETE", "/v2/messages?async=true&label=slow-cancel", "");
    assert_eq!(answer, (200, json!({ "cancelled": 1 })));
    assert_eq!(simulator.pending(), 10);
    for target in ["/v2/bulkActions", "/v2/bulkActions/ba_0000000000000000"] {
        assert_eq!(ask(&simulator, "GET", target, "").0, 404, "{target}");
    }
}

#[test]
fn a_single_cancel_is_answered_as_the_others() {
    for (count, status) in [(BEFORE, 200), (SINCE, 202)] {
        let simulator = simulator(count, 1, Duration::from_secs(5));
        let cancel = || ask(&simulator, "DELETE", "/v2/messages/msg_0000000000000000", "");
        assert_eq!(cancel(), (status, json!({ "cancelled": 1 })));
        assert_eq!(cancel().0, 404);
    }
}
