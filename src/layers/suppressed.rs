//! Denials that were answered and counted, but are above the limit of records.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::audit::{Event, Record};

/// How many there were since the last record of them.
#[derive(Debug, Default)]
pub struct Suppressed(AtomicU64);

impl Suppressed {
    /// One more.
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The record of their number, if there were any; counting starts anew.
    pub fn take_record(&self) -> Option<Record> {
        let number = self.0.swap(0, Ordering::Relaxed);
        (number > 0).then(|| Record {
            detail: Some(format!(
                "{number} denials above the limit on records were answered and not recorded"
            )),
            ..Record::new(Event::DenialsSuppressed)
        })
    }
}
