//! Showing records, filtered, of all trails in the order of their times.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use jiff::{Span, Timestamp, tz::TimeZone};

use super::check;
use super::entry::Entry;
use super::files::{Chain, Inputs, ReadError};
use super::lines::{Content, Line, Lines};
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
    /// Outcomes `uncertain`, intents without an outcome, and bulk actions whose end is not known: each with the request
    /// that shows what became of it.
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
    sources: Vec<Source>,
    table: Table,
    /// Intents whose outcome was not read yet, by request and each with its place among all records. Kept only where
    /// uncertain ones are asked for.
    open: HashMap<String, (usize, Record)>,
}

impl Show {
    /// Opens nothing yet.
    pub fn new(inputs: &Inputs, options: Options) -> Self {
        let sources = inputs
            .chains
            .iter()
            .map(|chain| Source::new(chain, options.follow))
            .collect();
        Show {
            table: Table::new(options.colour),
            options,
            sources,
            open: HashMap::new(),
        }
    }

    /// Shows what is there. Lines that are no records are named on `faults` with file and line, and left out.
    ///
    /// # Errors
    /// A file cannot be read, or an output not be written.
    pub fn run(&mut self, out: &mut dyn Write, faults: &mut dyn Write) -> Result<(), ShowError> {
        let mut waiting: Vec<Option<Record>> = Vec::new();
        for source in &mut self.sources {
            waiting.push(source.next(faults)?);
        }
        let mut uncertain: BTreeMap<usize, Record> = BTreeMap::new();
        let mut read = 0;
        loop {
            // Times are of one form, so they sort as text.
            let oldest = waiting
                .iter()
                .enumerate()
                .filter_map(|(at, record)| Some((at, &record.as_ref()?.entry.time)));
            let Some((at, _)) = oldest.min_by_key(|(_, time)| *time) else {
                break;
            };
            let next = self.sources[at].next(faults)?;
            let Some(record) = std::mem::replace(&mut waiting[at], next) else {
                break;
            };
            read += 1;
            if !self.options.filter.uncertain {
                self.show(&record, out)?;
                continue;
            }
            if let Some(record) = self.matched(record, read) {
                uncertain.insert(read, record);
            }
        }
        let open = std::mem::take(&mut self.open);
        let mut shown: Vec<(&usize, &Record)> = uncertain.iter().collect();
        shown.extend(open.values().map(|(at, intent)| (at, intent)));
        shown.sort_unstable_by_key(|(at, _)| **at);
        for (_, record) in shown {
            self.show(record, out)?;
        }
        self.open = open;
        self.table.flush(out)?;
        out.flush()?;
        Ok(())
    }

    /// Shows what was written since, after a rotation too.
    ///
    /// # Errors
    /// As [`Show::run`].
    pub fn poll(&mut self, out: &mut dyn Write, faults: &mut dyn Write) -> Result<(), ShowError> {
        for at in 0..self.sources.len() {
            while let Some(record) = self.sources[at].poll(faults)? {
                let shown = if self.options.filter.uncertain {
                    self.matched(record, usize::MAX)
                } else {
                    Some(record)
                };
                if let Some(record) = shown {
                    self.show(&record, out)?;
                }
            }
        }
        self.table.flush(out)?;
        out.flush()?;
        Ok(())
    }

    /// Keeps an intent for its outcome; gives a record that is uncertain, with what its intent tells. `at` is its place
    /// among all records.
    fn matched(&mut self, record: Record, at: usize) -> Option<Record> {
        let id = record.entry.request_id.clone().unwrap_or_default();
        let intent = match record.entry.event.as_str() {
            "intent" => {
                self.open.insert(id, (at, record));
                return None;
            }
            "outcome" => self.open.remove(&id),
            _ => None,
        };
        let uncertain = record.entry.result.as_deref() == Some("uncertain");
        uncertain.then(|| record.with_selection_of(intent.map(|(_, intent)| intent)))
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

#[derive(Debug)]
struct Record {
    entry: Entry,
    line: Vec<u8>,
    /// When the intent of an outcome was written.
    intent_time: Option<String>,
}

impl Record {
    /// An outcome tells more beside what was asked for.
    fn with_selection_of(mut self, intent: Option<Record>) -> Self {
        if let Some(Record { entry, .. }) = intent {
            self.entry.selection = self.entry.selection.or(entry.selection);
            self.intent_time = Some(entry.time);
        }
        self
    }

    /// The request that shows what became of it.
    fn check(&self) -> Option<String> {
        let own = (self.entry.event == "intent").then_some(&self.entry.time);
        check::request(&self.entry, self.intent_time.as_ref().or(own).map(String::as_str))
    }
}

/// One trail, file after file.
#[derive(Debug)]
struct Source {
    remaining: VecDeque<PathBuf>,
    lines: Option<Lines>,
    live: Option<PathBuf>,
    follow: bool,
}

impl Source {
    fn new(chain: &Chain, follow: bool) -> Self {
        Source {
            remaining: chain.files.clone().into(),
            lines: None,
            live: chain.live.clone(),
            follow,
        }
    }

    fn next(&mut self, faults: &mut dyn Write) -> Result<Option<Record>, ShowError> {
        loop {
            let Some(lines) = &mut self.lines else {
                let Some(path) = self.remaining.pop_front() else {
                    return Ok(None);
                };
                self.lines = Some(Lines::open(&path).map_err(|e| ReadError::new(&path, e))?);
                continue;
            };
            let stays_open = self.follow && self.remaining.is_empty();
            let line = if stays_open {
                lines.next_finished()
            } else {
                lines.next_line()
            };
            match line.map_err(|e| ReadError::new(&lines.path, e))? {
                Some(line) => {
                    if let Some(record) = record(lines, line, faults)? {
                        return Ok(Some(record));
                    }
                }
                None if stays_open => return Ok(None),
                None => self.lines = None,
            }
        }
    }

    fn poll(&mut self, faults: &mut dyn Write) -> Result<Option<Record>, ShowError> {
        if let Some(record) = self.next(faults)? {
            return Ok(Some(record));
        }
        let Some(live) = self.live.clone() else { return Ok(None) };
        let Ok(there) = fs::metadata(&live) else {
            return Ok(None);
        };
        if let Some(lines) = &self.lines {
            let here = lines.metadata().map_err(|e| ReadError::new(&lines.path, e))?;
            if (here.dev(), here.ino()) == (there.dev(), there.ino()) {
                return Ok(None);
            }
            // Another file stands there now; what came into the old one meanwhile goes first.
            if let Some(record) = self.next(faults)? {
                return Ok(Some(record));
            }
        }
        self.lines = Some(Lines::open(&live).map_err(|e| ReadError::new(&live, e))?);
        self.next(faults)
    }
}

fn record(lines: &Lines, line: Line, faults: &mut dyn Write) -> Result<Option<Record>, ShowError> {
    let what = match line.content {
        Content::Whole(bytes) | Content::Unfinished(bytes) => match Entry::parse(&bytes) {
            Ok(entry) => {
                return Ok(Some(Record {
                    entry,
                    line: bytes,
                    intent_time: None,
                }));
            }
            Err(e) => format!("no audit record: {e}"),
        },
        Content::TooLong => "longer than 4 MiB".to_owned(),
    };
    writeln!(faults, "{}:{}: {what}", lines.path.display(), line.number)?;
    Ok(None)
}
