//! Whatever an upstream answers: never more than `count` ids arrive there, each once, and each request has its records.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::script::{asked, done, entry, page};
use crate::support::upstream::{answer, broken_off};
use crate::support::{Guard, RawRequest, Upstream, request};
use crate::{TOKEN, cancelled};

/// How an upstream answers one request.
#[derive(Clone, Debug)]
enum Said {
    /// A page with these messages and states, and whether another one is said to follow.
    Page(Vec<(u8, bool)>, bool),
    /// A page with this id and whatever goes with it.
    Strange(String),
    /// What a cancel of this many would be answered with.
    Number(u64),
    /// The same in an answer that breaks off behind it.
    Broken(u64),
    /// The same in an answer that is no success.
    Failed(u64),
    Status(u16),
    Garbage(Vec<u8>),
    /// What it should say.
    Right,
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        12 => (vec((0..30_u8, any::<bool>()), 0..12), any::<bool>()).prop_map(|(messages, more)| Said::Page(messages, more)),
        1 => any::<String>().prop_map(Said::Strange),
        1 => any::<u64>().prop_map(Said::Number),
        2 => (0..6_u64).prop_map(Said::Number),
        1 => (0..6_u64).prop_map(Said::Broken),
        1 => (0..6_u64).prop_map(Said::Failed),
        1 => prop_oneof![Just(200_u16), Just(202), Just(204), Just(302), Just(404), Just(412), Just(429), Just(500)].prop_map(Said::Status),
        1 => vec(any::<u8>(), 0..60).prop_map(Said::Garbage),
        10 => Just(Said::Right),
    ]
}

impl Said {
    fn answer(&self, number: usize, request: &RawRequest) -> Vec<u8> {
        let is_cancel = request.line().starts_with("DELETE");
        match self {
            Said::Right if is_cancel => done(request),
            Said::Right => page(&[], None),
            Said::Page(messages, more) => {
                let state = |waits: &bool| if *waits { "CREATED" } else { "DELIVERED" };
                let entries: Vec<Value> = messages
                    .iter()
                    .map(|(id, waits)| entry(&format!("msg_{id}"), state(waits)))
                    .collect();
                page(&entries, more.then(|| number.to_string()).as_deref())
            }
            Said::Strange(id) => page(&[entry(id, "CREATED")], None),
            Said::Number(number) => answer("202 Accepted", &json!({"cancelled": number}).to_string()),
            Said::Broken(number) => broken_off(&json!({"cancelled": number}).to_string()),
            Said::Failed(number) => answer("500 No", &json!({"cancelled": number}).to_string()),
            Said::Status(204) => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
            Said::Status(status) => answer(&format!("{status} So"), "{}"),
            Said::Garbage(bytes) => {
                // An end that the guard sees, also where it looks like the beginning of an answer.
                let text = String::from_utf8_lossy(bytes).replace(['\r', '\n'], " ");
                answer("200 OK", &text)
            }
        }
    }
}

