//! A record that is written whatever happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::audit::{Record, Trail};

/// A record about something that is under way. Whoever sees the end takes it and completes it; dropped before, it is
/// written as it stands.
pub(super) struct Owed {
    /// The record; none where nothing is recorded.
    pub(super) record: Option<Record>,
    /// What it says of itself when nobody saw the end.
    pub(super) otherwise: &'static str,
    /// How many messages went so far, where that becomes known step by step.
    pub(super) gone: Option<Arc<AtomicU64>>,
    /// Since when it is under way.
    pub(super) since: Instant,
    /// Where it goes.
    pub(super) trail: Trail,
}

impl Drop for Owed {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.error = Some(self.otherwise.to_owned());
            let gone = self.gone.as_ref().map(|gone| gone.load(Ordering::SeqCst));
            record.cancelled = gone.filter(|gone| *gone > 0);
            record.duration_ms = Some(Record::millis(self.since.elapsed()));
            if let Err(error) = self.trail.submit(record) {
                tracing::error!(%error, "a request whose end nobody saw could not be recorded");
            }
        }
    }
}
