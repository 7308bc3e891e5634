//! The one thread that writes the trail.
//!
//! It drains what is queued into one buffer, one write and one fdatasync, then wakes all who wait. A batch that fails is
//! not in the chain: its waiters are told, and what it left behind the last confirmed line is set aside before the
//! next write. The next record after a failure is the next attempt, at most one a second after a failed attempt.

mod control;
mod rotate;

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, select};
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::chain::Head;
use super::event::Event;
use super::file::{OpenError, Recovered, TrailFile};
use super::keeper::Keeper;
use super::record::Record;
use super::settings::OnFailure;
use super::signing::Signer;
use super::tail::MAX_LINE;
use super::trail::{Committed, Shared, TrailError};
pub(super) use control::Control;

/// How long after a failed attempt the next one is made at the earliest.
const RETRY: Duration = Duration::from_secs(1);

/// How many records that must not be lost are kept while the trail cannot be written.
const MAX_OWED: usize = 4096;

/// A batch is written once its lines are this long, bytes.
const MAX_BATCH: usize = 1024 * 1024;

pub(super) type Reply = oneshot::Sender<Result<Committed, TrailError>>;

/// A record on its way to the disk.
pub(super) struct Entry {
    pub(super) record: Box<Record>,
    /// Who waits; a caller that has given up has closed it.
    pub(super) reply: Option<Reply>,
}

/// Where lines go.
pub(super) enum Output {
    Stdout,
    /// Not opened yet: the trail's head is unknown.
    Unopened(TrailFile),
    File(TrailFile),
}

pub(super) struct Writer {
    pub(super) output: Output,
    pub(super) instance: String,
    /// What a waiter that gave up has done with its request.
    on_failure: OnFailure,
    pub(super) shared: Arc<Shared>,
    /// The last confirmed line.
    head: Head,
    /// The last line in the buffer.
    staged_head: Head,
    buffer: Vec<u8>,
    staged: Vec<Entry>,
    /// Records that nobody waits for and that must not be lost: they come first, as soon as the trail can be written.
    owed: VecDeque<Record>,
    /// Why the trail cannot be written, and since which attempt.
    failure: Option<(TrailError, Instant)>,
    /// The first failed attempt is repeated at once, later ones after [`RETRY`].
    retried: bool,
    /// Who looks after rotated files; with a file alone.
    pub(super) keeper: Option<Keeper>,
    /// Who signs heads of the chain, where that was asked for.
    pub(super) signer: Option<Signer>,
}

impl Writer {
    pub(super) fn new(
        output: Output,
        instance: String,
        on_failure: OnFailure,
        shared: Arc<Shared>,
        started: Record,
    ) -> Self {
        Writer {
            output,
            instance,
            on_failure,
            shared,
            head: Head::GENESIS,
            staged_head: Head::GENESIS,
            buffer: Vec::new(),
            staged: Vec::new(),
            owed: VecDeque::from([started]),
            failure: None,
            retried: false,
            keeper: None,
            signer: None,
        }
    }

    /// Opens the output and writes `started`.
    pub(super) fn start(&mut self) -> Result<Option<Recovered>, StartError> {
        let recovered = match self.open() {
            Ok(recovered) => recovered,
            Err(e) => {
                self.fail(TrailError::Write(e.to_string()));
                return Err(StartError::Open(e));
            }
        };
        self.write(VecDeque::new());
        match &self.failure {
            None => Ok(recovered),
            Some((error, _)) => Err(StartError::Write(error.clone())),
        }
    }

