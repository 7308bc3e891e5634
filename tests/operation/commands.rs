//! What the commands say of themselves, and `health`.

use std::path::Path;

use super::start::qstash_guard;
use crate::support::wait::until;
use crate::support::{Guard, Upstream};

#[test]
fn help_is_there_for_every_command() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for command in [
        "",
        "run",
        "check",
        "explain",
        "test",
        "audit",
        "audit show",
        "audit stats",
        "audit verify",
        "audit replay",
        "simulate",
        "demo",
        "schema",
        "health",
        "key",
    ] {
        let mut arguments: Vec<_> = command.split_whitespace().collect();
        arguments.push("--help");
        let output = qstash_guard(&arguments, here);
        assert_eq!(output.status.code(), Some(0), "{command}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains('\u{1b}'), "no colour where there is no terminal");
        let name = if command.is_empty() {
            "all".to_owned()
        } else {
            command.replace(' ', "-")
        };
        insta::assert_snapshot!(format!("help-{name}"), text);
    }
}

#[test]
fn the_version_is_told() {
    let output = qstash_guard(&["--version"], Path::new("/"));
    assert_eq!(output.status.code(), Some(0));
    let version = concat!("qstash-guard ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), version);
}

#[test]
fn health_is_0_while_it_is_ready_and_1_otherwise() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "resources: {shutdown_delay: 60s}");
    let admin = guard.admin.to_string();
    let health = || qstash_guard(&["health", "--admin", &admin], Path::new("/"));
    assert_eq!(health().status.code(), Some(0));
    guard.signal("TERM");
    let output = until(health, |output| output.status.code() == Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("not ready") && text.contains("503"), "{text}");
    drop(guard);
    let output = health();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("no guard answers on"), "{text}");
}
