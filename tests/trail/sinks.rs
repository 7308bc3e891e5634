//! Trails that are no file.

use std::fs::File;
use std::sync::Arc;

use serde_json::Value;

use crate::support::{Folder, Guard, Upstream};
use crate::{UNLIMITED, cancel, publish, target};

#[test]
fn without_a_trail_cancels_are_judged_and_nothing_is_written() {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let guard = Guard::start(&upstream.url(), &format!("{UNLIMITED}audit: {{path: null}}\n"));
    assert_eq!(
        crate::request(guard.address, "DELETE", "/v2/messages", &[], b"").code(),
        "unfiltered_cancel"
    );
    upstream.assert_untouched();
    assert_eq!(cancel(&guard, "a").status(), 202);
    assert_eq!(publish(&guard).status(), 202);
    assert!(guard.admin("/readyz").1.contains("\"ok\""));
    let folder = Arc::clone(&guard.folder);
    assert!(guard.stop().0.success());
    let names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["guard.yaml"]);
}

#[test]
fn records_may_go_to_standard_output() {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let folder = Arc::new(Folder::new());
    let mut command = Guard::command(
        &folder,
        &upstream.url(),
        &format!("{UNLIMITED}audit: {{path: \"-\"}}\n"),
    );
    let output = folder.path().join("output");
    command.stdout(File::create(&output).unwrap());
    let guard = Guard::spawn_with_stdout(Arc::clone(&folder), command);
    assert_eq!(cancel(&guard, "a").status(), 202);
    assert_eq!(
        crate::request(guard.address, "DELETE", "/v2/messages", &[], b"").status(),
        403
    );
    assert!(guard.stop().0.success());
    let text = std::fs::read_to_string(&output).unwrap();
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<&Value> = records.iter().map(|record| &record["event"]).collect();
    assert_eq!(
        events,
        ["started", "intent", "outcome", "denied", "stopped"],
        "and nothing else"
    );
    assert_eq!(records[1]["target"], target("a"));
    assert!(!folder.path().join("audit").exists());
}
