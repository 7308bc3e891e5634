//! Many cancels at once: each is on disk before it goes on, and they share the disk.

use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::Instant;

use crate::support::{Answer, Guard, PATIENCE, Upstream};
use crate::tracing::{calls, synced_after, traced};
use crate::{UNLIMITED, cancel, target};

const CANCELS: usize = 50;

/// Sends all cancels at the same time.
fn all_at_once(guard: &Guard) -> Vec<Answer> {
    let barrier = Barrier::new(CANCELS);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CANCELS)
            .map(|number| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    cancel(guard, &format!("n{number}x"))
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// The order is that of system calls, by strace: the sync of an intent has returned before the upstream's socket is
/// written to.
#[test]
fn an_intent_is_on_disk_before_its_request_is_sent() {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let calls_of_interest = ["-e", "trace=fdatasync,write,writev,pwrite64,sendto,sendmsg"];
    let (guard, trace) = traced(&upstream, UNLIMITED, &calls_of_interest);
    assert!(all_at_once(&guard).iter().all(|answer| answer.status() == 202));
    assert_eq!(cancel(&guard, "n50x").status(), 202);
    let (socket, folder) = (format!("->{}", upstream.address), Arc::clone(&guard.folder));
    assert!(guard.stop().0.success());
    let trace = read_whole(&trace);
    drop(folder);
    let calls = calls(&trace);
    for number in 0..=CANCELS {
        let target = target(&format!("n{number}x"));
        let find = |place: &str, text: &str| {
            let found: Vec<usize> = (0..calls.len()).filter(|at| calls[*at].writes(place, text)).collect();
            assert_eq!(found.len(), 1, "{place} {text}: {found:?}");
            found[0]
        };
        let intent = find("audit.jsonl", &target);
        let sent = find(&socket, &format!("DELETE {target}"));
        let synced = synced_after(&calls, intent);
        assert!(
            intent < synced && synced < sent,
            "{target}: written {intent}, on disk {synced}, sent {sent}"
        );
    }
}

#[test]
fn a_buffered_trail_is_not_synced_by_cancels() {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let guard = Guard::start(
        &upstream.url(),
        &format!("{UNLIMITED}audit: {{durability: buffered}}\n"),
    );
    let synced = || guard.metric("qstash_guard_audit_sync_seconds_count", &[]);
    let before = synced();
    assert_eq!(cancel(&guard, "a").status(), 202);
    assert_eq!(
        guard.records_of("outcome").len(),
        1,
        "written before the answer all the same"
    );
    assert_eq!(synced(), before);
}

/// Each sync takes 50 ms here, so that those who come meanwhile wait together.
#[test]
fn cancels_at_the_same_time_share_a_sync() {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let slow = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_exit=50000"];
    let (guard, _) = traced(&upstream, UNLIMITED, &slow);
    let before = guard.metric("qstash_guard_audit_sync_seconds_count", &[]);
    assert!(all_at_once(&guard).iter().all(|answer| answer.status() == 202));
    let syncs = guard.metric("qstash_guard_audit_sync_seconds_count", &[]) - before;
    assert_eq!(guard.records_of("intent").len(), CANCELS);
    assert_eq!(guard.records_of("outcome").len(), CANCELS);
    assert!(syncs < CANCELS as u64, "{syncs} syncs for {} records", 2 * CANCELS);
}

/// The tracer writes its last lines after the guard has ended.
fn read_whole(trace: &Path) -> String {
    let started = Instant::now();
    loop {
        let text = std::fs::read_to_string(trace).unwrap();
        if text.contains("+++ exited with 0 +++") && text.ends_with("+++\n") {
            return text;
        }
        assert!(started.elapsed() < PATIENCE, "the trace never ended");
        std::thread::yield_now();
    }
}
