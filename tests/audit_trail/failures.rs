//! Many at once, disks that are slow, full or absent.

use std::fs;
use std::path::Path;
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use qstash_guard::audit::{
    Durability, Event, OnFailure, Outcome, Record, Settings, Sink, StartFault, Trail, TrailError,
};
use uuid::Uuid;

use super::support::*;

#[test]
fn commits_at_the_same_time_share_a_sync() {
    const RUNTIMES: u64 = 4;
    const EACH: u64 = 50;
    let folder = Folder::new();
    let watch = Arc::new(Watch::default());
    let trail = open_with(&settings(&folder.file()), &watch).expect("opened").trail;
    let before = watch.syncs.load(Ordering::SeqCst);
    watch.shut(true);
    let sent = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..RUNTIMES)
        .map(|runtime| {
            let (trail, sent) = (trail.clone(), Arc::clone(&sent));
            std::thread::spawn(move || {
                let tokio = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime");
                tokio.block_on(async {
                    let records = (0..EACH).map(|number| request(Event::Intent, u128::from(runtime * EACH + number)));
                    let mut commits: Vec<_> = records.map(|record| Box::pin(trail.commit(record))).collect();
                    for commit in &mut commits {
                        // Polled once, the record is queued.
                        assert!(
                            commit
                                .as_mut()
                                .poll(&mut Context::from_waker(Waker::noop()))
                                .is_pending()
                        );
                        sent.fetch_add(1, Ordering::SeqCst);
                    }
                    for commit in commits {
                        commit.await.expect("committed");
                    }
                });
            })
        })
        .collect();
    while sent.load(Ordering::SeqCst) < RUNTIMES * EACH {
        std::thread::yield_now();
    }
    watch.shut(false);
    for thread in threads {
        thread.join().expect("no panic");
    }
    let syncs = watch.syncs.load(Ordering::SeqCst) - before;
    assert!(syncs <= 2, "{syncs} syncs");
    assert_eq!(watch.records.load(Ordering::SeqCst), RUNTIMES * EACH + 1);
    assert_eq!(
        (watch.seq.load(Ordering::SeqCst), trail.head().0),
        (RUNTIMES * EACH + 1, RUNTIMES * EACH + 1)
    );
    let report = folder.verify();
    assert_eq!(intact(&report), RUNTIMES * EACH + 1);
    assert_eq!(report.chains[0].open.len() as u64, RUNTIMES * EACH);
}

#[tokio::test]
async fn an_intent_that_comes_too_late_is_unsent() {
    let folder = Folder::new();
    let watch = Arc::new(Watch::default());
    let settings = Settings {
        write_timeout: Duration::from_millis(50),
        ..settings(&folder.file())
    };
    let trail = open_with(&settings, &watch).expect("opened").trail;
    watch.shut(true);
    assert_eq!(trail.commit(request(Event::Intent, 1)).await, Err(TrailError::Timeout));
    assert!(trail.is_failed());
    watch.shut(false);
    stop_in_the_end(&trail).await;
    assert_eq!(intact(&folder.verify()), 4);
    assert_eq!(events(&folder.file()), ["started", "intent", "outcome", "stopped"]);
    let outcome = &lines(&folder.file())[2];
    assert_eq!(outcome["result"], "unsent");
    assert_eq!(outcome["request_id"], Uuid::from_u128(1).to_string());
    assert_eq!(
        outcome["error"],
        "the intent reached the disk after audit.write_timeout; the request was refused"
    );
    assert!(folder.verify().chains[0].open.is_empty());
}

