//! What is documented holds: examples are run, outputs compared, links followed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod markdown;
mod refusals;
#[path = "../support/mod.rs"]
mod support;
