//! Crashes, restarts, and a second guard on the same trail.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use crate::support::{Client, Folder, Gate, Guard, Upstream};
use crate::{UNLIMITED, cancel, target};

/// A guard that was killed while a cancel was under way, and the folder it left.
fn crashed(upstream: &Upstream) -> Arc<Folder> {
    let guard = Guard::start(&upstream.url(), UNLIMITED);
    assert_eq!(cancel(&guard, "done").status(), 202);
    let mut client = Client::connect(guard.address);
    client.send(format!(
        "DELETE {} HTTP/1.1\r\nHost: guard.test\r\n\r\n",
        target("hangs")
    ));
    guard.wait_for("intent", 2);
    // Dropping a guard kills it with SIGKILL.
    Arc::clone(&guard.folder)
}

fn upstream() -> (Upstream, Gate) {
    let gate = Gate::default();
    let upstream = Upstream::with({
        let gate = gate.clone();
        move |mut connection| {
            while let Some(request) = connection.read_request() {
                if request.target().contains("hangs") {
                    gate.pass();
                    return;
                }
                let answer = crate::support::upstream::answer("202 Accepted", r#"{"cancelled":1}"#);
                if connection.stream.write_all(&answer).is_err() {
                    return;
                }
            }
        }
    });
    (upstream, gate)
}

fn torn(folder: &Folder) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.path().join("audit")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.to_string_lossy().contains(".torn-")).collect()
}

#[test]
fn a_killed_guard_leaves_an_intent_and_a_trail_that_goes_on() {
    let (upstream, gate) = upstream();
    let folder = crashed(&upstream);
    let guard = Guard::start_in(Arc::clone(&folder), &upstream.url(), UNLIMITED);
    assert!(torn(&folder).is_empty(), "nothing was torn");
    assert_eq!(cancel(&guard, "again").status(), 202);
    let (code, text) = guard.verify();
    assert_eq!(code, Some(0), "{text}");
    let intent = guard
        .records_of("intent")
        .into_iter()
        .find(|record| record["target"] == target("hangs"))
        .unwrap();
    let id = intent["request_id"].as_str().unwrap();
    assert!(text.contains(id), "the intent without outcome is listed: {text}");
    gate.open();
}

#[test]
fn a_torn_last_line_is_set_aside() {
    let (upstream, gate) = upstream();
    for damage in ["half a line", "garbage", "the last line cut"] {
        let folder = crashed(&upstream);
        let path = folder.path().join("audit/audit.jsonl");
        let whole = std::fs::read(&path).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        let set_aside: Vec<u8> = match damage {
            "half a line" => {
                file.write_all(br#"{"seq":5,"time":"20"#).unwrap();
                br#"{"seq":5,"time":"20"#.to_vec()
            }
            "garbage" => {
                file.write_all(b"\0\0\0\0\xff\xfe\n").unwrap();
                b"\0\0\0\0\xff\xfe\n".to_vec()
            }
            _ => {
                file.set_len(whole.len() as u64 - 20).unwrap();
                let last = whole[..whole.len() - 1]
                    .iter()
                    .rposition(|byte| *byte == b'\n')
                    .unwrap()
                    + 1;
                whole[last..whole.len() - 20].to_vec()
            }
        };
        drop(file);
        let guard = Guard::start_in(Arc::clone(&folder), &upstream.url(), UNLIMITED);
        let torn = torn(&folder);
        assert_eq!(torn.len(), 1, "{damage}: {torn:?}");
        assert_eq!(std::fs::read(&torn[0]).unwrap(), set_aside, "{damage}");
        assert_eq!(cancel(&guard, "again").status(), 202);
        let (code, text) = guard.verify();
        assert_eq!(code, Some(0), "{damage}: {text}");
        let started = guard.records_of("started").pop().unwrap();
        let name = torn[0].file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            started["detail"].as_str().unwrap().contains(&name),
            "{damage}: {started}"
        );
        assert!(guard.log().contains("torn"), "{damage}: {}", guard.log());
    }
    gate.open();
}

#[test]
fn a_second_guard_on_the_same_trail_does_not_start() {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let guard = Guard::start(&upstream.url(), UNLIMITED);
    let trail = guard.trail_path();
    let other = Folder::new();
    for on_failure in ["deny", "allow"] {
        let yaml = format!("audit: {{path: '{}', on_failure: {on_failure}}}\n", trail.display());
        let output = Guard::command(&other, &upstream.url(), &yaml).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("audit.jsonl"), "it names the file: {text}");
    }
    assert_eq!(cancel(&guard, "a").status(), 202);
    assert_eq!(guard.records_of("started").len(), 1);
    assert_eq!(guard.verify().0, Some(0));
}

#[test]
fn a_trail_that_cannot_be_opened_opens_no_port() {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let folder = Arc::new(Folder::new());
    folder.write("audit", "a file where a folder should be");
    let output = Guard::command(&folder, &upstream.url(), UNLIMITED).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(!text.contains("listening"), "{text}");
    // Where the policy would rather serve, it serves unrecorded, and says so.
    let yaml = format!("{UNLIMITED}audit: {{on_failure: allow}}\n");
    let guard = Guard::start_in(folder, &upstream.url(), &yaml);
    assert_eq!(cancel(&guard, "a").status(), 202);
    assert!(guard.admin("/readyz").1.contains("failing"));
    assert!(guard.metric("qstash_guard_audit_failures_total", &[]) > 0);
    assert_eq!(upstream.request().target(), target("a"));
}

#[test]
fn verify_finds_a_changed_record() {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let guard = Guard::start(&upstream.url(), UNLIMITED);
    (0..3).for_each(|number| assert_eq!(cancel(&guard, &format!("n{number}")).status(), 202));
    assert_eq!(guard.verify().0, Some(0));
    let head = guard.admin("/audit/head").1;
    let hash = serde_json::from_str::<serde_json::Value>(&head).unwrap()["hash"]
        .as_str()
        .unwrap()
        .to_owned();
    let verify = |hash: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qstash-guard"));
        command
            .args(["audit", "verify", "--head", hash])
            .arg(guard.trail_path());
        command.output().unwrap().status.code()
    };
    assert_eq!(verify(&hash), Some(0));
    assert_eq!(verify(&"0".repeat(64)), Some(5));
    let text = std::fs::read_to_string(guard.trail_path()).unwrap();
    std::fs::write(guard.trail_path(), text.replacen("label=n1", "label=n9", 1)).unwrap();
    let (code, shown) = guard.verify();
    assert_eq!(code, Some(4), "{shown}");
}
