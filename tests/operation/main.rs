//! Running a guard: start, health, metrics, logs, limits on connections, and the way to the end.

#[path = "../support/mod.rs"]
mod support;

mod admin;
mod commands;
mod connections;
mod logs;
mod shutdown;
mod start;
