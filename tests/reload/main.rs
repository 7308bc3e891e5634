//! A new configuration for a running guard: what it changes at once, what it leaves alone, what it records.
#![expect(clippy::unwrap_used, reason = "a test may panic, and takes the short way")]

mod files;
mod load;
mod rehearsal;
mod restart;
mod signal;
#[path = "../support/mod.rs"]
mod support;
mod trail;

use std::process::Command;
use std::sync::Arc;

use serde_json::Value;
use support::{Answer, Folder, Guard, Upstream, request, wait};

/// No limits: most of these tests are about something else.
const UNLIMITED: &str = "rate_limits: []\n";

const TOKEN: &str = "Authorization: Bearer secret-of-the-tests";

const LOADED: &str = r#"qstash_guard_policy_reloads_total{result="loaded"}"#;
const REJECTED: &str = r#"qstash_guard_policy_reloads_total{result="rejected"}"#;

fn start(yaml: &str) -> (Upstream, Guard) {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let guard = Guard::start(&upstream.url(), yaml);
    (upstream, guard)
}

/// A guard with further arguments, and a configuration of its own or none.
fn spawn(folder: Arc<Folder>, upstream: &str, arguments: &[&str]) -> Guard {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qstash-guard"));
    command
        .args([
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--upstream",
            upstream,
        ])
        .args(arguments)
        .env_remove("QSTASH_GUARD_CONFIG")
        .current_dir(folder.path());
    Guard::spawn(folder, command)
}

/// A configuration with this cap, and nothing else of note.
fn capped(max_count: u64) -> String {
    format!("{UNLIMITED}policy: {{bulk_cancel: {{max_count: {max_count}}}}}\n")
}

fn cancel(guard: &Guard, count: u64) -> Answer {
    request(guard.address, "DELETE", &target(count), &[TOKEN], b"")
}

fn target(count: u64) -> String {
    format!("/v2/messages?label=a&count={count}")
}

/// Puts another configuration in place, asks for a reload, and waits until it is in force; its record.
#[track_caller]
fn reload(guard: &Guard, yaml: &str) -> Value {
    guard.folder.write("guard.yaml", yaml);
    let before = guard.metric_line(LOADED);
    guard.signal("HUP");
    wait::until(|| guard.metric_line(LOADED), |loaded| *loaded > before);
    guard.records_of("policy_loaded").pop().unwrap()
}

/// The same with a faulty one.
#[track_caller]
fn reload_in_vain(guard: &Guard, yaml: &str) -> Value {
    guard.folder.write("guard.yaml", yaml);
    let before = guard.records_of("policy_rejected").len();
    guard.signal("HUP");
    guard.wait_for("policy_rejected", before + 1).pop().unwrap()
}

/// The lines of the log with this message.
fn logged(guard: &Guard, message: &str) -> Vec<Value> {
    let log = guard.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| line["message"].as_str().is_some_and(|found| found.contains(message)))
        .collect()
}

fn detail(record: &Value) -> &str {
    record["detail"].as_str().unwrap()
}
