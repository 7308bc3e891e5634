//! SIGHUP and the trail's file.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::{UNLIMITED, cancel, detail, start};

/// The events of a file of records.
fn events(path: &std::path::Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records
        .map(|record| record["event"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_trail_that_was_moved_away_goes_on_in_a_new_file() {
    let (upstream, guard) = start(UNLIMITED);
    assert_eq!(cancel(&guard, 5).status(), 202);
    // As logrotate does it: move, then SIGHUP. What comes between the two still goes into the moved file.
    let moved = guard.trail_path().with_file_name("audit.jsonl.1");
    fs::rename(guard.trail_path(), &moved).unwrap();
    assert_eq!(cancel(&guard, 5).status(), 202);
    guard.signal("HUP");
    guard.wait_until("the new file", || guard.trail_path().exists());
    let rotated = guard.wait_for("rotated", 1).pop().unwrap();
    assert_eq!(rotated["seq"], 6);
    assert!(
        detail(&rotated).starts_with("follows a file that was moved away (up to record 5, "),
        "{rotated}"
    );
    guard.wait_for("policy_loaded", 1);
    assert_eq!(cancel(&guard, 5).status(), 202);
    assert_eq!(events(&moved), ["started", "intent", "outcome", "intent", "outcome"]);
    assert_eq!(
        events(&guard.trail_path()),
        ["rotated", "policy_loaded", "intent", "outcome"]
    );

    let (code, text) = guard.verify();
    assert_eq!(code, Some(0), "the folder: {text}");
    let verify = |paths: &[&std::path::Path]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qstash-guard"));
        command
            .args(["audit", "verify"])
            .args(paths)
            .output()
            .unwrap()
            .status
            .code()
    };
    let live = guard.trail_path();
    assert_eq!(verify(&[&live, &moved]), Some(0));
    assert_eq!(verify(&[&moved, &live]), Some(0));
    assert_eq!(verify(&[&live]), Some(5), "what came first is missing");
    // By another name and elsewhere, as an archive may have it.
    let archived = guard.folder.path().join("2026-11-24.log");
    fs::rename(&moved, &archived).unwrap();
    assert_eq!(verify(&[&archived, &live]), Some(0));
    fs::rename(&archived, &moved).unwrap();

    // A restart goes on behind it.
    let folder = std::sync::Arc::clone(&guard.folder);
    let (status, log) = guard.stop();
    assert!(status.success(), "{log}");
    let guard = crate::Guard::start_in(folder, &upstream.url(), UNLIMITED);
    assert_eq!(guard.verify().0, Some(0));
    assert_eq!(guard.records_of("started").pop().unwrap()["seq"], 11);
}

#[test]
fn a_trail_that_stands_where_it_was_is_left_alone() {
    let (_upstream, guard) = start(UNLIMITED);
    guard.signal("HUP");
    guard.wait_for("policy_loaded", 1);
    assert_eq!(events(&guard.trail_path()), ["started", "policy_loaded"]);
}
