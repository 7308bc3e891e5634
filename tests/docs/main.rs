//! What is documented holds: examples are run, outputs compared, links followed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod guide;
mod links;
mod markdown;
mod refusals;
mod shipped;
#[path = "../support/mod.rs"]
mod support;
