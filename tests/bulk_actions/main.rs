//! What goes on behind an answer: caps that QStash overruns, bulk actions followed to their end, what is left uncertain.
#![expect(clippy::unwrap_used, reason = "a test may panic, and takes the short way")]

mod followed;
mod overruns;
mod shutdown;
mod simulated;
mod sisters;
#[path = "../support/mod.rs"]
mod support;
mod uncertain;
mod waiting;

use support::{Answer, Guard, request};

/// No limits: these tests are about what comes after them.
const UNLIMITED: &str = "rate_limits: []\n";

/// A token that no other text of a run resembles.
const SECRET: &str = "QzRVbkhjWVpFTWtwSGdB";

fn bearer() -> String {
    format!("Authorization: Bearer {SECRET}")
}

fn cancel(guard: &Guard, query: &str) -> Answer {
    let target = format!("/v2/messages?{query}");
    request(guard.address, "DELETE", &target, &[&bearer()], b"")
}

fn cancel_by_body(guard: &Guard, body: &str) -> Answer {
    request(guard.address, "DELETE", "/v2/messages", &[&bearer()], body.as_bytes())
}

/// Asserts that nothing that the guard wrote or says of itself holds the token.
#[track_caller]
fn assert_no_secret(guard: &Guard) {
    let trail = std::fs::read_to_string(guard.trail_path()).unwrap();
    for text in [trail, guard.log(), guard.admin("/metrics").1] {
        assert!(!text.contains(SECRET), "{text}");
    }
}
