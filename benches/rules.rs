//! What rules cost a cancel that none of them decides: `cargo bench --bench rules` prints microseconds a cancel.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use qstash_guard::config;
use qstash_guard::policy::{Caller, Context, Policy, Request, Verdict, judge};

/// What conditions look like: a kind and a number, a list, the time, a pattern.
const CONDITIONS: [(&str, &str); 4] = [
    (
        "kind and count",
        r#"cancel.kind == "filter" && cancel.count != null && cancel.count > 50"#,
    ),
    (
        "a filter",
        r#"size(cancel.filters.queueName) > 0 && cancel.filters.queueName.all(q, q.startsWith("billing-"))"#,
    ),
    ("the hour", r#"request.time.getHours("Europe/Berlin") > 23"#),
    ("a pattern", r#"caller.name.matches("^billing-[a-z]+$")"#),
];

fn main() {
    println!("{:<16}{:>8}{:>14}", "condition", "rules", "µs a cancel");
    let none = measure(&policy("true", "ops-*", 0));
    println!("{:<16}{:>8}{none:>14.2}", "", 0);
    for (name, when) in CONDITIONS {
        for number in [1, 100, 1000] {
            let took = measure(&policy(when, "*", number));
            println!("{name:<16}{number:>8}{took:>14.2}");
        }
    }
    let took = measure(&policy("true", "ops-*", 1000));
    println!("{:<16}{:>8}{took:>14.2}", "other callers", 1000);
}

fn policy(when: &str, callers: &str, number: usize) -> Policy {
    let mut yaml = "policy:\n  rules:\n".to_owned();
    for rule in 0..number {
        let _ = writeln!(
            yaml,
            "    - name: rule-{rule}\n      callers: ['{callers}']\n      when: '{when}'\n      deny: x"
        );
    }
    if number == 0 {
        yaml.clear();
    }
    match config::compile("bench.yaml", &yaml, &|_| None) {
        Ok(loaded) => loaded.settings.policy,
        Err(faults) => panic!("{faults}"),
    }
}

/// The median of many rounds, in microseconds.
fn measure(policy: &Policy) -> f64 {
    let caller = Caller::anonymous();
    let context = Context {
        caller: &caller,
        client: Ipv4Addr::LOCALHOST.into(),
        time: Timestamp::UNIX_EPOCH,
    };
    let request = Request {
        method: "DELETE",
        path: b"/v2/messages",
        query: Some(b"queueName=mail&label=nightly&count=20"),
        overridden: false,
        body: b"",
        content_encoded: false,
    };
    let mut rounds: Vec<Duration> = (0..101)
        .map(|_| {
            let start = Instant::now();
            let judgement = black_box(judge(policy, black_box(&request), &context));
            let took = start.elapsed();
            assert!(
                matches!(judgement.verdict, Verdict::Allow(_)),
                "{:?}",
                judgement.verdict
            );
            took
        })
        .collect();
    rounds.sort_unstable();
    rounds[rounds.len() / 2].as_secs_f64() * 1e6
}
