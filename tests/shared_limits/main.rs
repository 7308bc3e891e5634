//! Limits that guards share in a real `redis-server`: together they let through what one would, and each `on_error` does
//! what it says while the store is gone. Rates are one a day, so that nothing refills while a test runs.
#![expect(clippy::unwrap_used, reason = "a test may panic, and takes the short way")]

mod access;
mod capped;
mod failures;
mod model;
#[path = "../cap/script.rs"]
mod script;
mod server;
#[path = "../support/mod.rs"]
mod support;
mod together;

use serde_json::Value;
use server::Server;
use support::{Answer, Guard, Upstream, request, wait};

const ALICE: &str = "Authorization: Bearer alice-of-the-tests";
const BOB: &str = "Authorization: Bearer bob-of-the-tests";

const UP: &str = "qstash_guard_rate_limit_store_up";
const ERRORS: &str = "qstash_guard_rate_limit_store_errors_total";
const UNCOUNTED: &str = "qstash_guard_rate_limit_store_uncounted_total";

fn upstream() -> Upstream {
    Upstream::json(r#"{"cancelled":1}"#)
}

/// One limit on bulk cancels.
fn limit(per: &str, unit: &str, burst: u32) -> String {
    format!(
        "rate_limits: [{{name: cancels, applies_to: [messages.bulk_cancel], per: {per}, unit: {unit}, rate: 1/d, \
         burst: {burst}}}]\n"
    )
}

/// A store that is given so much time that a busy machine is no failure.
fn store(url: &str) -> String {
    format!("rate_limit_store: {{url: '{url}', timeout: 15s, on_error: deny}}\n")
}

/// A store that is given less, since it is to fail.
fn failing(url: &str, on_error: &str) -> String {
    format!("rate_limit_store: {{url: '{url}', timeout: 2s, on_error: {on_error}}}\n")
}

fn cancel(guard: &Guard, caller: &str, count: u32) -> Answer {
    let target = format!("/v2/messages?label=a&count={count}");
    request(guard.address, "DELETE", &target, &[caller], b"")
}

#[track_caller]
fn assert_passed(answer: &Answer) {
    assert_eq!((answer.status(), answer.code().as_str()), (202, ""), "{answer:?}");
}

#[track_caller]
fn assert_limited(answer: &Answer) {
    let body = support::refusal(answer, 429, &["rate_limited"]);
    assert_eq!(body["limit"], "cancels", "{answer:?}");
}

/// Waits until the guard says that its store answers, or does not.
#[track_caller]
fn wait_until_up(guard: &Guard, up: bool) {
    wait::until(|| guard.metric_line(UP), |found| *found == u64::from(up));
    let (status, body) = guard.admin("/readyz");
    let body: Value = serde_json::from_str(&body).unwrap();
    let state = if up { "ok" } else { "failing" };
    assert_eq!((status, &body["store"]), (200, &state.into()), "{body}");
}

/// The lines of the log with this in their message, once there is one: the log is read beside the test.
#[track_caller]
fn logged(guard: &Guard, message: &str) -> Vec<Value> {
    let read = || {
        let log = guard.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines
            .filter(|line| line["message"].as_str().is_some_and(|found| found.contains(message)))
            .collect::<Vec<_>>()
    };
    wait::until(read, |lines| !lines.is_empty())
}
