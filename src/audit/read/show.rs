//! Showing records, filtered, of all trails in the order of their times.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use jiff::{Span, Timestamp, tz::TimeZone};

use super::entry::Entry;
use super::files::{Inputs, ReadError};
use super::records::{Record, Records};
use super::table::Table;

/// Which records are shown; all conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Not those before.
    pub since: Option<Timestamp>,
    /// Those of this caller.
    pub caller: Option<String>,
    /// Those of this event.
    pub event: Option<String>,
    /// Those with this decision.
    pub decision: Option<String>,
    /// Those with this code: a denial's first violation.
    pub code: Option<String>,
    /// Those of this operation.
    pub operation: Option<String>,
    /// Outcomes `uncertain`, intents without an outcome, and bulk actions whose end is not known or not recorded: each
    /// with the request that shows what became of it.
    pub uncertain: bool,
}

impl Filter {
    fn admits(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, found: Option<&String>| match wanted {
            None => true,
            Some(wanted) => found == Some(wanted),
        };
        // A time that cannot be read is no reason to hide a record.
        let in_time = self
            .since
            .is_none_or(|since| entry.time.parse::<Timestamp>().map_or(true, |time| time >= since));
        in_time
            && is(&self.caller, entry.caller.as_ref())
            && is(&self.event, Some(&entry.event))
            && is(&self.decision, entry.decision.as_ref())
            && is(&self.code, entry.code.as_ref())
            && is(&self.operation, entry.operation.as_ref())
    }
}

/// How records are shown.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which.
    pub filter: Filter,
    /// As the lines they are, instead of a table.
    pub json: bool,
    /// With colour codes; what writes to no terminal strips them.
    pub colour: bool,
    /// Whether [`Show::poll`] will be called.
    pub follow: bool,
}

/// Why showing ended early.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The output cannot be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// Reads `since`: a time (RFC 3339) or a duration back from `now` (`2h`, `30m`, `7d`).
///
/// # Errors
/// What it should look like.
pub fn since(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let span: Span = text
        .parse()
        .map_err(|_| format!("`{text}` is neither a time like 2026-11-24T17:00:00Z nor a duration like 2h"))?;
    let then = now.to_zoned_datetime(TimeZone::UTC).checked_sub(span.abs());
    then.map(|then| then.timestamp())
        .map_err(|_| format!("`{text}` goes back too far"))
}

/// Records on their way to an output.
#[derive(Debug)]
pub struct Show {
    options: Options,
    records: Records,
    table: Table,
    /// Intents whose outcome was not read yet, by request and each with its place among all records. Kept only where
    /// uncertain ones are asked for.
    open: HashMap<String, (usize, Record)>,
    /// Outcomes behind which a bulk action went on whose end was not read yet, in the same way.
    going_on: HashMap<String, (usize, Record)>,
}

impl Show {
    /// Opens nothing yet.
    pub fn new(inputs: &Inputs, options: Options) -> Self {
        Show {
            table: Table::new(options.colour),
            records: Records::new(inputs, options.follow),
            options,
            open: HashMap::new(),
            going_on: HashMap::new(),
        }
    }

    /// Shows what is there. Lines that are no records are named on `faults` with file and line, and left out.
    ///
    /// # Errors
    /// A file cannot be read, or an output not be written.
    pub fn run(&mut self, out: &mut dyn Write, faults: &mut dyn Write) -> Result<(), ShowError> {
        let mut uncertain: BTreeMap<usize, Record> = BTreeMap::new();
        let mut read = 0;
        while let Some((_, record)) = self.records.next(faults)? {
            read += 1;
            if !self.options.filter.uncertain {
                self.show(&record, out)?;
                continue;
            }
            if let Some(record) = self.matched(record, read) {
                uncertain.insert(read, record);
            }
        }
        let (open, going_on) = (std::mem::take(&mut self.open), std::mem::take(&mut self.going_on));
        let mut shown: Vec<(&usize, &Record)> = uncertain.iter().collect();
        shown.extend(open.values().chain(going_on.values()).map(|(at, record)| (at, record)));
        shown.sort_unstable_by_key(|(at, _)| **at);
        for (_, record) in shown {
            self.show(record, out)?;
        }
        (self.open, self.going_on) = (open, going_on);
        self.table.flush(out)?;
        out.flush()?;
        Ok(())
    }

    /// Shows what was written since, after a rotation too.
    ///
    /// # Errors
    /// As [`Show::run`].
    pub fn poll(&mut self, out: &mut dyn Write, faults: &mut dyn Write) -> Result<(), ShowError> {
        while let Some(record) = self.records.poll(faults)? {
            let shown = if self.options.filter.uncertain {
                self.matched(record, usize::MAX)
            } else {
                Some(record)
            };
            if let Some(record) = shown {
                self.show(&record, out)?;
            }
        }
        self.table.flush(out)?;
        out.flush()?;
        Ok(())
    }

    /// Keeps an intent for its outcome, and an outcome for the end of its bulk action; gives a record that is uncertain,
    /// with what its intent tells. `at` is its place among all records.
    fn matched(&mut self, record: Record, at: usize) -> Option<Record> {
        let id = record.entry.request_id.clone().unwrap_or_default();
        let intent = match record.entry.event.as_str() {
            "intent" => {
                self.open.insert(id, (at, record));
                return None;
            }
            "outcome" => self.open.remove(&id),
            "bulk_action_finished" => {
                self.going_on.remove(&id);
                None
            }
            _ => None,
        };
        let record = record.with_selection_of(intent.map(|(_, intent)| intent));
        match record.entry.result.as_deref() {
            Some("uncertain") => Some(record),
            Some("accepted") => {
                self.going_on.insert(id, (at, record));
                None
            }
            _ => None,
        }
    }

    fn show(&mut self, record: &Record, out: &mut dyn Write) -> Result<(), ShowError> {
        if !self.options.filter.admits(&record.entry) {
            return Ok(());
        }
        let check = self.options.filter.uncertain.then(|| record.check()).flatten();
        if self.options.json {
            match (check, record.line.strip_suffix(b"}")) {
                (Some(check), Some(line)) => {
                    out.write_all(line)?;
                    write!(out, ",\"check\":{}}}", serde_json::Value::from(check))?;
                }
                _ => out.write_all(&record.line)?,
            }
            out.write_all(b"\n")?;
        } else {
            self.table.add(&record.entry, check.as_deref(), out)?;
        }
        Ok(())
    }
}