    pub(super) fn run(mut self, records: &Receiver<Entry>, asked: &Receiver<Control>) {
        loop {
            let due = self.signer.as_ref().map_or_else(crossbeam_channel::never, Signer::due);
            select! {
                recv(due) -> _ => self.checkpoint(false),
                recv(records) -> entry => match entry {
                    Ok(entry) => self.write(std::iter::once(entry).chain(records.try_iter()).collect()),
                    Err(_) => return,
                },
                recv(asked) -> control => match control {
                    Ok(Control::Write(entry)) => {
                        let is_pruned = entry.record.event == Event::Pruned;
                        self.write(VecDeque::from([entry]));
                        // Only a signed one accounts for files that are gone.
                        if is_pruned && self.failure.is_none() {
                            self.checkpoint(false);
                        }
                    }
                    Ok(Control::Reopen(reply)) => {
                        _ = reply.send(self.reopen());
                        self.shared.stalled.store(false, Ordering::SeqCst);
                    }
                    Ok(Control::Close(record, reply)) => {
                        self.write(records.try_iter().collect());
                        self.close(record, reply);
                        return control::refuse_all(records, asked);
                    }
                    Err(_) => return,
                },
            }
        }
    }

    /// Writes a batch and answers each who waits.
    pub(super) fn write(&mut self, mut batch: VecDeque<Entry>) {
        if self.on_failure == OnFailure::Deny {
            // An intent whose waiter gave up while it was queued: its request was refused, and nothing is written.
            let given_up = |entry: &Entry| entry.reply.as_ref().is_some_and(Reply::is_closed);
            batch.retain(|entry| entry.record.event != Event::Intent || !given_up(entry));
        }
        if let Err(error) = self.ready() {
            for entry in batch {
                self.refuse(entry, &error, false);
            }
            self.shared.stalled.store(false, Ordering::SeqCst);
            return;
        }
        loop {
            self.stage_owed();
            let Some(entry) = batch.pop_front() else { break };
            self.stage(entry);
        }
        self.flush();
        // A flush may show that a waiter had given up, and so leave an outcome to be written.
        while self.failure.is_none() && !self.owed.is_empty() {
            self.stage_owed();
            self.flush();
        }
        self.shared.stalled.store(false, Ordering::SeqCst);
        if self.signer.as_ref().is_some_and(Signer::is_due) {
            self.checkpoint(false);
        }
    }

    /// Appends what is owed, for as long as nothing fails.
    fn stage_owed(&mut self) {
        while self.failure.is_none()
            && let Some(record) = self.owed.pop_front()
        {
            self.stage(Entry {
                record: Box::new(record),
                reply: None,
            });
        }
    }

    /// Appends a record to the buffer, after what has to come before it.
    fn stage(&mut self, entry: Entry) {
        if let Some((error, _)) = &self.failure {
            let error = error.clone();
            self.refuse(entry, &error, false);
            return;
        }
        let mut line = self.line(&entry.record);
        if line.len() > MAX_LINE {
            if let Some(reply) = entry.reply {
                _ = reply.send(Err(TrailError::TooLong(line.len())));
            }
            return;
        }
        let full = match &self.output {
            Output::File(file) => file.is_full(self.buffer.len(), line.len() + 1),
            _ => false,
        };
        if full {
            self.rotate();
            if self.failure.is_some() {
                self.stage(entry);
                return;
            }
            line = self.line(&entry.record);
        }
        self.push(line, entry);
        if self.buffer.len() >= MAX_BATCH {
            self.flush();
        }
    }

    fn line(&self, record: &Record) -> Vec<u8> {
        record.line(&self.staged_head, Timestamp::now(), &self.instance)
    }

    fn push(&mut self, mut line: Vec<u8>, entry: Entry) {
        self.staged_head = self.staged_head.followed_by(&line);
        line.push(b'\n');
        self.buffer.append(&mut line);
        self.staged.push(entry);
    }

    /// Writes the buffer, waits for the disk, and answers.
    fn flush(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let written = match &mut self.output {
            Output::Stdout => {
                let mut out = std::io::stdout().lock();
                out.write_all(&self.buffer).and_then(|()| out.flush()).map(|()| None)
            }
            Output::File(file) | Output::Unopened(file) => file.append(&self.buffer),
        };
        self.buffer.clear();
        match written {
            Ok(took) => self.confirmed(took),
            Err(e) => self.fail(TrailError::Write(e.to_string())),
        }
    }

