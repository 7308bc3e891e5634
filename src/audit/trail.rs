//! The handle of the trail.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError};
use tokio::sync::oneshot;

use super::chain::Head;
use super::event::Event;
use super::file::{OpenError, SetAside, TrailFile};
use super::keeper::Keeper;
use super::record::Record;
use super::settings::{OnFailure, Settings, Sink};
use super::signing::{KeyFault, Signer, SigningKey};
use super::writer::{Control, Entry, Output, StartError, Writer};

/// How many records may wait for the disk. One that finds no place has failed at once.
const QUEUE: usize = 4096;

/// What a trail tells of itself while it is written, for metrics. Called on the writer's thread: it must not block.
pub trait Observe: Send + Sync {
    /// A record is in the trail.
    fn record(&self, event: Event) {
        _ = event;
    }
    /// One fdatasync returned after `took`.
    fn synced(&self, took: Duration) {
        _ = took;
    }
    /// A write, sync or rotation failed, or a waiter gave up.
    fn failed(&self) {}
    /// A rotated file could not be compressed; it is there as it was.
    fn compress_failed(&self) {}
    /// A head of the chain could not be signed, or its signature not be kept. The next one covers the same records.
    fn checkpoint_failed(&self) {}
    /// The number of the newest record.
    fn head(&self, seq: u64) {
        _ = seq;
    }
}

/// Observes nothing.
impl Observe for () {}

/// The proof that a record is in the trail, as durably as `audit.durability` asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its number; 0 where no trail is kept.
    pub seq: u64,
}

/// Why a record is not in the trail, or is not known to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrailError {
    /// The disk did not take it within `audit.write_timeout`.
    #[error("the audit trail was not written within audit.write_timeout")]
    Timeout,
    /// Too many records wait for the disk.
    #[error("{QUEUE} records already wait to be written to the audit trail")]
    Full,
    /// Writing failed, or failed a moment ago.
    #[error("the audit trail cannot be written: {0}")]
    Write(String),
    /// The record's line would have this many bytes, more than any reader takes.
    #[error("a record of {0} bytes is too long for the audit trail")]
    TooLong(usize),
    /// The trail is closed.
    #[error("the audit trail is closed")]
    Closed,
}

/// Why a guard cannot start with its trail.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// The file cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The key that heads of the chain are signed with cannot be used.
    #[error("audit.signing_key_file {0}")]
    Key(#[from] KeyFault),
    /// The first record cannot be written.
    #[error(transparent)]
    Write(#[from] TrailError),
    /// The writer's thread cannot be started.
    #[error("the audit trail's thread cannot be started: {0}")]
    Thread(std::io::Error),
}

/// A trail that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The handle.
    pub trail: Trail,
    /// What a crash had left behind the last good line.
    pub set_aside: Option<SetAside>,
    /// Why it cannot be written yet, with `audit.on_failure: allow`; it is tried again with every record.
    pub failure: Option<StartFault>,
}

/// What the handle and the writer share.
pub(super) struct Shared {
    pub(super) observe: Arc<dyn Observe>,
    /// The last attempt to write failed.
    pub(super) failed: AtomicBool,
    /// Someone gave up waiting, and the writer has not come back since.
    pub(super) stalled: AtomicBool,
    head: Mutex<Head>,
}

impl Shared {
    pub(super) fn set_head(&self, head: Head) {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner) = head;
    }
}

/// A cheap handle of the trail, for any thread and runtime. Once all are dropped, the writer ends without a `stopped`.
#[derive(Clone)]
pub struct Trail {
    shared: Arc<Shared>,
    /// `None` where no trail is kept.
    writer: Option<Channels>,
    write_timeout: Duration,
}

#[derive(Clone)]
struct Channels {
    records: Sender<Entry>,
    control: Sender<Control>,
}

