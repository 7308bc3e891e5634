//! Disks that are full or hang: guarded requests are refused with nothing sent, everything else passes.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::support::{Client, Folder, Guard, Upstream, refusal, request};
use crate::tracing::traced;
use crate::{UNLIMITED, cancel, publish, target};

/// A small file system in memory, mounted where the guard keeps its trail. It has room for what is owed to the trail
/// after a while without it.
struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    fn mount(folder: &Path) -> Self {
        std::fs::create_dir(folder).unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(folder)
            .status()
            .unwrap();
        assert!(status.success(), "this test mounts a file system, which takes root");
        SmallDisk {
            folder: folder.to_owned(),
        }
    }

    /// Leaves no block free; the trail's last one may have room for a few records yet.
    fn fill(&self) {
        let mut filler = File::create(self.folder.join("filler")).unwrap();
        for block in [64 * 1024, 512] {
            while filler.write(&vec![0; block]).is_ok_and(|written| written > 0) {}
        }
    }

    fn empty(&self) {
        std::fs::remove_file(self.folder.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}

/// Fills the disk, and the rest of the trail's last page with denials, until one cannot be recorded.
fn fill_up(guard: &Guard, disk: &SmallDisk) {
    disk.fill();
    guard.wait_until("a full disk", || {
        assert_eq!(
            request(guard.address, "DELETE", "/v2/messages", &[], b"").status(),
            403,
            "denials stand"
        );
        guard.admin("/readyz").1.contains("failing")
    });
}

#[test]
fn while_the_disk_is_full_guarded_requests_are_refused_and_others_pass() {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let folder = Arc::new(Folder::new());
    let disk = SmallDisk::mount(&folder.path().join("audit"));
    let guard = Guard::start_in(Arc::clone(&folder), &upstream.url(), UNLIMITED);
    assert_eq!(cancel(&guard, "before").status(), 202);
    fill_up(&guard, &disk);
    let (requests, intents) = (upstream.requests().len(), guard.records_of("intent").len());
    for number in 0..5 {
        refusal(&cancel(&guard, &format!("full{number}")), 503, &["audit_unavailable"]);
    }
    assert_eq!(upstream.requests().len(), requests, "nothing was sent");
    assert!(
        !String::from_utf8_lossy(&upstream.bytes()).contains("full"),
        "not even a part"
    );
    assert_eq!(guard.records_of("intent").len(), intents);
    assert_eq!(publish(&guard).status(), 202, "what is not guarded passes");
    let (status, text) = guard.admin("/readyz");
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("failing"), "{text}");
    assert!(guard.metric("qstash_guard_audit_failures_total", &[]) > 0);
    let refused = guard.metric(
        "qstash_guard_requests_total",
        &["code=\"audit_unavailable\"", "decision=\"deny\""],
    );
    assert_eq!(refused, 5);
    // With space again it goes on by itself, and the chain is whole.
    disk.empty();
    guard.wait_until("a cancel that passes", || cancel(&guard, "after").status() == 202);
    assert!(
        guard.admin("/readyz").1.contains("\"ok\""),
        "{}",
        guard.admin("/readyz").1
    );
    let (code, text) = guard.verify();
    assert_eq!(code, Some(0), "{text}");
    let sent: Vec<String> = upstream
        .requests()
        .iter()
        .map(|request| request.target().to_owned())
        .collect();
    assert!(
        sent.contains(&target("after")) && !sent.iter().any(|target| target.contains("full")),
        "{sent:?}"
    );
    assert!(guard.stop().0.success());
    drop(disk);
}

#[test]
fn a_policy_that_would_rather_serve_serves_unrecorded() {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let folder = Arc::new(Folder::new());
    let disk = SmallDisk::mount(&folder.path().join("audit"));
    let yaml = format!("{UNLIMITED}audit: {{on_failure: allow}}\n");
    let guard = Guard::start_in(Arc::clone(&folder), &upstream.url(), &yaml);
    fill_up(&guard, &disk);
    // Where the policy would rather serve, guarded requests go on unrecorded.
    assert_eq!(cancel(&guard, "unrecorded").status(), 202);
    assert_eq!(upstream.wait_for(1).target(), target("unrecorded"));
    let refused = request(guard.address, "DELETE", "/v2/messages", &[], b"");
    assert_eq!(refused.code(), "unfiltered_cancel", "and are judged all the same");
    assert!(
        guard.log().contains("audit trail could not be written"),
        "{}",
        guard.log()
    );
    disk.empty();
    guard.wait_until("a recorded cancel", || {
        cancel(&guard, "recorded");
        guard
            .records_of("intent")
            .iter()
            .any(|record| record["target"] == target("recorded"))
    });
    let (code, text) = guard.verify();
    assert_eq!(code, Some(0), "{text}");
    drop(guard);
    drop(disk);
}

