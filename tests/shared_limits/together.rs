//! Guards that share a store let through together what one of them would.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Folder, Guard, Upstream, assert_denied, refusal, request, wait};
use crate::{ALICE, BOB, Server, assert_limited, assert_passed, cancel, limit, store, upstream};

#[test]
fn exactly_the_limit_passes_two_guards() {
    let (server, upstream) = (Server::start(), upstream());
    let yaml = limit("global", "requests", 20) + &store(&server.url());
    let guards = [
        Guard::start(&upstream.url(), &yaml),
        Guard::start(&upstream.url(), &yaml),
    ];
    let asked: Vec<_> = (0..60)
        .map(|number| {
            let address = guards[number % 2].address;
            std::thread::spawn(move || request(address, "DELETE", "/v2/messages?messageIds=a", &[ALICE], b""))
        })
        .collect();
    let answers: Vec<_> = asked.into_iter().map(|thread| thread.join().unwrap()).collect();
    let (passed, limited): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status() == 202);
    assert_eq!((passed.len(), limited.len()), (20, 40));
    limited.into_iter().for_each(assert_limited);
    assert_eq!(upstream.requests().len(), 20);
    let records = |event| guards.iter().map(|guard| guard.records_of(event).len()).sum::<usize>();
    assert_eq!((records("intent"), records("outcome"), records("denied")), (20, 20, 40));
    let limited = |guard: &Guard| guard.metric("qstash_guard_rate_limited_total", &["limit=\"cancels\""]);
    assert_eq!(limited(&guards[0]) + limited(&guards[1]), 40);
}

#[test]
fn a_refusal_says_what_one_by_a_single_guard_says() {
    let (server, upstream) = (Server::start(), upstream());
    let yaml = limit("caller", "messages", 50) + &store(&server.url());
    let [one, other] = [
        Guard::start(&upstream.url(), &yaml),
        Guard::start(&upstream.url(), &yaml),
    ];
    assert_passed(&cancel(&one, ALICE, 40));
    let before = other.records().len();
    let answer = cancel(&other, ALICE, 11);
    let record = assert_denied(&other, before, &answer, 429, &["rate_limited"]);
    assert_eq!(
        (&record["limit"], &record["selection"]["count"]),
        (&"cancels".into(), &11.into())
    );
    let number = |name| answer.header(name)[0].parse::<u64>().unwrap();
    assert_eq!(number("burst-ratelimit-limit"), 50);
    assert_eq!(number("burst-ratelimit-remaining"), 10);
    // The eleventh message comes back a day after the first was taken.
    assert!((86_000..=86_400).contains(&number("retry-after")), "{answer:?}");
    // What was refused was not charged, and Bob has a bucket of his own.
    assert_passed(&cancel(&other, ALICE, 10));
    assert_limited(&cancel(&one, ALICE, 1));
    assert_passed(&cancel(&one, BOB, 50));
    assert_eq!(upstream.requests().len(), 3);
}

