//! Starting: what stands in the way is said, and where a guard runs is what it was told.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use crate::support::{Folder, Guard, Upstream, request};

/// Runs the binary to its end in a folder.
pub(crate) fn qstash_guard(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qstash-guard"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("QSTASH_GUARD_CONFIG")
        .env_remove("COLUMNS")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

const NOWHERE: &str = "http://127.0.0.1:1";

/// Why a guard with this configuration does not start.
fn refused(folder: &Folder, upstream: &str, yaml: &str) -> String {
    let mut command = Guard::command(folder, upstream, yaml);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    text
}

#[test]
fn an_address_that_another_guard_serves_is_refused() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    for (file, taken) in [("listen", guard.address), ("admin", guard.admin)] {
        let folder = Folder::new();
        let yaml = format!("{file}: {{address: {taken}}}");
        let config = folder.write("guard.yaml", &yaml);
        let other = if file == "listen" { "--admin" } else { "--listen" };
        let output = qstash_guard(
            &[
                "run",
                "--config",
                config.to_str().unwrap(),
                other,
                "127.0.0.1:0",
                "--upstream",
                "http://127.0.0.1:1",
            ],
            folder.path(),
        );
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(&format!("cannot listen on {taken}")), "{text}");
    }
    // And the first one has lost nothing of its own.
    for _ in 0..8 {
        assert_eq!(request(guard.address, "GET", "/v2/logs", &[], b"").status(), 202);
    }
}

#[test]
fn a_trail_that_cannot_be_written_is_an_error_at_the_start() {
    let folder = Folder::new();
    folder.write("file", "");
    let text = refused(&folder, NOWHERE, "audit: {path: file/audit.jsonl}");
    assert!(text.contains("file/audit.jsonl"), "{text}");
}

#[test]
fn a_trail_that_another_guard_writes_is_an_error_at_the_start() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let yaml = format!("audit: {{path: {}}}", guard.trail_path().display());
    let text = refused(&Folder::new(), NOWHERE, &yaml);
    assert!(text.contains("audit.jsonl"), "{text}");
    assert_eq!(guard.records().len(), 1);
}

#[test]
fn a_faulty_configuration_is_an_error_at_the_start() {
    let folder = Folder::new();
    let text = refused(&folder, NOWHERE, "policy:\n  bulk_cancel: {max_cuont: 5}\n");
    assert!(text.contains("guard.yaml:2:17"), "{text}");
    assert!(text.contains("did you mean `max_count`?"), "{text}");
    let text = refused(&folder, "ftp://127.0.0.1:1", "");
    assert!(text.contains("--upstream") && text.contains("ftp"), "{text}");
    assert!(!folder.path().join("audit").exists(), "nothing was started");
}

#[test]
fn the_command_line_overrules_the_file_and_run_may_be_left_out() {
    let upstream = Upstream::json("{}");
    let yaml = "listen: {address: 127.0.0.1:1}\nadmin: {address: 127.0.0.1:2}\nupstream: {url: http://127.0.0.1:1}";
    let guard = Guard::start(&upstream.url(), yaml);
    assert_eq!(request(guard.address, "GET", "/v2/logs", &[], b"").status(), 202);
    assert_eq!(guard.admin("/healthz").0, 200);

    let folder = Arc::new(Folder::new());
    let config = folder.write("guard.yaml", yaml);
    let mut command = Command::new(env!("CARGO_BIN_EXE_qstash-guard"));
    command.args([
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--upstream",
        &upstream.url(),
    ]);
    command.arg("--config").arg(config).current_dir(folder.path());
    let guard = Guard::spawn(folder, command);
    assert_eq!(request(guard.address, "GET", "/v2/logs", &[], b"").status(), 202);
}

#[test]
fn without_arguments_it_runs_with_the_configuration_that_it_finds() {
    let upstream = Upstream::json("{}");
    let folder = Arc::new(Folder::new());
    std::fs::create_dir(folder.path().join("config")).unwrap();
    let yaml = format!(
        "listen: {{address: 127.0.0.1:0}}\nadmin: {{address: 127.0.0.1:0}}\nupstream: {{url: {}}}",
        upstream.url()
    );
    folder.write("config/guard.yaml", &yaml);
    let mut command = Command::new(env!("CARGO_BIN_EXE_qstash-guard"));
    command.current_dir(folder.path()).env_remove("QSTASH_GUARD_CONFIG");
    let guard = Guard::spawn(Arc::clone(&folder), command);
    assert_eq!(request(guard.address, "GET", "/v2/logs", &[], b"").status(), 202);
    // The environment names another one.
    let named = folder.write("named.yaml", &format!("{yaml}\naudit: {{path: named.jsonl}}"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_qstash-guard"));
    command.current_dir(folder.path()).env("QSTASH_GUARD_CONFIG", named);
    let _guard = Guard::spawn(Arc::clone(&folder), command);
    assert!(folder.path().join("named.jsonl").exists());
}