#[tokio::test]
async fn with_allow_an_intent_that_comes_too_late_has_only_its_own_outcome() {
    let folder = Folder::new();
    let watch = Arc::new(Watch::default());
    let settings = Settings {
        write_timeout: Duration::from_millis(50),
        on_failure: OnFailure::Allow,
        ..settings(&folder.file())
    };
    let trail = open_with(&settings, &watch).expect("opened").trail;
    watch.shut(true);
    // Whether the second is written together with the first or waits in the queue, both waiters give up.
    let (first, second) = tokio::join!(
        trail.commit(request(Event::Intent, 1)),
        trail.commit(request(Event::Intent, 2)),
    );
    assert_eq!((first, second), (Err(TrailError::Timeout), Err(TrailError::Timeout)));
    for number in 1..=2 {
        let outcome = Record {
            result: Some(Outcome::Completed),
            ..request(Event::Outcome, number)
        };
        trail.submit(outcome).expect("queued");
    }
    watch.shut(false);
    stop_in_the_end(&trail).await;
    assert_eq!(intact(&folder.verify()), 6);
    assert_eq!(
        events(&folder.file()),
        ["started", "intent", "intent", "outcome", "outcome", "stopped"]
    );
    for outcome in &lines(&folder.file())[3..5] {
        assert_eq!(outcome["result"], "completed");
    }
    assert!(folder.verify().chains[0].open.is_empty());
}

#[tokio::test]
async fn while_the_disk_hangs_only_what_must_not_be_lost_waits() {
    let folder = Folder::new();
    let watch = Arc::new(Watch::default());
    let settings = Settings {
        write_timeout: Duration::from_millis(50),
        ..settings(&folder.file())
    };
    let trail = open_with(&settings, &watch).expect("opened").trail;
    watch.shut(true);
    assert_eq!(trail.commit(request(Event::Denied, 1)).await, Err(TrailError::Timeout));
    let mut context = Context::from_waker(Waker::noop());
    for event in [Event::Intent, Event::Denied, Event::Passed] {
        let polled = pin!(trail.commit(request(event, 2))).poll(&mut context);
        assert_eq!(polled, Poll::Ready(Err(TrailError::Timeout)), "{event:?}");
    }
    let mut outcome = pin!(trail.commit(request(Event::Outcome, 3)));
    assert!(outcome.as_mut().poll(&mut context).is_pending());
    let mut overrun = pin!(trail.commit(request(Event::CapOverrun, 3)));
    assert!(overrun.as_mut().poll(&mut context).is_pending());
    let mut finished = pin!(trail.commit(request(Event::BulkActionFinished, 3)));
    assert!(finished.as_mut().poll(&mut context).is_pending());
    let mut loaded = pin!(trail.commit(Record::new(Event::PolicyLoaded)));
    assert!(loaded.as_mut().poll(&mut context).is_pending());
    watch.shut(false);
    // They were written, in time or not.
    _ = outcome.await;
    _ = overrun.await;
    _ = finished.await;
    _ = loaded.await;
    stop_in_the_end(&trail).await;
    assert_eq!(intact(&folder.verify()), 7);
    assert_eq!(
        events(&folder.file()),
        [
            "started",
            "denied",
            "outcome",
            "cap_overrun",
            "bulk_action_finished",
            "policy_loaded",
            "stopped"
        ]
    );
}

/// Closes a trail whose `write_timeout` may be too short for that.
async fn stop_in_the_end(trail: &Trail) {
    let closed = loop {
        match trail.close(Record::new(Event::Stopped)).await {
            Err(TrailError::Timeout) => {}
            other => break other,
        }
    };
    assert!(matches!(closed, Ok(_) | Err(TrailError::Closed)), "{closed:?}");
}

/// A file system with room for 64 KiB.
pub(crate) struct SmallDisk(pub(crate) Folder);

