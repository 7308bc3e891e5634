//! The script against the limiter in memory: the same answers at the same times, by the server's clock.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use qstash_guard::limits::store::{Question, Store, Taken};
use qstash_guard::limits::{AppliesTo, Charge, Limit, Limiter, OnError, Per, Rate, Unit};
use qstash_guard::qstash::operation::Operation;
use qstash_guard::telemetry::Metrics;
use qstash_guard::upstream::client_config;
use tokio::runtime::{Builder, Runtime};

use crate::Server;

fn open(server: &Server) -> (Runtime, Store) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let store = runtime.block_on(Store::open(
        qstash_guard::limits::store::Address::parse(&server.url()).unwrap(),
        Duration::from_secs(15),
        OnError::Deny,
        client_config(None).unwrap(),
        Arc::new(Metrics::new().unwrap()),
    ));
    assert!(store.is_up());
    (runtime, store)
}

/// A limit whose interval is a whole number of microseconds, and what is asked of it: how much, and whether less will do.
fn questions() -> impl Strategy<Value = (Rate, u32, Vec<(u32, bool)>)> {
    let rate = prop_oneof![
        Just((1, 3600)),
        Just((10, 60)),
        Just((1000, 1)),
        Just((100_000, 1)),
        Just((1_000_000, 1))
    ];
    (rate, 1_u32..60).prop_flat_map(|((events, seconds), burst)| {
        let rate = Rate {
            events: NonZeroU32::new(events).unwrap(),
            period: Duration::from_secs(seconds),
        };
        let asked = prop_oneof![4 => (1..=burst, Just(false)), 1 => (1..=burst, Just(true))];
        (Just(rate), Just(burst), prop::collection::vec(asked, 1..40))
    })
}

#[test]
fn the_store_answers_as_memory_would() {
    let server = Server::start();
    let (runtime, store) = open(&server);
    let cases = Cell::new(0_u32);
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(200)
    });
    let done = runner.run(&questions(), |(rate, burst, asked)| {
        cases.set(cases.get() + 1);
        let clock = FakeRelativeClock::default();
        let limit = Limit {
            name: "cancels".to_owned(),
            applies_to: AppliesTo::Operations(vec![Operation::MessagesBulkCancel]),
            per: Per::Global,
            unit: Unit::Messages,
            rate,
            burst: NonZeroU32::new(burst).unwrap(),
        };
        let memory = Limiter::with_clock(vec![limit], clock.clone());
        let mut last = None;
        for (cost, at_most) in asked {
            let question = Question {
                key: format!("case:{}", cases.get()),
                interval: rate.period / rate.events.get(),
                burst,
                cost,
                at_most,
            };
            let Taken { wait, left, at } = runtime.block_on(store.take(&question)).unwrap();
            clock.advance(at.saturating_sub(last.replace(at).unwrap_or(at)));
            let charge = |messages| Charge {
                operation: Operation::MessagesBulkCancel,
                caller: "",
                client: [127, 0, 0, 1].into(),
                messages: Some(messages),
            };
            if at_most {
                memory.settle(charge(0), cost.into());
                prop_assert_eq!(wait, None);
            } else {
                let refusal = memory.charge(charge(cost.into())).err();
                let limited = refusal.as_ref().and_then(|refusal| refusal.limit());
                prop_assert_eq!(wait, limited.and_then(|limited| limited.retry_after));
                if let Some(limited) = limited {
                    prop_assert_eq!(left, limited.remaining);
                }
            }
            prop_assert!(left <= burst);
        }
        Ok(())
    });
    if let Err(error) = done {
        panic!("{error}");
    }
}

/// A bucket of three, one coming back each hour.
fn three(key: &str) -> Question {
    Question {
        key: key.to_owned(),
        interval: Duration::from_hours(1),
        burst: 3,
        cost: 3,
        at_most: false,
    }
}

#[test]
fn a_clock_that_was_ahead_closes_a_limit_for_one_bucket_at_most() {
    let server = Server::start();
    let (runtime, store) = open(&server);
    server.ask::<()>(&["SET", "ahead", "9000000000000000"]);
    let taken = runtime.block_on(store.take(&three("ahead"))).unwrap();
    assert_eq!((taken.wait, taken.left), (Some(Duration::from_hours(3)), 0));
}

#[test]
fn what_is_no_time_counts_as_a_full_bucket() {
    let server = Server::start();
    let (runtime, store) = open(&server);
    server.ask::<()>(&["SET", "text", "not a time"]);
    let taken = runtime.block_on(store.take(&three("text"))).unwrap();
    assert_eq!((taken.wait, taken.left), (None, 0));
    let again = runtime.block_on(store.take(&three("text"))).unwrap();
    assert!(
        again.wait.is_some_and(|wait| wait > Duration::from_hours(2)),
        "{again:?}"
    );
}

#[test]
fn a_key_of_another_type_counts_as_a_full_bucket_and_closes_no_connection() {
    let server = Server::start();
    let (runtime, store) = open(&server);
    for (key, made) in [("list", "LPUSH list 1"), ("hash", "HSET hash a 1")] {
        server.ask::<()>(&made.split(' ').collect::<Vec<_>>());
        let taken = runtime.block_on(store.take(&three(key)));
        assert_eq!(taken.map(|taken| (taken.wait, taken.left)), Ok((None, 0)), "{key}");
        let again = runtime.block_on(store.take(&three(key))).unwrap();
        assert!(again.wait.is_some(), "{again:?}");
    }
    assert!(store.is_up());
    // Anything else that keeps a bucket from being read is no full bucket.
    server.ask::<()>(&["ACL", "SETUSER", "default", "-get"]);
    assert!(runtime.block_on(store.take(&three("unread"))).is_err());
}

#[test]
fn a_bucket_is_forgotten_once_it_is_full_again() {
    let server = Server::start();
    let (runtime, store) = open(&server);
    runtime.block_on(store.take(&three("hours"))).unwrap();
    let left: u64 = server.ask(&["PTTL", "hours"]);
    assert!((3 * 3_600_000 - 60_000..=3 * 3_600_000).contains(&left), "{left}");
}
