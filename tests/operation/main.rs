//! Running a guard: start, health, metrics, logs, limits on connections, and the way to the end.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/mod.rs"]
mod support;

mod admin;
mod commands;
mod connections;
mod demo;
mod logs;
mod shutdown;
mod start;
