//! Caps that the guard enforces itself: what is listed, what is sent then, and what is said of it.
#![expect(clippy::unwrap_used, reason = "a test may panic, and takes the short way")]

mod budgets;
mod cancelling;
mod configured;
mod leaving;
mod listing;
mod codings;
mod listing_model;
mod overruns;
mod properties;
mod random_upstreams;
mod script;
mod simulated;
mod stopping;
#[path = "../support/mod.rs"]
mod support;
mod together;

use support::{Answer, Guard, Upstream, request};

/// The guard enforces caps, and no limits stand in the way.
const GUARDED: &str = "policy: {bulk_cancel: {cap_enforced_by: guard}}\nrate_limits: []\n";

const SECRET: &str = "secret-of-the-tests";
const TOKEN: &str = "Authorization: Bearer secret-of-the-tests";

/// The same with two ids a cancel.
const CHUNKS_OF_TWO: &str = "policy: {bulk_cancel: {cap_enforced_by: guard, max_message_ids: 2}}\nrate_limits: []\n";

fn start(upstream: &Upstream) -> Guard {
    Guard::start(&upstream.url(), GUARDED)
}

fn delete(guard: &Guard, target: &str) -> Answer {
    request(guard.address, "DELETE", target, &[TOKEN], b"")
}

/// The ids of every cancel that the upstream got, request by request. Fails where one says anything else.
#[track_caller]
fn cancelled(upstream: &Upstream) -> Vec<Vec<String>> {
    let requests = upstream.requests();
    let cancels = requests.iter().filter(|request| !request.line().starts_with("GET "));
    cancels
        .map(|request| {
            let line = request.line();
            let ids = line
                .strip_prefix("DELETE /v2/messages?messageIds=")
                .and_then(|rest| rest.strip_suffix(" HTTP/1.1"))
                .unwrap_or_else(|| panic!("no cancel by ids: {line}"));
            assert!(!ids.contains(['&', '?', '#']), "{line}");
            assert!(request.body.is_empty(), "{request:?}");
            assert!(request.header("content-length").is_empty(), "{request:?}");
            let decoded = |id| {
                percent_encoding::percent_decode_str(id)
                    .decode_utf8()
                    .unwrap()
                    .into_owned()
            };
            ids.split(',').map(decoded).collect()
        })
        .collect()
}
