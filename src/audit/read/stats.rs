//! Sums over a trail: by caller, code and day.
//!
//! A trail is read once, as a stream. What is kept is one row of numbers for each caller, code and day; of each at most
//! [`MOST_ROWS`], since callers are as many as tokens were tried. What comes beyond is summed in one row of its own.

use std::collections::BTreeMap;
use std::io::Write;

use jiff::{Timestamp, tz::TimeZone};
use serde::{Serialize, Serializer};

use super::entry::Entry;
use super::files::Inputs;
use super::records::Records;
use super::show::ShowError;

/// How many callers, codes and days each have a row of their own.
pub const MOST_ROWS: usize = 10_000;

/// What a trail sums up to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// How many records were read.
    pub records: u64,
    /// The time of the oldest one, as it stands there.
    pub first: Option<String>,
    /// The time of the newest one.
    pub last: Option<String>,
    /// All requests together.
    pub total: Sums,
    /// Denials that were answered and not recorded one by one (`denials_suppressed`); in no other sum.
    pub suppressed_denials: u64,
    /// By caller.
    pub callers: Tally,
    /// By code, for requests that were denied or would have been.
    pub codes: Tally,
    /// By day, UTC.
    pub days: Tally,
}

/// Numbers of requests, and of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// Requests that the policy let go on.
    pub allowed: u64,
    /// Requests that were refused.
    pub denied: u64,
    /// Requests that went on, and would have been refused were the mode `enforce`.
    pub would_deny: u64,
    /// Messages that were cancelled, as the answers say.
    pub cancelled: u64,
    /// Cancels of which it is not known what they did.
    pub uncertain: u64,
}

/// Sums by a word. As JSON a list of rows with the word as `name`, that of the others `null`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Each word's.
    pub rows: BTreeMap<String, Sums>,
    /// What belongs to words beyond the first [`MOST_ROWS`].
    pub others: Option<Sums>,
}

impl Stats {
    /// Sums up what trails hold. Lines that are no records are named on `faults` with file and line, and left out.
    ///
    /// # Errors
    /// A file cannot be read, or `faults` not be written.
    pub fn of(inputs: &Inputs, faults: &mut dyn Write) -> Result<Self, ShowError> {
        let mut stats = Stats::default();
        let mut records = Records::new(inputs, false);
        while let Some((_, record)) = records.next(faults)? {
            stats.add(&record.entry);
        }
        Ok(stats)
    }

    fn add(&mut self, entry: &Entry) {
        self.records += 1;
        if self.first.is_none() {
            self.first = Some(entry.time.clone());
        }
        self.last = Some(entry.time.clone());
        let sums = Sums::of(entry);
        if entry.event == "denials_suppressed" {
            self.suppressed_denials += entry.leading_number();
        }
        if sums == Sums::default() {
            return;
        }
        self.total.add(sums);
        self.callers.add(entry.caller.as_deref().unwrap_or_default(), sums);
        self.days.add(&day(&entry.time), sums);
        if let Some(code) = entry.code.as_deref().filter(|_| sums.denied + sums.would_deny > 0) {
            self.codes.add(code, sums);
        }
    }
}

impl Sums {
    /// What one record adds.
    fn of(entry: &Entry) -> Self {
        let decided = |word: &str| u64::from(entry.decision.as_deref() == Some(word));
        match entry.event.as_str() {
            "intent" | "passed" | "denied" => Sums {
                allowed: decided("allow"),
                denied: decided("deny"),
                would_deny: decided("would_deny"),
                ..Sums::default()
            },
            "outcome" => Sums {
                cancelled: entry.cancelled.unwrap_or_default(),
                uncertain: u64::from(entry.result.as_deref() == Some("uncertain")),
                ..Sums::default()
            },
            _ => Sums::default(),
        }
    }

    /// How many requests.
    pub fn requests(&self) -> u64 {
        self.allowed.saturating_add(self.denied).saturating_add(self.would_deny)
    }

    /// What a file says may be anything, so that sums stop at the largest number.
    pub(super) fn add(&mut self, other: Sums) {
        for (own, other) in [
            (&mut self.allowed, other.allowed),
            (&mut self.denied, other.denied),
            (&mut self.would_deny, other.would_deny),
            (&mut self.cancelled, other.cancelled),
            (&mut self.uncertain, other.uncertain),
        ] {
            *own = own.saturating_add(other);
        }
    }
}

impl Tally {
    fn add(&mut self, word: &str, sums: Sums) {
        if let Some(row) = self.rows.get_mut(word) {
            row.add(sums);
        } else if self.rows.len() < MOST_ROWS {
            self.rows.insert(word.to_owned(), sums);
        } else {
            self.others.get_or_insert_default().add(sums);
        }
    }
}

impl Serialize for Tally {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Row<'a> {
            name: Option<&'a str>,
            #[serde(flatten)]
            sums: Sums,
        }
        let rows = self.rows.iter().map(|(word, sums)| (Some(word.as_str()), *sums));
        let others = self.others.map(|others| (None, others));
        serializer.collect_seq(rows.chain(others).map(|(name, sums)| Row { name, sums }))
    }
}

/// The day of a time, UTC; a time that cannot be read has none.
fn day(time: &str) -> String {
    let time = time.parse::<Timestamp>();
    time.map_or_else(
        |_| "unknown".to_owned(),
        |time| time.to_zoned_datetime(TimeZone::UTC).date().to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_beyond_the_bound_are_summed_together() {
        let one = Sums {
            denied: 1,
            ..Sums::default()
        };
        let mut tally = Tally::default();
        for number in 0..MOST_ROWS + 7 {
            tally.add(&format!("token:{number:012x}"), one);
        }
        tally.add("token:000000000000", one);
        assert_eq!(tally.rows.len(), MOST_ROWS);
        assert_eq!(tally.rows["token:000000000000"].denied, 2);
        assert_eq!(tally.others.map(|others| others.denied), Some(7));
    }

    #[test]
    fn days_are_of_utc_and_numbers_stop_at_the_largest() {
        assert_eq!(day("2026-11-24T23:59:59.999999Z"), "2026-11-24");
        assert_eq!(day("2026-11-25T00:30:00+01:00"), "2026-11-24");
        assert_eq!(day("yesterday"), "unknown");
        let mut sums = Sums {
            cancelled: u64::MAX,
            ..Sums::default()
        };
        sums.add(sums);
        assert_eq!(sums.cancelled, u64::MAX);
    }
}