impl SmallDisk {
    pub(crate) fn mount() -> Self {
        let folder = Folder::new();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(&folder.0)
            .output()
            .expect("mount can be run");
        assert!(
            mounted.status.success(),
            "this test mounts a small tmpfs, which only root (with CAP_SYS_ADMIN) may: run it as root, or leave it out by \
             name; mount says: {}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        SmallDisk(folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        _ = Command::new("umount").arg(&self.0.0).output();
    }
}

#[tokio::test]
async fn a_full_disk_fails_until_there_is_room_again() {
    let disk = SmallDisk::mount();
    let folder = &disk.0;
    let ballast = folder.0.join("ballast");
    fs::write(&ballast, vec![1; 24 * 1024]).expect("written");
    let watch = Arc::new(Watch::default());
    let trail = open_with(&settings(&folder.file()), &watch).expect("opened").trail;
    let mut written = Vec::new();
    let failure = loop {
        let number = written.len() as u128;
        match trail.commit(request(Event::Intent, number)).await {
            Ok(_) => written.push(Uuid::from_u128(number).to_string()),
            Err(failure) => break failure,
        }
        assert!(written.len() < 1000, "the disk is never full");
    };
    assert!(matches!(failure, TrailError::Write(_)), "{failure}");
    assert!(trail.is_failed() && watch.failures.load(Ordering::SeqCst) > 0);
    // An outcome must not be lost, whatever its caller is told.
    assert!(trail.commit(request(Event::Outcome, 0)).await.is_err());
    for number in 0..20 {
        assert!(trail.commit(request(Event::Intent, 10_000 + number)).await.is_err());
    }
    fs::remove_file(&ballast).expect("removed");
    let deadline = Instant::now() + Duration::from_secs(20);
    while let Err(failure) = trail.commit(request(Event::Intent, 20_000)).await {
        assert!(Instant::now() < deadline, "{failure}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    written.push(Uuid::from_u128(20_000).to_string());
    assert!(!trail.is_failed());
    stop(&trail).await;
    let report = folder.verify();
    assert_eq!(
        intact(&report),
        written.len() as u64 + 3,
        "started, the late outcome, stopped: {report}"
    );
    let lines = lines(&folder.file());
    let ids: Vec<&str> = lines
        .iter()
        .filter(|line| line["event"] == "intent")
        .filter_map(|line| line["request_id"].as_str())
        .collect();
    assert_eq!(ids, written, "what was confirmed is there, and what was refused is not");
}

#[tokio::test]
async fn with_allow_a_trail_that_cannot_be_opened_is_tried_again() {
    let folder = Folder::new();
    let path = folder.0.join("missing/audit.jsonl");
    fs::write(folder.0.join("missing"), b"in the way").expect("written");
    assert!(matches!(
        open_with(&settings(&path), &Arc::default()),
        Err(StartFault::Open(_))
    ));
    let allow = Settings {
        on_failure: OnFailure::Allow,
        ..settings(&path)
    };
    let opened = open_with(&allow, &Arc::default()).expect("opened");
    assert!(opened.failure.is_some() && opened.trail.is_failed());
    // What is counted once must not be lost, whatever its caller is told.
    let suppressed = Record::new(Event::DenialsSuppressed);
    assert!(opened.trail.commit(suppressed).await.is_err());
    fs::remove_file(folder.0.join("missing")).expect("removed");
    let deadline = Instant::now() + Duration::from_secs(20);
    while opened.trail.commit(Record::new(Event::Denied)).await.is_err() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop(&opened.trail).await;
    assert_eq!(events(&path), ["started", "denials_suppressed", "denied", "stopped"]);
}

#[tokio::test]
async fn without_a_sink_everything_is_accepted() {
    let settings = Settings {
        sink: Sink::None,
        ..settings(Path::new("unused"))
    };
    let trail = open_with(&settings, &Arc::default()).expect("opened").trail;
    write(&trail, 3).await;
    assert_eq!(trail.close(Record::new(Event::Stopped)).await, Ok((0, "0".repeat(64))));
}

#[tokio::test]
async fn a_record_no_reader_would_take_is_refused_alone() {
    let folder = Folder::new();
    let trail = open(&folder).trail;
    let long = Record {
        detail: Some("x".repeat(5 * 1024 * 1024)),
        ..Record::new(Event::PolicyLoaded)
    };
    assert!(matches!(trail.commit(long).await, Err(TrailError::TooLong(_))));
    assert!(!trail.is_failed());
    write(&trail, 1).await;
    stop(&trail).await;
    assert_eq!(intact(&folder.verify()), 3);
}

#[tokio::test]
async fn buffered_trails_are_written_without_syncs() {
    let folder = Folder::new();
    let watch = Arc::new(Watch::default());
    let settings = Settings {
        durability: Durability::Buffered,
        ..settings(&folder.file())
    };
    let trail = open_with(&settings, &watch).expect("opened").trail;
    write(&trail, 5).await;
    trail.submit(request(Event::Outcome, 1)).expect("queued");
    stop(&trail).await;
    assert_eq!(watch.syncs.load(Ordering::SeqCst), 0);
    assert_eq!(intact(&folder.verify()), 8);
}
