//! QStash's own clients, through a guard, to the simulator: three real processes. What a person who uses them meets, and
//! what is left of their messages.
#![expect(clippy::unwrap_used, reason = "what a scenario does not expect ends it")]

#[path = "clients/sdk.rs"]
mod sdk;
mod support;

use std::collections::BTreeSet;

use qstash_guard::qstash::credential::TokenHash;
use sdk::{Client, Raised, Sdk};
use support::{Guard, Simulator};

/// Makes each scenario a test of each client before each generation of QStash.
macro_rules! with_every_client_and_qstash {
    ($($scenario:ident),* $(,)?) => {
        mod before_september_2026 {
            $crate::with_every_client! { crate::QStash::Before, $($scenario),* }
        }
        mod since_september_2026 {
            $crate::with_every_client! { crate::QStash::Since, $($scenario),* }
        }
    };
}

macro_rules! with_every_client {
    ($qstash:expr, $($scenario:ident),*) => {
        mod npm_2_9_0 {
            $(#[test] fn $scenario() { crate::$scenario(crate::Sdk::Npm290, $qstash); })*
        }
        mod npm_2_12_0 {
            $(#[test] fn $scenario() { crate::$scenario(crate::Sdk::Npm2120, $qstash); })*
        }
        mod pypi_3_4_0 {
            $(#[test] fn $scenario() { crate::$scenario(crate::Sdk::Pypi340, $qstash); })*
        }
    };
}
use with_every_client;

with_every_client_and_qstash! {
    a_publish_arrives_whole,
    a_cancel_by_ids_takes_these_alone,
    a_cap_of_qstash_holds_where_qstash_honours_it,
    a_cap_of_the_guard_holds,
    a_count_over_the_cap_is_refused,
    a_cancel_of_one_message_passes,
    a_cancel_of_all_is_refused_in_words,
    an_empty_list_of_ids_is_refused,
    an_empty_id_is_refused,
    a_burst_raises_the_clients_own_rate_limit_error,
    a_guard_key_stands_where_a_token_would,
    an_unknown_key_is_an_error_of_the_client,
}

fn a_publish_arrives_whole(sdk: Sdk, qstash: QStash) {
    let mut line = Line::new(sdk, qstash, "");
    let id = line.client.publish("https://example.com/a//b/?x=1", "nightly");
    assert_eq!(line.simulator.pending(), set(&[&id]));
    let message = line.simulator.message(&id);
    assert_eq!(message["url"], "https://example.com/a//b/?x=1");
    assert_eq!(message["label"], "nightly");
    assert_eq!(message["header"]["x-own"][0], "kept");
    let body: serde_json::Value = serde_json::from_str(message["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, serde_json::json!({"hello": "world"}));
}

fn a_cancel_by_ids_takes_these_alone(sdk: Sdk, qstash: QStash) {
    let mut line = Line::new(sdk, qstash, "");
    let [a, b, c] = line.publish_three("nightly");
    assert_eq!(line.client.cancel_ids(&[&a, &c]).unwrap(), 2);
    assert_eq!(line.simulator.pending(), set(&[&b]));

    let intent = &line.guard.wait_for("intent", 1)[0];
    assert_eq!(intent["selection"]["kind"], "ids");
    assert_eq!(intent["selection"]["ids"], serde_json::json!([a, c]));
    let outcome = &line.guard.wait_for("outcome", 1)[0];
    assert_eq!(
        (&outcome["result"], &outcome["cancelled"]),
        (&"completed".into(), &2.into())
    );
    line.assert_no_token_in_trail();
}

fn a_cap_of_qstash_holds_where_qstash_honours_it(sdk: Sdk, qstash: QStash) {
    let mut line = Line::new(sdk, qstash, "policy: {bulk_cancel: {cap_enforced_by: qstash}}");
    let other = line.client.publish("https://example.com/", "daily");
    line.publish_three("nightly");
    let cancelled = line.client.cancel_label("nightly", 2).unwrap();
    let pending = line.simulator.pending();
    match qstash {
        QStash::Before => {
            assert_eq!(cancelled, 2);
            assert_eq!(pending.len(), 2, "{pending:?}");
            assert!(pending.contains(&other));
        }
        QStash::Since => {
            assert_eq!(cancelled, 3, "the count is sent, and nobody minds it");
            assert_eq!(pending, set(&[&other]));
            // It doesn't happen twice.
            let overrun = &line.guard.wait_for("cap_overrun", 1)[0];
            assert_eq!(overrun["cancelled"], 3);
            line.publish_three("nightly");
            let before = line.simulator.pending();
            let raised = line.client.cancel_label("nightly", 2).unwrap_err();
            assert_says(&raised, "cap_not_honoured");
            assert_eq!(line.simulator.pending(), before);
        }
    }
}

fn a_cap_of_the_guard_holds(sdk: Sdk, qstash: QStash) {
    let mut line = Line::new(sdk, qstash, "policy: {bulk_cancel: {cap_enforced_by: guard}}");
    let other = line.client.publish("https://example.com/", "daily");
    let nightly: BTreeSet<String> = ["a", "b", "c", "d", "e"]
        .map(|path| line.client.publish(&format!("https://example.com/{path}"), "nightly"))
        .into();
    assert_eq!(line.client.cancel_label("nightly", 2).unwrap(), 2);
    let pending = line.simulator.pending();
    assert!(pending.contains(&other));
    assert_eq!(pending.intersection(&nightly).count(), 3);

    // The intent names what was to go, and that is what went.
    let intent = &line.guard.wait_for("intent", 1)[0];
    let ids: BTreeSet<&str> = intent["selection"]["ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    let gone: BTreeSet<&str> = nightly.difference(&pending).map(String::as_str).collect();
    assert_eq!(ids, gone);
    assert_eq!(line.guard.wait_for("outcome", 1)[0]["cancelled"], 2);

    // The rest, in a cancel that asks for more than there is; then there is none.
    assert_eq!(line.client.cancel_label("nightly", 50).unwrap(), 3);
    assert_eq!(line.client.cancel_label("nightly", 50).unwrap(), 0);
    assert_eq!(line.simulator.pending(), set(&[&other]));
    line.assert_no_token_in_trail();
}

fn a_count_over_the_cap_is_refused(sdk: Sdk, qstash: QStash) {
    let mut line = Line::new(sdk, qstash, "");
    let published = line.publish_three("nightly");
    let raised = line.client.cancel_label("nightly", 101).unwrap_err();
    assert_says(&raised, "count=101 is over the cap of 100; use count=100 at most");
    assert_eq!(line.simulator.pending(), BTreeSet::from(published));
}

fn a_cancel_of_one_message_passes(sdk: Sdk, qstash: QStash) {
    let mut line = Line::new(sdk, qstash, "");
    let [a, b, c] = line.publish_three("nightly");
    line.client.cancel_one(&b).unwrap();
    assert_eq!(line.simulator.pending(), set(&[&a, &c]));
    // Refused by QStash, in QStash's words.
    assert_says(&line.client.cancel_one(&b).unwrap_err(), "not found");
}

fn a_cancel_of_all_is_refused_in_words(sdk: Sdk, qstash: QStash) {
    let mut line = Line::new(sdk, qstash, "");
    let published = line.publish_three("nightly");
    let raised = line.client.cancel_all().unwrap_err();
    assert_says(&raised, CANCELS_ALL);
    assert_says(&raised, "add messageIds or one of topicName, queueName, url");
    assert_eq!(line.simulator.pending(), BTreeSet::from(published));
    assert_eq!(line.guard.wait_for("denied", 1)[0]["code"], "unfiltered_cancel");
    line.assert_no_token_in_trail();
}

fn an_empty_list_of_ids_is_refused(sdk: Sdk, qstash: QStash) {
    let mut line = Line::new(sdk, qstash, "");
    let published = line.publish_three("nightly");
    let cancelled = line.client.cancel_ids(&[]);
    if sdk.minds_empty_ids() {
        assert_eq!(cancelled.unwrap(), 0);
        line.assert_nothing_was_denied();
    } else {
        let raised = cancelled.unwrap_err();
        assert_says(&raised, CANCELS_ALL);
        assert_says(&raised, "`messageIds` is empty and counts as absent");
        assert_eq!(line.guard.wait_for("denied", 1)[0]["code"], "unfiltered_cancel");
    }
    assert_eq!(line.simulator.pending(), BTreeSet::from(published));
}

fn an_empty_id_is_refused(sdk: Sdk, qstash: QStash) {
    let mut line = Line::new(sdk, qstash, "");
    let published = line.publish_three("nightly");
    let raised = line.client.cancel_one("").unwrap_err();
    if sdk.minds_empty_ids() {
        line.assert_nothing_was_denied();
    } else {
        assert_says(&raised, CANCELS_ALL);
        let denied = &line.guard.wait_for("denied", 1)[0];
        assert_eq!(
            (&denied["target"], &denied["code"]),
            (&"/v2/messages/".into(), &"unfiltered_cancel".into())
        );
    }
    assert_eq!(line.simulator.pending(), BTreeSet::from(published));
}

fn a_burst_raises_the_clients_own_rate_limit_error(sdk: Sdk, qstash: QStash) {
    // So slow that nothing comes back while the test runs.
    let mut line = Line::new(
        sdk,
        qstash,
        "rate_limits:
  - {name: bulk-cancels, applies_to: [messages.bulk_cancel], per: caller, unit: requests, rate: 1/d, burst: 2}",
    );
    let [a, b, c] = line.publish_three("nightly");
    assert_eq!(line.client.cancel_ids(&[&a]).unwrap(), 1);
    assert_eq!(line.client.cancel_ids(&[&b]).unwrap(), 1);
    let raised = line.client.cancel_ids(&[&c]).unwrap_err();
    assert_eq!(raised.class(), sdk.rate_limit_error(), "{raised:?}");
    assert_eq!(raised.limit(), "2");
    assert_eq!(line.simulator.pending(), set(&[&c]));
    // Other calls of the same client go on.
    let next = line.client.publish("https://example.com/", "nightly");
    assert_eq!(line.simulator.pending(), set(&[&c, &next]));
}

/// Broker mode with the simulator's token, and one caller.
fn broker() -> String {
    let key = TokenHash::of(KEY.as_bytes()).to_hex();
    format!(
        "credentials: {{mode: broker, token: {}}}\ncallers: [{{name: billing, key_sha256: \"{key}\"}}]\npolicy: {{bulk_cancel: {{cap_enforced_by: guard}}}}\n",
        qstash_guard::simulator::DEV_TOKEN
    )
}

fn a_guard_key_stands_where_a_token_would(sdk: Sdk, qstash: QStash) {
    let mut line = Line::with_token(sdk, qstash, &broker(), KEY);
    let id = line.client.publish("https://example.com/a//b/?x=1", "nightly");
    let message = line.simulator.message(&id);
    assert_eq!(message["url"], "https://example.com/a//b/?x=1");
    assert_eq!(message["header"]["x-own"][0], "kept");
    let message = message.to_string();
    assert!(
        !message.contains(KEY) && !message.contains(qstash_guard::simulator::DEV_TOKEN),
        "{message}"
    );

    let [a, b, c] = line.publish_three("nightly");
    line.client.cancel_one(&id).unwrap();
    assert_eq!(line.client.cancel_ids(&[&a]).unwrap(), 1);
    assert_eq!(line.client.cancel_label("nightly", 1).unwrap(), 1);
    let raised = line.client.cancel_all().unwrap_err();
    assert_says(&raised, CANCELS_ALL);
    let pending = line.simulator.pending();
    assert!(pending.len() == 1 && pending.is_subset(&set(&[&b, &c])), "{pending:?}");

    let denied = line.guard.wait_for("denied", 1);
    for record in line.guard.wait_for("outcome", 2).iter().chain(&denied) {
        assert_eq!(record["caller"], "billing", "{record}");
    }
    line.assert_no_token_in_trail();
}

fn an_unknown_key_is_an_error_of_the_client(sdk: Sdk, qstash: QStash) {
    let mut line = Line::with_token(sdk, qstash, &broker(), "qg_unknown");
    let raised = line.client.cancel_label("nightly", 1).unwrap_err();
    assert_says(&raised, "This key is not known here");
    let denied = &line.guard.wait_for("denied", 1)[0];
    assert_eq!(denied["code"], "unauthenticated");
}

/// A guard key.
const KEY: &str = "qg_LkjHgfDsaPoiUytRewqMnbVcxZ0123456789-_abcde";

const CANCELS_ALL: &str = "This would cancel every pending message of the account, and there is no undo";

/// A generation of QStash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QStash {
    /// It honours `count`.
    Before,
    /// It ignores `count`.
    Since,
}

/// A client before a guard before a simulator.
struct Line {
    client: Client,
    guard: Guard,
    simulator: Simulator,
}

impl Line {
    fn new(sdk: Sdk, qstash: QStash, yaml: &str) -> Self {
        Line::with_token(sdk, qstash, yaml, qstash_guard::simulator::DEV_TOKEN)
    }

    /// The same with another token for the client.
    fn with_token(sdk: Sdk, qstash: QStash, yaml: &str, token: &str) -> Self {
        let count = match qstash {
            QStash::Before => "honoured",
            QStash::Since => "ignored",
        };
        let simulator = Simulator::start(&["--count", count]);
        let guard = Guard::start(&simulator.url(), yaml);
        let client = Client::start(sdk, guard.address, token);
        Line {
            client,
            guard,
            simulator,
        }
    }

    fn publish_three(&mut self, label: &str) -> [String; 3] {
        ["a", "b", "c"].map(|path| self.client.publish(&format!("https://example.com/{path}"), label))
    }

    /// The client refused by itself. Denials are recorded in their order, so the record of a cancel that the guard refuses
    /// now would have another one before it.
    fn assert_nothing_was_denied(&mut self) {
        self.client.cancel_all().unwrap_err();
        let denied = self.guard.wait_for("denied", 1);
        assert_eq!(denied.len(), 1, "{denied:#?}");
    }

    fn assert_no_token_in_trail(&self) {
        let trail = std::fs::read_to_string(self.guard.trail_path()).unwrap();
        assert!(
            !trail.contains(qstash_guard::simulator::DEV_TOKEN) && !trail.contains(KEY),
            "{trail}"
        );
    }
}

/// Asserts that a person who reads the error finds this sentence.
#[track_caller]
fn assert_says(raised: &Raised, sentence: &str) {
    assert!(raised.message().contains(sentence), "{raised:?}");
}

fn set(ids: &[&String]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).clone()).collect()
}