impl Trail {
    /// Opens the trail: creates folder and file, locks and repairs it, and writes `started`, to whose detail is added
    /// what was found. Blocks until that is on disk.
    ///
    /// # Errors
    /// The file cannot be opened, or is locked by another guard; or `started` cannot be written, and
    /// `audit.on_failure` is `deny`.
    pub fn open(
        settings: &Settings,
        instance: String,
        mut started: Record,
        observe: Arc<dyn Observe>,
    ) -> Result<Opened, StartFault> {
        let key = match (&settings.sink, &settings.signing_key) {
            (Sink::File(_), Some(path)) => Some(SigningKey::read(path)?),
            _ => None,
        };
        if let Some(key) = &key {
            key.introduce(started.detail.get_or_insert_default());
            if let Some(exposed) = key.exposed() {
                tracing::warn!("audit.signing_key_file {exposed}");
            }
        }
        let shared = Arc::new(Shared {
            observe,
            failed: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            head: Mutex::new(Head::GENESIS),
        });
        let mut trail = Trail {
            shared: Arc::clone(&shared),
            writer: None,
            write_timeout: settings.write_timeout,
        };
        let (records, record_queue) = crossbeam_channel::bounded(QUEUE);
        let (control, control_queue) = crossbeam_channel::unbounded();
        let (mut keeper, mut signer) = (None, None);
        let output = match &settings.sink {
            Sink::None => {
                return Ok(Opened {
                    trail,
                    set_aside: None,
                    failure: None,
                });
            }
            Sink::Stdout => Output::Stdout,
            Sink::File(path) => {
                let file = TrailFile::new(path, settings);
                let (rotations, observe) = (file.rotations(), &shared.observe);
                let start = Keeper::start(
                    rotations.clone(),
                    settings.compress,
                    control.clone(),
                    Arc::clone(observe),
                );
                keeper = Some(start.map_err(StartFault::Thread)?);
                let start = key.map(|key| Signer::start(key, rotations.clone(), instance.clone(), Arc::clone(observe)));
                signer = start.transpose().map_err(StartFault::Thread)?;
                Output::Unopened(file)
            }
        };
        let mut writer = Writer::new(output, instance, settings.on_failure, shared, started);
        (writer.keeper, writer.signer) = (keeper, signer);
        let (set_aside, failure) = match writer.start() {
            Ok(recovered) => (recovered.and_then(|recovered| recovered.set_aside), None),
            Err(StartError::Open(e @ OpenError::Locked(_))) => return Err(e.into()),
            Err(StartError::Open(e)) => (None, Some(StartFault::Open(e))),
            Err(StartError::Write(e)) => (None, Some(StartFault::Write(e))),
        };
        let failure = match (failure, settings.on_failure) {
            (Some(fault), OnFailure::Deny) => return Err(fault),
            (failure, _) => failure,
        };
        thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer.run(&record_queue, &control_queue))
            .map_err(StartFault::Thread)?;
        trail.writer = Some(Channels { records, control });
        Ok(Opened {
            trail,
            set_aside,
            failure,
        })
    }

    /// Writes a record and waits until it is in the trail, at most `audit.write_timeout`.
    ///
    /// With `audit.on_failure: deny`, an `intent` that comes through after its waiter gave up is followed by an `outcome`
    /// with result `unsent`: the caller refuses its request on every error, and has nothing to record. With `allow` such
    /// an intent stands as it is: the request goes on, and the caller records its outcome. An `outcome`, `cap_overrun`,
    /// `bulk_action_finished`, `denials_suppressed`, `policy_loaded` and `policy_rejected` are kept after an error and written as soon as the
    /// trail can be; they must not be committed again. Needs a runtime with a timer; must be awaited to its end, in a
    /// task of its own if the client may leave.
    ///
    /// # Errors
    /// The record is not in the trail, or not in time.
    pub async fn commit(&self, record: Record) -> Result<Committed, TrailError> {
        let Some(writer) = &self.writer else {
            return Ok(Committed { seq: 0 });
        };
        if !record.is_owed() && self.shared.stalled.load(Ordering::SeqCst) {
            // The writer hangs in the disk: every further request would wait in vain, and what must not be lost needs
            // the places in the queue.
            return Err(TrailError::Timeout);
        }
        let (reply, result) = oneshot::channel();
        self.send(
            writer,
            Entry {
                record: Box::new(record),
                reply: Some(reply),
            },
        )?;
        self.result(result).await
    }

    /// Queues a record and does not wait for it.
    ///
    /// # Errors
    /// There is no place in the queue, or the trail is closed.
    pub fn submit(&self, record: Record) -> Result<(), TrailError> {
        match &self.writer {
            Some(writer) => self.send(
                writer,
                Entry {
                    record: Box::new(record),
                    reply: None,
                },
            ),
            None => Ok(()),
        }
    }

    /// Opens the file again where it was moved away (by logrotate, say); the chain goes on in the new one.
    ///
    /// # Errors
    /// The new file cannot be written; the trail has then failed and is tried again with the next record.
    pub async fn reopen(&self) -> Result<(), TrailError> {
        self.ask(Control::Reopen).await.map(drop)
    }

    /// Writes what is queued and the `stopped` record, closes the file, and returns the head of the chain.
    ///
    /// # Errors
    /// The record could not be written in time. Records that follow fail.
    pub async fn close(&self, stopped: Record) -> Result<(u64, String), TrailError> {
        self.ask(|reply| Control::Close(Box::new(stopped), reply)).await?;
        Ok(self.head())
    }

    /// The number and the hash of the newest record.
    pub fn head(&self) -> (u64, String) {
        let head = *self.shared.head.lock().unwrap_or_else(PoisonError::into_inner);
        (head.seq, head.hash.to_string())
    }

    /// Whether the trail could not be written when last tried, or hangs. Cheap.
    pub fn is_failed(&self) -> bool {
        self.shared.failed.load(Ordering::SeqCst) || self.shared.stalled.load(Ordering::SeqCst)
    }

    fn send(&self, writer: &Channels, entry: Entry) -> Result<(), TrailError> {
        writer.records.try_send(entry).map_err(|error| {
            self.shared.observe.failed();
            match error {
                TrySendError::Full(_) => TrailError::Full,
                TrySendError::Disconnected(_) => TrailError::Closed,
            }
        })
    }

    async fn ask(
        &self,
        control: impl FnOnce(oneshot::Sender<Result<Committed, TrailError>>) -> Control,
    ) -> Result<Committed, TrailError> {
        let Some(writer) = &self.writer else {
            return Ok(Committed { seq: 0 });
        };
        let (reply, result) = oneshot::channel();
        writer.control.send(control(reply)).map_err(|_| TrailError::Closed)?;
        self.result(result).await
    }

    async fn result(
        &self,
        mut result: oneshot::Receiver<Result<Committed, TrailError>>,
    ) -> Result<Committed, TrailError> {
        if let Ok(answer) = tokio::time::timeout(self.write_timeout, &mut result).await {
            return answer.unwrap_or(Err(TrailError::Closed));
        }
        self.shared.stalled.store(true, Ordering::SeqCst);
        // From here the writer's answer can only fail, and it then knows that nobody waits. One that came in the very
        // last moment still counts: the record is in the trail.
        result.close();
        if let Ok(answer) = result.try_recv() {
            self.shared.stalled.store(false, Ordering::SeqCst);
            return answer;
        }
        self.shared.observe.failed();
        Err(TrailError::Timeout)
    }
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trail")
            .field("head", &self.head())
            .field("failed", &self.is_failed())
            .finish_non_exhaustive()
    }
}
