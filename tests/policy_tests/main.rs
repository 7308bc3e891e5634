//! `qstash-guard test`: what passes, what fails, what is said of both, and faults in files of tests.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod faults;
mod running;
#[path = "../support/mod.rs"]
mod support;

use std::process::{Command, Stdio};

use support::Folder;

/// Runs `qstash-guard test` in a folder; exit code, standard output and standard error.
fn test(folder: &Folder, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_qstash-guard"))
        .arg("test")
        .args(arguments)
        .current_dir(folder.path())
        .env_remove("QSTASH_GUARD_CONFIG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A text without the digests of policies.
fn without_digests(text: &str) -> String {
    let mut parts = text.split("sha256:");
    let mut shown = parts.next().unwrap().to_owned();
    for part in parts {
        shown.push_str("[digest]");
        shown.push_str(&part[12..]);
    }
    shown
}
