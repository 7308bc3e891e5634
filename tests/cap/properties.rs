//! What holds for every listing: never more than `count` ids, each once, none that a page read shows to be done with or
//! not to match, and each cancel means its ids alone. Held against a model that knows nothing of the guard's own reading.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use qstash_guard::qstash::listing::{Collector, MAX_ID, Next};
use qstash_guard::qstash::selection::Selection;
use serde_json::{Value, json};

use crate::listing_model::{Wanted, assert_cancels, hold};

fn wanted() -> impl Strategy<Value = Wanted> {
    let some = |values: &'static [&'static str]| proptest::sample::subsequence(values, 0..=values.len());
    let dates = (
        proptest::option::weighted(0.3, 0..40_u64),
        proptest::option::weighted(0.3, 0..40_u64),
    );
    let filters = (
        some(&["a", "b"]),
        some(&["q", "r"]),
        some(&["x.example", "y.example"]),
        some(&["k"]),
    );
    // One or none of these, so that the whole of them leaves something to be found.
    let others = proptest::option::of(proptest::sample::select(vec![
        ("topicName", vec!["t"]),
        ("scheduleId", vec!["s", "unknown"]),
        ("url", vec!["https://x.example/p", "https://y.example/p"]),
        ("path", vec!["/p"]),
        ("callerIp", vec!["192.0.2.1"]),
    ]));
    (filters, others, dates, 1..9_u64).prop_map(|((labels, queues, hosts, keys), others, (from, to), count)| Wanted {
        labels,
        queues,
        hosts,
        keys,
        others: others.into_iter().collect(),
        from,
        to,
        count,
    })
}

const STATES: [&str; 9] = [
    "CREATED",
    "CREATED",
    "CREATED",
    "ACTIVE",
    "ERROR",
    "DELIVERED",
    "FAILED",
    "CANCEL_REQUESTED",
    "CANCELLED",
];

/// An entry of one of a few messages; what a message is like depends on its id, and some entries show less, or lie.
fn entry() -> impl Strategy<Value = Value> {
    let lies = (0..40_u8, any::<bool>());
    (
        0..14_usize,
        0..STATES.len(),
        proptest::option::weighted(0.95, 0..40_u64),
        lies,
    )
        .prop_map(|(message, state, time, (lie, other))| {
            let mut shown = json!({
                "messageId": format!("msg_{message}"),
                "state": STATES[state],
                "url": format!("https://{}.example/{}", if message % 3 == 0 { "y" } else { "x" }, if message % 7 == 1 { "q" } else { "p" }),
                "labels": if message % 4 == 0 { vec!["b"] } else { vec!["a", "c"] },
                "queueName": if message % 5 == 0 { "r" } else { "q" },
                "flowControlKey": if message % 6 == 0 { "l" } else { "k" },
                "scheduleId": if message % 4 == 1 { "r" } else { "s" },
                "callerIp": if message % 5 == 2 { "192.0.2.2" } else { "192.0.2.1" },
            });
            if message % 3 != 1 {
                shown["topicName"] = "t".into();
            }
            if let Some(time) = time {
                shown["time"] = time.into();
            }
            match lie {
                0 => drop(shown.as_object_mut().unwrap().remove("url")),
                1 => drop(shown.as_object_mut().unwrap().remove("flowControlKey")),
                2 => shown["labels"] = json!(if other { vec!["b"] } else { vec![] }),
                3 => drop(shown.as_object_mut().unwrap().remove("queueName")),
                4 => shown["url"] = "".into(),
                5 => drop(shown.as_object_mut().unwrap().remove("callerIp")),
                6 => shown["callerIp"] = Value::Null,
                7 => shown["callerIP"] = "192.0.2.2".into(),
                8 => drop(shown.as_object_mut().unwrap().remove("topicName")),
                9 => shown["scheduleId"] = 7.into(),
                _ => {}
            }
            shown
        })
}

/// Pages as a growing log, a repeating one or a lying one would have them.
fn pages() -> impl Strategy<Value = Vec<Vec<Value>>> {
    (vec(vec(entry(), 0..10), 1..6), any::<bool>()).prop_map(|(mut pages, arrivals)| {
        if arrivals {
            // What moved on to the next page while a message arrived.
            for number in 1..pages.len() {
                let moved = pages[number - 1].last().cloned();
                pages[number].splice(0..0, moved);
            }
        }
        pages
    })
}