/// The first sync of each thread takes far longer than `write_timeout`: that of `started`, and the next one.
const HANGING: [&str; 4] = [
    "-e",
    "trace=fdatasync",
    "-e",
    "inject=fdatasync:delay_exit=1500000:when=1",
];

#[test]
fn a_disk_that_hangs_counts_as_one_that_fails() {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let yaml = format!("{UNLIMITED}audit: {{write_timeout: 100ms}}\n");
    let (guard, _) = traced(&upstream, &yaml, &HANGING);
    let answer = cancel(&guard, "late");
    let body = refusal(&answer, 503, &["audit_unavailable"]);
    assert_eq!(publish(&guard).status(), 202);
    // What was written after all is not left to look like a cancel of which nothing is known.
    let outcome = guard.wait_for("outcome", 1).remove(0);
    assert_eq!(outcome["result"], "unsent");
    let intent = guard.records_of("intent").remove(0);
    assert_eq!(intent["target"], target("late"));
    for record in [&intent, &outcome] {
        assert_eq!(record["request_id"], body["request_id"], "one request, one id");
    }
    assert!(
        !String::from_utf8_lossy(&upstream.bytes()).contains("late"),
        "not a byte was sent"
    );
    guard.wait_until("a trail that works again", || cancel(&guard, "again").status() == 202);
    assert_eq!(guard.verify().0, Some(0));
}

#[test]
fn a_client_that_leaves_while_the_disk_is_written_leaves_no_intent_alone() {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let (guard, _) = traced(
        &upstream,
        &format!("{UNLIMITED}audit: {{write_timeout: 20s}}\n"),
        &HANGING,
    );
    let mut client = Client::connect(guard.address);
    client.send(format!(
        "DELETE {} HTTP/1.1\r\nHost: guard.test\r\n\r\n",
        target("left")
    ));
    // The line is in the file while its sync hangs.
    let intent = guard.wait_for("intent", 1).remove(0);
    drop(client);
    let outcome = guard.wait_for("outcome", 1).remove(0);
    assert_eq!(outcome["request_id"], intent["request_id"]);
    assert_eq!(outcome["result"], "completed", "its intent was on disk, so it went on");
    assert_eq!(upstream.request().target(), target("left"));
}

#[test]
fn a_policy_loaded_on_a_full_disk_is_in_force_and_recorded_in_the_end() {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let folder = Arc::new(Folder::new());
    let disk = SmallDisk::mount(&folder.path().join("audit"));
    let guard = Guard::start_in(Arc::clone(&folder), &upstream.url(), UNLIMITED);
    let old = guard.records_of("started").pop().unwrap()["policy"].clone();
    fill_up(&guard, &disk);
    folder.write(
        "guard.yaml",
        &format!("{UNLIMITED}policy: {{operations: {{keys.rotate: deny}}}}\n"),
    );
    guard.signal("HUP");
    guard.wait_for_metric(r#"qstash_guard_policy_reloads_total{result="loaded"}"#, 1);
    let rotate = request(guard.address, "POST", "/v2/keys/rotate", &[], b"");
    refusal(&rotate, 403, &["operation_denied"]);
    upstream.assert_untouched();
    disk.empty();
    guard.wait_until("a cancel that passes", || cancel(&guard, "after").status() == 202);
    assert_eq!(guard.records_of("policy_loaded").len(), 1);
    let records = guard.records();
    let new = records
        .iter()
        .find(|record| record["policy"].is_string() && record["policy"] != old);
    assert_eq!(
        new.unwrap()["event"],
        "policy_loaded",
        "nothing of a policy stands before it"
    );
    let (code, text) = guard.verify();
    assert_eq!(code, Some(0), "{text}");
}
