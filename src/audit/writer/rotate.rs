//! From one file to the next.

use jiff::Timestamp;

use super::{Entry, Output, Writer};
use crate::audit::event::Event;
use crate::audit::keeper::pruned;
use crate::audit::record::Record;
use crate::audit::rotated::{Rotated, file_name};
use crate::audit::trail::{Committed, TrailError};

impl Writer {
    /// Moves the full file away and begins the next one with `rotated`, then prunes.
    pub(super) fn rotate(&mut self) {
        self.flush();
        if self.failure.is_some() {
            return;
        }
        match self.follow_moved() {
            Ok(false) => {}
            // A tool was faster: the file that would be moved away is gone already, and the next one is begun.
            Ok(true) => return,
            Err(error) => return self.fail(error),
        }
        let Output::File(file) = &mut self.output else { return };
        let (head, now) = (self.head, Timestamp::now());
        let moved = match file.move_away(now) {
            Ok(moved) => moved,
            Err(e) => return self.fail(TrailError::Write(format!("rotating the audit file: {e}"))),
        };
        let detail = format!(
            "follows {} (up to record {}, head {})",
            file_name(&moved),
            head.seq,
            head.hash
        );
        let rotated = Record {
            detail: Some(detail),
            ..Record::new(Event::Rotated)
        };
        if let Err(e) = file.begin_next(&head) {
            // The line is still owed: whenever the new file can be begun, it comes first.
            self.owed.push_front(rotated);
            return self.fail(TrailError::Write(e.to_string()));
        }
        self.begin(rotated);
    }

    /// Writes the first line of a new file, then prunes.
    fn begin(&mut self, rotated: Record) {
        let line = self.line(&rotated);
        self.push(
            line,
            Entry {
                record: Box::new(rotated),
                reply: None,
            },
        );
        self.flush();
        if self.failure.is_none() {
            self.prune();
        }
        if let Output::File(file) = &mut self.output {
            file.begun();
        }
        if self.failure.is_some() {
            return;
        }
        if let Some(keeper) = &self.keeper {
            keeper.wake();
        }
        self.checkpoint(false);
    }

    /// Has the newest record signed, where heads are signed; `last` waits until that is done.
    pub(super) fn checkpoint(&mut self, last: bool) {
        let Output::File(file) = &self.output else { return };
        let Some(signer) = &mut self.signer else { return };
        if last {
            signer.finish(self.head, file.unsynced());
        } else {
            signer.sign(self.head, file.unsynced());
        }
    }

    /// Records which files go, then removes them: a crash in between leaves too many files, never an unexplained gap.
    fn prune(&mut self) {
        let Output::File(file) = &mut self.output else { return };
        let described = file.rotations().surplus().and_then(|surplus| {
            if surplus.is_empty() || self.keeper.as_ref().is_some_and(|keeper| keeper.prunes(&surplus)) {
                return Ok((Vec::new(), Vec::new()));
            }
            let files = surplus.iter().map(Rotated::describe).collect::<Result<_, _>>()?;
            Ok((surplus, files))
        });
        let (surplus, files) = match described {
            Ok((surplus, _)) if surplus.is_empty() => return,
            Ok(described) => described,
            Err(error) => {
                tracing::warn!(%error, "old files of the audit trail cannot be looked through; they stay");
                return self.shared.observe.failed();
            }
        };
        let pruned = pruned(&files);
        let line = self.line(&pruned);
        self.push(
            line,
            Entry {
                record: Box::new(pruned),
                reply: None,
            },
        );
        self.flush();
        if self.failure.is_some() {
            return;
        }
        if let Output::File(file) = &mut self.output
            && let Err(error) = file.rotations().remove(&surplus)
        {
            // They go with the next rotation, and are named again.
            tracing::warn!(%error, "old files of the audit trail cannot be removed; the next rotation tries again");
            self.shared.observe.failed();
        }
    }

    /// Goes on in a new file where the old one was moved away.
    pub(super) fn reopen(&mut self) -> Result<Committed, TrailError> {
        self.ready()?;
        if let Err(error) = self.follow_moved() {
            self.fail(error.clone());
            return Err(error);
        }
        match &self.failure {
            None => Ok(Committed { seq: self.head.seq }),
            Some((error, _)) => Err(error.clone()),
        }
    }

    /// Begins the next file where the path does not lead to the open one any more; whether that was so.
    fn follow_moved(&mut self) -> Result<bool, TrailError> {
        let head = self.head;
        let Output::File(file) = &mut self.output else {
            return Ok(false);
        };
        let moved = file
            .reopen_if_moved(&head)
            .map_err(|e| TrailError::Write(e.to_string()))?;
        if moved {
            let detail = format!(
                "follows a file that was moved away (up to record {}, head {})",
                head.seq, head.hash
            );
            self.begin(Record {
                detail: Some(detail),
                ..Record::new(Event::Rotated)
            });
        }
        Ok(moved)
    }
}
