//! Folders, guards and records for these tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use qstash_guard::audit::chain::LineHash;
use qstash_guard::audit::read::{self, Report};
use qstash_guard::audit::{
    Durability, Event, Keep, Observe, OnFailure, Opened, Record, Recorded, Settings, Sink, StartFault, Trail,
};
use uuid::Uuid;

/// A folder that goes with its owner.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("qstash-guard-trail-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    /// What a crash at this moment would leave.
    pub(crate) fn image(&self) -> Self {
        let copy = Folder::new();
        for entry in fs::read_dir(&self.0).expect("a folder") {
            let entry = entry.expect("an entry");
            fs::copy(entry.path(), copy.0.join(entry.file_name())).expect("copied");
        }
        copy
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("audit.jsonl")
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("a folder");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn torn(&self) -> Vec<u8> {
        let names = self.names();
        let torn: Vec<&String> = names.iter().filter(|name| name.contains(".torn-")).collect();
        assert_eq!(torn.len(), 1, "{names:?}");
        fs::read(self.0.join(torn[0])).expect("read")
    }

    pub(crate) fn verify(&self) -> Report {
        self.verify_with(None)
    }

    pub(crate) fn verify_with(&self, head: Option<LineHash>) -> Report {
        read::verify(&read::inputs(std::slice::from_ref(&self.0)).expect("files"), head).expect("a report")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

/// Counts, and holds the writer after its sync for as long as the gate is shut.
#[derive(Default)]
pub(crate) struct Watch {
    pub(crate) records: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) compress_failures: AtomicU64,
    pub(crate) checkpoint_failures: AtomicU64,
    pub(crate) seq: AtomicU64,
    shut: Mutex<bool>,
    opened: Condvar,
}

impl Watch {
    pub(crate) fn shut(&self, shut: bool) {
        *self.shut.lock().expect("a lock") = shut;
        self.opened.notify_all();
    }
}

impl Observe for Watch {
    fn record(&self, _event: Event) {
        self.records.fetch_add(1, Ordering::SeqCst);
    }
    fn synced(&self, _took: Duration) {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        let shut = self.shut.lock().expect("a lock");
        drop(self.opened.wait_while(shut, |shut| *shut).expect("a lock"));
    }
    fn failed(&self) {
        self.failures.fetch_add(1, Ordering::SeqCst);
    }
    fn compress_failed(&self) {
        self.compress_failures.fetch_add(1, Ordering::SeqCst);
    }
    fn checkpoint_failed(&self) {
        self.checkpoint_failures.fetch_add(1, Ordering::SeqCst);
    }
    fn head(&self, seq: u64) {
        self.seq.store(seq, Ordering::SeqCst);
    }
}

pub(crate) fn settings(path: &Path) -> Settings {
    Settings {
        sink: Sink::File(path.to_owned()),
        durability: Durability::Sync,
        write_timeout: Duration::from_secs(30),
        on_failure: OnFailure::Deny,
        record: Recorded::Guarded,
        max_size: 64 * 1024 * 1024,
        keep: Keep::All,
        compress: false,
        signing_key: None,
        follow_bulk_actions: true,
    }
}

pub(crate) fn open_with(settings: &Settings, watch: &Arc<Watch>) -> Result<Opened, StartFault> {
    let started = Record {
        detail: Some("version 0".to_owned()),
        ..Record::new(Event::Started)
    };
    Trail::open(
        settings,
        "guard-0".to_owned(),
        started,
        Arc::clone(watch) as Arc<dyn Observe>,
    )
}

pub(crate) fn open(folder: &Folder) -> Opened {
    open_with(&settings(&folder.file()), &Arc::default()).expect("opened")
}

pub(crate) fn request(event: Event, number: u128) -> Record {
    Record {
        request_id: Some(Uuid::from_u128(number)),
        caller: Some("billing".to_owned()),
        ..Record::new(event)
    }
}

pub(crate) async fn write(trail: &Trail, count: u128) {
    for number in 0..count {
        trail.commit(request(Event::Denied, number)).await.expect("committed");
    }
}

pub(crate) async fn stop(trail: &Trail) -> LineHash {
    let (_, hash) = trail.close(Record::new(Event::Stopped)).await.expect("closed");
    LineHash::parse(&hash).expect("a hash")
}

pub(crate) fn intact(report: &Report) -> u64 {
    assert_eq!(report.exit_code(), 0, "{report}");
    report.chains[0].records
}

pub(crate) fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).expect("read");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

pub(crate) fn events(path: &Path) -> Vec<String> {
    lines(path)
        .iter()
        .map(|line| line["event"].as_str().expect("an event").to_owned())
        .collect()
}

/// Waits for what another thread does.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} never came");
        // Only so that asking does not take the core from who is waited for.
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