    fn confirmed(&mut self, took: Option<Duration>) {
        let observe = &self.shared.observe;
        let first = self.head.seq + 1;
        self.head = self.staged_head;
        self.retried = false;
        self.shared.set_head(self.head);
        self.shared.failed.store(false, Ordering::SeqCst);
        if let Some(signer) = &mut self.signer {
            signer.confirmed(self.head);
        }
        if let Some(took) = took {
            observe.synced(took);
        }
        observe.head(self.head.seq);
        for (seq, entry) in (first..).zip(self.staged.drain(..)) {
            observe.record(entry.record.event);
            let Some(reply) = entry.reply else { continue };
            // The sending fails exactly where the waiter has given up. With `deny` it refused the request; with `allow`
            // the request went on, and its own outcome follows.
            let late = reply.send(Ok(Committed { seq })).is_err();
            if late && entry.record.event == Event::Intent && self.on_failure == OnFailure::Deny {
                self.owed.push_back(entry.record.unsent());
            }
        }
    }

    fn fail(&mut self, error: TrailError) {
        self.staged_head = self.head;
        self.buffer.clear();
        self.shared.failed.store(true, Ordering::SeqCst);
        self.shared.observe.failed();
        // In reverse, so that what is owed again stands in its old order, before what was owed later.
        for entry in std::mem::take(&mut self.staged).into_iter().rev() {
            self.refuse(entry, &error, true);
        }
        self.failure = Some((error, Instant::now()));
    }

    /// Answers with an error; a record that must not be lost is owed from now on.
    fn refuse(&mut self, entry: Entry, error: &TrailError, first: bool) {
        if let Some(reply) = entry.reply {
            // Who does not wait any more needs no answer.
            _ = reply.send(Err(error.clone()));
        }
        if !entry.record.is_owed() || self.owed.len() >= MAX_OWED {
            return;
        }
        match self.owed.front() {
            // The first line of a file that is yet to be begun stays the first.
            Some(front) if first && front.event == Event::Rotated => self.owed.insert(1, *entry.record),
            _ if first => self.owed.push_front(*entry.record),
            _ => self.owed.push_back(*entry.record),
        }
    }

    /// Makes the output writable again after a failure.
    fn ready(&mut self) -> Result<(), TrailError> {
        let Some((error, at)) = &self.failure else {
            return Ok(());
        };
        if self.retried && at.elapsed() < RETRY {
            return Err(error.clone());
        }
        self.retried = true;
        self.open().map(drop).map_err(|e| {
            let error = TrailError::Write(e.to_string());
            self.fail(error.clone());
            error
        })
    }

    fn open(&mut self) -> Result<Option<Recovered>, OpenError> {
        let now = Timestamp::now();
        let recovered = match &mut self.output {
            Output::Stdout => None,
            Output::File(file) => {
                file.reopen_after_failure(&self.head, now)?;
                None
            }
            Output::Unopened(file) => Some(file.open(now)?),
        };
        if let Some(recovered) = &recovered {
            self.head = recovered.head;
            self.staged_head = recovered.head;
            if let Some(started) = self.owed.front_mut() {
                let detail = started.detail.get_or_insert_default();
                if !detail.is_empty() {
                    detail.push_str("; ");
                }
                detail.push_str(&recovered.describe());
            }
            self.output = match std::mem::replace(&mut self.output, Output::Stdout) {
                Output::Unopened(file) => Output::File(file),
                other => other,
            };
        }
        self.failure = None;
        if recovered.is_some()
            && let Some(keeper) = &self.keeper
        {
            keeper.wake();
        }
        Ok(recovered)
    }

    fn close(&mut self, record: Box<Record>, reply: Reply) {
        let (sender, mut receiver) = oneshot::channel();
        self.retried = false;
        self.write(VecDeque::from([Entry {
            record,
            reply: Some(sender),
        }]));
        let mut result = receiver.try_recv().unwrap_or(Err(TrailError::Closed));
        if result.is_ok() {
            self.checkpoint(true);
        }
        if let Output::File(file) = &mut self.output
            && let Err(e) = file.close()
        {
            result = Err(TrailError::Write(e.to_string()));
        }
        _ = reply.send(result);
    }
}

/// Why a trail could not be started.
pub(super) enum StartError {
    Open(OpenError),
    Write(TrailError),
}
