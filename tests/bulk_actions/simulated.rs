//! The same before a QStash that ignores `count`, as the hosted one does since September 2026.

use qstash_guard::simulator::DEV_TOKEN;
use serde_json::json;

use crate::UNLIMITED;
use crate::support::{Answer, Guard, Simulator, assert_denied, request};

fn send(guard: &Guard, method: &str, target: &str, label: &str) -> Answer {
    let authorization = format!("Authorization: Bearer {DEV_TOKEN}");
    let label = format!("Upstash-Label: {label}");
    request(guard.address, method, target, &[&authorization, &label], b"")
}

fn publish(guard: &Guard, label: &str, number: usize) {
    for _ in 0..number {
        assert!(send(guard, "POST", "/v2/publish/https://example.com/x", label).status() < 300);
    }
}

#[test]
fn one_capped_cancel_overruns_and_the_next_is_refused() {
    let simulator = Simulator::start(&["--count", "ignored"]);
    let guard = Guard::start(&simulator.url(), UNLIMITED);
    publish(&guard, "nightly", 7);
    publish(&guard, "kept", 3);
    let answer = send(&guard, "DELETE", "/v2/messages?label=nightly&count=2", "");
    assert_eq!(answer.json(), json!({"cancelled": 7}));
    assert_eq!(guard.records_of("cap_overrun").len(), 1);
    let before = guard.records().len();
    let refused = send(&guard, "DELETE", "/v2/messages?label=kept&count=2", "");
    assert_denied(&guard, before, &refused, 403, &["cap_not_honoured"]);
    assert_eq!(simulator.pending().len(), 3, "what was refused is still there");
    let id = simulator.pending().pop_first().unwrap();
    let by_id = send(&guard, "DELETE", &format!("/v2/messages?messageIds={id}"), "");
    assert_eq!(by_id.json(), json!({"cancelled": 1}));
}

#[test]
fn a_cancel_in_the_background_is_followed() {
    let simulator = Simulator::start(&["--count", "ignored"]);
    let guard = Guard::start(&simulator.url(), UNLIMITED);
    publish(&guard, "nightly", 5);
    publish(&guard, "kept", 2);
    // As many as there are, so that the count is not overrun.
    let answer = send(&guard, "DELETE", "/v2/messages?label=nightly&count=5&async=true", "");
    let id = answer.json()["actionId"].clone();
    let record = guard.wait_for("bulk_action_finished", 1).remove(0);
    assert_eq!(
        (
            &record["action_id"],
            &record["total"],
            &record["processed"],
            &record["result"]
        ),
        (&id, &json!(5), &json!(5), &json!(null))
    );
    assert_eq!(guard.records_of("cap_overrun").len(), 0);
    assert_eq!(simulator.pending().len(), 2);
}