#[test]
fn what_went_beyond_the_charge_is_charged_for_all() {
    let server = Server::start();
    let upstream = Upstream::json(r#"{"cancelled":1010}"#);
    let yaml = limit("caller", "messages", 50) + &store(&server.url());
    let [one, other] = [
        Guard::start(&upstream.url(), &yaml),
        Guard::start(&upstream.url(), &yaml),
    ];
    assert_passed(&cancel(&one, ALICE, 10));
    assert_limited(&cancel(&other, ALICE, 1));
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_limit_that_was_passed_stays_charged() {
    let (server, upstream) = (Server::start(), upstream());
    let limits = "rate_limits:\n\
                  \x20 - {name: often, applies_to: [messages.bulk_cancel], per: caller, unit: requests, rate: 1/d, burst: 3}\n\
                  \x20 - {name: cancels, applies_to: [messages.bulk_cancel], per: caller, unit: messages, rate: 1/d, burst: 10}\n";
    let guard = Guard::start(&upstream.url(), &(limits.to_owned() + &store(&server.url())));
    assert_passed(&cancel(&guard, ALICE, 10));
    (0..2).for_each(|_| assert_limited(&cancel(&guard, ALICE, 10)));
    let body = refusal(&cancel(&guard, ALICE, 10), 429, &["rate_limited"]);
    assert_eq!(body["limit"], "often");
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn what_is_used_up_outlives_a_guard_and_a_reload() {
    let (server, upstream) = (Server::start(), upstream());
    let (limited, stored) = (limit("caller", "requests", 3), store(&server.url()));
    let yaml = limited.clone() + &stored;
    let guard = Guard::start(&upstream.url(), &yaml);
    assert_passed(&cancel(&guard, ALICE, 1));
    drop(guard);
    let guard = Guard::start(&upstream.url(), &yaml);
    assert_passed(&cancel(&guard, ALICE, 1));
    // Where limits are counted takes a restart: the store stays.
    guard.folder.write("guard.yaml", &limited);
    guard.signal("HUP");
    let loaded = guard.wait_for("policy_loaded", 1).pop().unwrap();
    let detail = loaded["detail"].as_str().unwrap();
    let named =
        "takes effect after a restart: rate_limit_store.url, rate_limit_store.timeout, rate_limit_store.on_error";
    assert!(detail.ends_with(named), "{detail}");
    wait::until(
        || guard.metric("qstash_guard_policy_reloads_total", &["loaded"]),
        |loaded| *loaded == 1,
    );
    assert_passed(&cancel(&guard, ALICE, 1));
    assert_limited(&cancel(&guard, ALICE, 1));
    assert_limited(&cancel(&Guard::start(&upstream.url(), &yaml), ALICE, 1));
    // A limit that changes begins anew, for all who have the new one.
    let wider = Guard::start(&upstream.url(), &(limit("caller", "requests", 4) + &stored));
    assert_passed(&cancel(&wider, ALICE, 1));
    assert_eq!(upstream.requests().len(), 4);
}

#[test]
fn the_store_holds_no_name_of_a_caller_and_nothing_for_ever() {
    let (server, upstream) = (Server::start(), upstream());
    let yaml = limit("caller", "requests", 3) + &store(&server.url());
    let guard = Guard::start(&upstream.url(), &yaml);
    assert_passed(&cancel(&guard, ALICE, 1));
    let keys: Vec<String> = server.ask(&["KEYS", "qstash-guard:cancels:*"]);
    let [key] = keys.as_slice() else { panic!("{keys:?}") };
    let hash = key.strip_prefix("qstash-guard:cancels:").unwrap();
    assert!(hash.len() == 32 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{key}");
    let caller = guard.records_of("intent")[0]["caller"].as_str().unwrap().to_owned();
    assert!(!key.contains(caller.strip_prefix("token:").unwrap()), "{key}");
    // One of three was taken, and comes back within a day.
    let left: u64 = server.ask(&["PTTL", key]);
    let day = u64::try_from(Duration::from_hours(24).as_millis()).unwrap();
    assert!((1..=day).contains(&left), "{left}");
    // The store's own question at each connection is gone at once.
    wait::until(|| server.ask::<Vec<String>>(&["KEYS", "*"]), |keys| keys.len() == 1);
}

#[test]
fn a_script_that_the_store_forgot_is_sent_again() {
    let (server, upstream) = (Server::start(), upstream());
    let guard = Guard::start(
        &upstream.url(),
        &(limit("caller", "requests", 2) + &store(&server.url())),
    );
    assert_passed(&cancel(&guard, ALICE, 1));
    server.ask::<()>(&["SCRIPT", "FLUSH"]);
    assert_passed(&cancel(&guard, ALICE, 1));
    assert_limited(&cancel(&guard, ALICE, 1));
}

#[test]
fn monitor_mode_charges_what_it_lets_through() {
    let (server, upstream) = (Server::start(), upstream());
    let yaml = limit("caller", "requests", 2) + &store(&server.url());
    let watching = Guard::start(&upstream.url(), &format!("{yaml}policy: {{mode: monitor}}\n"));
    let enforcing = Guard::start(&upstream.url(), &yaml);
    (0..3).for_each(|_| assert_passed(&cancel(&watching, ALICE, 1)));
    let intents = watching.records_of("intent");
    assert_eq!(
        (&intents[2]["decision"], &intents[2]["code"]),
        (&"would_deny".into(), &"rate_limited".into())
    );
    assert_limited(&cancel(&enforcing, ALICE, 1));
    assert_eq!(upstream.requests().len(), 3);
}

#[test]
fn what_is_not_limited_asks_no_store() {
    let (server, upstream) = (Server::start(), upstream());
    let folder = Arc::new(Folder::new());
    let yaml = limit("global", "requests", 1) + &store(&server.url());
    let guard = Guard::start_in(folder, &upstream.url(), &yaml);
    let commands = |server: &Server| {
        let stats: String = server.ask(&["INFO", "commandstats"]);
        let line = stats.lines().find(|line| line.starts_with("cmdstat_evalsha:"));
        line.map(|line| line.split([':', ',']).nth(1).unwrap().to_owned())
    };
    let before = commands(&server);
    for target in ["/v2/publish/https://example.com", "/v2/messages"] {
        let method = if target.contains("publish") { "POST" } else { "DELETE" };
        request(guard.address, method, target, &[ALICE], b"");
    }
    assert_eq!(
        commands(&server),
        before,
        "a publish passes, and a refused cancel costs nothing"
    );
    assert_passed(&cancel(&guard, ALICE, 1));
    assert_ne!(commands(&server), before);
}