#[test]
fn never_more_than_count_ids_are_sent() {
    let script: Arc<Mutex<Vec<Said>>> = Arc::default();
    // What the cancels of the last request were answered: how many ids each had, and the number in its answer.
    let numbers: Arc<Mutex<Vec<(u64, u64)>>> = Arc::default();
    let (said_next, number) = (Arc::clone(&script), std::sync::atomic::AtomicUsize::new(0));
    let told = Arc::clone(&numbers);
    let upstream = Upstream::breaking_off(move |request| {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let said = said_next.lock().unwrap().pop().unwrap_or(Said::Right);
        if let Said::Number(number) | Said::Broken(number) | Said::Failed(number) = &said
            && request.line().starts_with("DELETE")
        {
            told.lock().unwrap().push((asked(request) as u64, *number));
        }
        said.answer(number, request)
    });
    let yaml = "policy: {bulk_cancel: {cap_enforced_by: guard, max_message_ids: 3}}\nrate_limits: []\naudit: {durability: buffered}\n";
    let guard = Guard::start(&upstream.url(), yaml);
    let config = Config {
        cases: 150,
        failure_persistence: None,
        ..Config::default()
    };
    let seen = Cell::new((guard.records().len(), 0));
    let (sent_at_all, overran_at_all) = (Cell::new(0), Cell::new(0_u64));
    let mut runner = TestRunner::new(config);
    runner
        .run(&(vec(said(), 0..8), 1..8_u64), |(answers, count)| {
            *script.lock().unwrap() = answers;
            let target = format!("/v2/messages?label=a&count={count}");
            let answer = request(guard.address, "DELETE", &target, &[TOKEN], b"");
            script.lock().unwrap().clear();
            let overrun = numbers.lock().unwrap().drain(..).find(|(asked, number)| number > asked);
            let all = cancelled(&upstream);
            let (recorded, sent) = seen.get();
            let new = all[sent..].to_vec();
            let ids = new.concat();
            sent_at_all.set(sent_at_all.get() + ids.len());
            let distinct: BTreeSet<&String> = ids.iter().collect();
            prop_assert!(ids.len() as u64 <= count, "{ids:?} of {count}");
            prop_assert_eq!(distinct.len(), ids.len());
            prop_assert!(
                new.iter()
                    .all(|chunk| chunk.len() <= 3 && chunk.iter().all(|id| !id.is_empty()))
            );
            let records = guard.records().split_off(recorded);
            seen.set((recorded + records.len(), all.len()));
            // An answer that claims more than its ids is told of besides, once, and ends it.
            let events: Vec<&str> = records.iter().map(|record| record["event"].as_str().unwrap()).collect();
            let expected = ["intent", "outcome", "cap_overrun"];
            prop_assert_eq!(&events[..], &expected[..if overrun.is_some() { 3 } else { 2 }]);
            let intended = records[0]["selection"]["ids"].as_array().cloned().unwrap_or_default();
            prop_assert!(
                ids.iter().all(|id| intended.contains(&json!(id))),
                "all that was sent was announced"
            );
            match answer.status() {
                200 => {
                    prop_assert_eq!(&records[1]["result"], "completed");
                    prop_assert_eq!(ids.len(), intended.len());
                    prop_assert_eq!(&answer.json()["cancelled"], &records[1]["cancelled"]);
                }
                status => {
                    prop_assert_eq!((status, answer.code()), (502, "cap_unresolvable".to_owned()));
                    prop_assert_eq!(&records[1]["error"], "cap_unresolvable");
                    prop_assert!(!ids.is_empty() || records[1]["result"] == "unsent");
                }
            }
            if let Some((asked, number)) = overrun {
                overran_at_all.set(overran_at_all.get() + 1);
                prop_assert_eq!(
                    (answer.status(), new.last().map(Vec::len)),
                    (502, usize::try_from(asked).ok())
                );
                let detail = records[2]["detail"].as_str().unwrap();
                let told = format!(
                    "allowed {asked} messages and {number} went (ids sent so far: {}, ",
                    ids.len()
                );
                prop_assert!(detail.contains(&told), "{detail}");
                // Nothing more goes until it is trusted again.
                let bytes = upstream.bytes().len();
                prop_assert_eq!(
                    request(guard.address, "DELETE", &target, &[TOKEN], b"").code(),
                    "cap_not_honoured"
                );
                prop_assert_eq!(upstream.bytes().len(), bytes);
                guard.signal("HUP");
                guard.wait_for_metric(
                    r#"qstash_guard_policy_reloads_total{result="loaded"}"#,
                    overran_at_all.get(),
                );
                seen.set((guard.records().len(), all.len()));
            }
            prop_assert_eq!(
                guard.metric("qstash_guard_cap_overruns_total", &[]),
                overran_at_all.get()
            );
            Ok(())
        })
        .unwrap();
    assert!(
        sent_at_all.get() > 50,
        "it has to have sent some: {}",
        sent_at_all.get()
    );
    assert!(overran_at_all.get() > 0, "some have to have overrun");
}
