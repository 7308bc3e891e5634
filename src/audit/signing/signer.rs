//! The thread that signs: what it does, the sync of its own file too, keeps no record waiting.
//!
//! A head is signed once it is confirmed, so a checkpoint never speaks of a record that a crash may still take back. Where
//! the durability leaves records to the operating system, the trail is synced first.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use jiff::Timestamp;

use super::checkpoint::Checkpoint;
use super::key::SigningKey;
use super::sidecar::Sidecar;
use crate::audit::chain::Head;
use crate::audit::rotated::Rotations;
use crate::audit::settings::Keep;
use crate::audit::trail::Observe;

/// A checkpoint is written after so many records,
const RECORDS: u64 = 1000;

/// or once the first record that none covers is so old; and at once when a guard starts, rotates, prunes or stops.
const INTERVAL: Duration = Duration::from_mins(1);

/// How long after a failure the same head is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// The writer's handle.
pub(in crate::audit) struct Signer {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// The number of the newest record.
    newest: u64,
    /// The number of the newest record that was handed over.
    handed: u64,
    /// When what was not handed over yet is due.
    deadline: Option<Instant>,
    observe: Arc<dyn Observe>,
}

/// A head to be signed.
struct Job {
    head: Head,
    time: Timestamp,
    /// The trail, where its records may not be on disk yet.
    unsynced: Option<File>,
}

impl Signer {
    pub(in crate::audit) fn start(
        key: SigningKey,
        rotations: Rotations,
        instance: String,
        observe: Arc<dyn Observe>,
    ) -> io::Result<Self> {
        // One that waits is enough: the next head covers all records before it.
        let (jobs, queue) = crossbeam_channel::bounded(1);
        let signing = Signing {
            sidecar: Sidecar::new(rotations.names.checkpoints()),
            key,
            instance,
            rotations,
            oldest: 0,
            observe: Arc::clone(&observe),
        };
        let thread = thread::Builder::new()
            .name("audit-signer".to_owned())
            .spawn(move || signing.run(&queue))?;
        Ok(Signer {
            jobs: Some(jobs),
            thread: Some(thread),
            newest: 0,
            handed: 0,
            deadline: None,
            observe,
        })
    }

    /// Records up to this one are confirmed.
    pub(in crate::audit) fn confirmed(&mut self, head: Head) {
        self.newest = head.seq;
        if self.deadline.is_none() {
            self.deadline = Some(Instant::now() + INTERVAL);
        }
    }

    /// Whether so many records came since that the next checkpoint is due.
    pub(in crate::audit) fn is_due(&self) -> bool {
        self.newest > self.handed && (self.handed == 0 || self.newest - self.handed >= RECORDS)
    }

    /// When the next checkpoint is due, however few records came since.
    pub(in crate::audit) fn due(&self) -> Receiver<Instant> {
        self.deadline
            .map_or_else(crossbeam_channel::never, crossbeam_channel::at)
    }

    /// Hands a head over. Does not wait: where the thread is still busy, the next head is signed in its place.
    pub(in crate::audit) fn sign(&mut self, head: Head, unsynced: io::Result<Option<File>>) {
        let Some(jobs) = &self.jobs else { return };
        let job = unsynced.map(|unsynced| Job {
            head,
            time: Timestamp::now(),
            unsynced,
        });
        let handed = match job {
            Ok(job) => jobs.try_send(job).is_ok(),
            Err(error) => {
                failed(&error, self.observe.as_ref());
                false
            }
        };
        if handed {
            self.handed = head.seq;
        }
        self.deadline = (!handed).then(|| Instant::now() + RETRY);
    }

    /// Waits until the last head is signed and kept, or has failed to be.
    pub(in crate::audit) fn finish(&mut self, head: Head, unsynced: io::Result<Option<File>>) {
        if let (Some(jobs), Ok(unsynced)) = (self.jobs.take(), unsynced) {
            // It fails where the thread has panicked, which the join below tells.
            _ = jobs.send(Job {
                head,
                time: Timestamp::now(),
                unsynced,
            });
        }
        self.deadline = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that signs checkpoints ended by a panic");
        }
    }
}

struct Signing {
    key: SigningKey,
    sidecar: Sidecar,
    instance: String,
    rotations: Rotations,
    /// The first record that is kept, as far as checkpoints were forgotten.
    oldest: u64,
    observe: Arc<dyn Observe>,
}

impl Signing {
    fn run(mut self, queue: &Receiver<Job>) {
        let mut again: Option<Job> = None;
        loop {
            let job = match &again {
                None => queue.recv().ok(),
                Some(_) => match queue.recv_timeout(RETRY) {
                    Ok(newer) => Some(newer),
                    Err(RecvTimeoutError::Timeout) => again.take(),
                    Err(RecvTimeoutError::Disconnected) => None,
                },
            };
            let Some(job) = job else { return };
            again = None;
            if let Err(error) = self.keep(&job) {
                failed(&error, self.observe.as_ref());
                again = Some(job);
            } else if let Err(error) = self.forget() {
                tracing::warn!(%error, "checkpoints of removed records stay");
            }
        }
    }

    fn keep(&mut self, job: &Job) -> io::Result<()> {
        if let Some(trail) = &job.unsynced {
            trail.sync_data()?;
        }
        let checkpoint = Checkpoint::sign(&self.key, job.head, job.time, &self.instance);
        self.sidecar.append(&checkpoint.line())
    }

    /// Where old files are removed, so are their checkpoints: the disk that a trail takes stays bounded.
    fn forget(&mut self) -> io::Result<()> {
        if self.rotations.keep == Keep::All {
            return Ok(());
        }
        if let Some(first) = self.rotations.all()?.first()
            && first.first_seq > self.oldest
        {
            self.sidecar.forget_before(first.first_seq)?;
            self.oldest = first.first_seq;
        }
        Ok(())
    }
}

fn failed(error: &io::Error, observe: &dyn Observe) {
    tracing::warn!(%error, "a checkpoint of the audit trail is not written; it is tried again");
    observe.checkpoint_failed();
}
