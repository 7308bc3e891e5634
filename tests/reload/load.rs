//! Reloads under load.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::Value;

use crate::support::{Client, Gate, Guard, Upstream, upstream};
use crate::{TOKEN, capped, reload, target};

const RELOADS: usize = 100;
const CLIENTS: usize = 4;

/// What a client sent, and what became of it.
#[derive(Default)]
struct Sent {
    published: usize,
    /// Cancels within both caps.
    small: usize,
    /// Cancels over the smaller cap that were let through, and those refused.
    large: usize,
    denied: usize,
}

/// Sends over one connection until it is told to stop. Every request is answered, and in one of the two ways.
fn send(guard: &Guard, done: &AtomicBool) -> Sent {
    let mut client = Client::connect(guard.address);
    let mut sent = Sent::default();
    while !done.load(Ordering::Relaxed) {
        let publish = client.request("POST", "/v2/publish/https://example.com", &[TOKEN], b"hello");
        assert_eq!(publish.status(), 202, "{publish:?}");
        sent.published += 1;
        let small = client.request("DELETE", &target(5), &[TOKEN], b"");
        assert_eq!(small.status(), 202, "{small:?}");
        sent.small += 1;
        let large = client.request("DELETE", &target(50), &[TOKEN], b"");
        match (large.status(), large.code().as_str()) {
            (202, "") => sent.large += 1,
            (403, "count_over_cap") => sent.denied += 1,
            _ => panic!("{large:?}"),
        }
    }
    sent
}

#[test]
fn a_hundred_reloads_lose_no_request() {
    let gate = Gate::default();
    let upstream = Upstream::answering({
        let gate = gate.clone();
        move |request| {
            if request.target().contains("held") {
                gate.pass();
            }
            upstream::answer("202 Accepted", r#"{"cancelled":1}"#)
        }
    });
    let (wide, narrow) = (capped(100), capped(10));
    let guard = Guard::start(&upstream.url(), &wide);
    let wide_digest = guard.records_of("started").pop().unwrap()["policy"].clone();
    // In flight from before the first reload until after the tenth.
    let mut held = Client::connect(guard.address);
    held.send(format!(
        "DELETE /v2/messages?label=held&count=50 HTTP/1.1\r\nHost: guard.test\r\n{TOKEN}\r\n\r\n"
    ));
    upstream.wait_for(1);

    let done = AtomicBool::new(false);
    let (sent, narrow_digest) = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| send(&guard, &done))).collect();
        let mut digest = Value::Null;
        for number in 0..RELOADS {
            if number == 10 {
                gate.open();
            }
            let loaded = reload(&guard, if number % 2 == 0 { &narrow } else { &wide });
            if number % 2 == 0 {
                digest = loaded["policy"].clone();
            }
        }
        done.store(true, Ordering::Relaxed);
        let sent: Vec<Sent> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        (sent, digest)
    });
    assert_eq!(held.answer().status(), 202);
    let sum = |number: fn(&Sent) -> usize| sent.iter().map(number).sum::<usize>();
    let (published, small, large, denied) = (
        sum(|s| s.published),
        sum(|s| s.small),
        sum(|s| s.large),
        sum(|s| s.denied),
    );
    assert!(large > 0 && denied > 0, "both policies were met: {large}, {denied}");
    assert_eq!(upstream.requests().len(), published + small + large + 1);

    assert_ne!(wide_digest, narrow_digest);
    let records = guard.records();
    let of = |event: &str| {
        records
            .iter()
            .filter(|record| record["event"] == event)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("intent").len(), small + large + 1);
    assert_eq!(of("outcome").len(), small + large + 1);
    assert_eq!(of("denied").len(), denied);
    assert!(of("policy_loaded").len() >= RELOADS);
    assert!(of("policy_rejected").is_empty());
    let digests: BTreeSet<String> = records.iter().map(|record| record["policy"].to_string()).collect();
    assert_eq!(digests, [wide_digest.to_string(), narrow_digest.to_string()].into());
    // Each was judged by one policy, wholly.
    assert!(of("denied").iter().all(|record| record["policy"] == narrow_digest));
    let large_intents = of("intent")
        .into_iter()
        .filter(|record| record["selection"]["count"] == 50);
    assert!(
        large_intents
            .map(|record| &record["policy"])
            .all(|policy| *policy == wide_digest)
    );
    let (code, text) = guard.verify();
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains("without an outcome"), "{text}");
}
