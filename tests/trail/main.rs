//! The audit trail through the real binary: what is recorded when, and what becomes of requests while nothing can be.
#![expect(clippy::unwrap_used, reason = "a test may panic, and takes the short way")]

mod concurrent;
mod disk;
mod outcomes;
mod restarts;
mod rotated;
mod sinks;
#[path = "../support/mod.rs"]
mod support;
mod tracing;

use support::{Answer, Guard, request};

/// No limits: these tests are about records.
const UNLIMITED: &str = "rate_limits: []\n";

const BEARER: &str = "Authorization: Bearer t";

fn cancel(guard: &Guard, label: &str) -> Answer {
    request(guard.address, "DELETE", &target(label), &[BEARER], b"")
}

fn target(label: &str) -> String {
    format!("/v2/messages?label={label}&count=5")
}

fn publish(guard: &Guard) -> Answer {
    request(
        guard.address,
        "POST",
        "/v2/publish/https://example.com/x",
        &[BEARER],
        b"hello",
    )
}