/// An id or what a lying upstream takes for one.
fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "msg_[a-zA-Z0-9]{1,30}",
        2 => "[-_.~:@=+/a-z0-9]{1,256}",
        1 => "[ -~]{0,8}",
        1 => any::<String>(),
        1 => Just("x".repeat(MAX_ID + 1)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sent_is_selected_and_never_more_than_count(wanted in wanted(), pages in pages(), most in 1..5_usize) {
        let mut collector = Collector::new(wanted.selection(), wanted.count);
        let mut read = Vec::new();
        let mut ended = false;
        for (number, entries) in pages.iter().enumerate() {
            read.extend(entries);
            let last = number + 1 == pages.len();
            let cursor = if last { Value::Null } else { number.to_string().into() };
            let text = json!({"logs": entries, "cursor": cursor}).to_string();
            ended = last;
            if collector.take(text.as_bytes()).unwrap() == Next::Done {
                break;
            }
        }
        let allowed = wanted.allowed(&read);
        match collector.finish() {
            Ok(ids) => {
                let distinct: BTreeSet<String> = ids.iter().cloned().collect();
                prop_assert_eq!(distinct.len(), ids.len());
                prop_assert!(ids.len() as u64 <= wanted.count);
                prop_assert!(distinct.is_subset(&allowed), "{distinct:?} of {allowed:?}");
                // And it is no less than it may be.
                prop_assert_eq!(ids.len() as u64, wanted.count.min(allowed.len() as u64));
                prop_assert!(ended || ids.len() as u64 == wanted.count);
                assert_cancels(&ids, most);
            }
            Err(unresolvable) => {
                // Only where something of what it asks for is not shown.
                let open = |entry: &&&Value| wanted.shown(entry).is_none();
                let dated = wanted.from.is_some() || wanted.to.is_some();
                prop_assert!(dated || read.iter().any(|entry| open(&entry)), "{unresolvable:?}");
            }
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_an_upstream_calls_an_id_a_cancel_means_it_alone(ids in vec(id(), 0..40), count in 1..20_u64, most in 1..8_usize) {
        let entries: Vec<Value> = ids.iter().map(|id| json!({"messageId": id, "state": "CREATED"})).collect();
        let mut collector = Collector::new(Selection::default(), count);
        if collector.take(json!({"logs": entries}).to_string().as_bytes()).is_ok() {
            let found = collector.finish().unwrap();
            prop_assert!(found.len() as u64 <= count);
            prop_assert!(found.iter().all(|id| ids.contains(id)));
            assert_cancels(&found, most);
        }
    }

    /// What the fuzz target `listing` looks for, with pages that are nearly right.
    #[test]
    fn whatever_the_pages_say_a_listing_holds(bytes in vec(any::<u8>(), 0..400)) {
        hold(&bytes);
    }

    #[test]
    fn no_answer_makes_it_panic(bytes in vec(any::<u8>(), 0..200), text in r#"[\[\]{}":,a-z0-9 ]{0,80}"#) {
        let mut collector = Collector::new(Selection::default(), 5);
        let _ = collector.take(&bytes);
        let _ = collector.take(text.as_bytes());
        prop_assert!(collector.finish().unwrap().len() <= 5);
    }
}

/// What the random bytes above are read as: cancels that would be sent, and some that would not.
#[test]
fn the_bytes_of_the_fuzz_target_are_listings() {
    let two = [1, 0, 90, 2, 4, 90];
    let of = |head: [u8; 3], entries: &[u8]| hold(&[&head[..], entries, &[240]].concat());
    assert_eq!(of([2, 0, 0], &two), 2);
    assert_eq!(of([0, 0, 0], &two), 1, "count");
    assert_eq!(of([2, 7, 0], &two), 2, "all filters match");
    assert_eq!(of([2, 1, 0], &[1, 0, 5, 2, 4, 90]), 1, "another label");
    assert_eq!(
        of([2, 0, 0], &[1, 0, 90, 2, 4, 90, 210, 1, 5, 90]),
        1,
        "delivered, says a later page"
    );
    assert_eq!(of([2, 0, 0], &[1, 0, 90, 195, 0, 44]), 0, "an id that is two");
}
