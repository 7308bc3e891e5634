//! The records of all trails, one by one.

use std::collections::VecDeque;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::check;
use super::entry::Entry;
use super::files::{Chain, Inputs, ReadError};
use super::lines::{Content, Line, Lines};
use super::show::ShowError;

/// The records of all trails in the order of their times. One record of each is held, no more.
#[derive(Debug)]
pub(in crate::audit) struct Records {
    sources: Vec<Source>,
    /// The next record of each source; read at the first call.
    waiting: Option<Vec<Option<Record>>>,
}

impl Records {
    /// Opens nothing yet. With `follow`, [`Records::poll`] will be called.
    pub(in crate::audit) fn new(inputs: &Inputs, follow: bool) -> Self {
        let sources = inputs.chains.iter().map(|chain| Source::new(chain, follow));
        Records {
            sources: sources.collect(),
            waiting: None,
        }
    }

    /// The oldest record that was not given yet, and which trail it is of. Lines that are no records are named on
    /// `faults` with file and line, and left out.
    pub(in crate::audit) fn next(&mut self, faults: &mut dyn Write) -> Result<Option<(usize, Record)>, ShowError> {
        let waiting = match &mut self.waiting {
            Some(waiting) => waiting,
            none => {
                let first = self.sources.iter_mut().map(|source| source.next(faults));
                none.insert(first.collect::<Result<_, _>>()?)
            }
        };
        // Times are of one form, so they sort as text.
        let oldest = waiting
            .iter()
            .enumerate()
            .filter_map(|(at, record)| Some((at, &record.as_ref()?.entry.time)));
        let Some((at, _)) = oldest.min_by_key(|(_, time)| *time) else {
            return Ok(None);
        };
        let next = self.sources[at].next(faults)?;
        let record = std::mem::replace(&mut waiting[at], next);
        Ok(record.map(|record| (at, record)))
    }

    /// A record that was written since, after a rotation too.
    pub(in crate::audit) fn poll(&mut self, faults: &mut dyn Write) -> Result<Option<Record>, ShowError> {
        for source in &mut self.sources {
            if let Some(record) = source.poll(faults)? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }
}

/// A line that is a record.
#[derive(Debug)]
pub(in crate::audit) struct Record {
    /// What it says.
    pub(in crate::audit) entry: Entry,
    /// Its bytes, without the newline.
    pub(in crate::audit) line: Vec<u8>,
    /// When the intent of an outcome was written.
    intent_time: Option<String>,
}

impl Record {
    /// For the table: an outcome tells more beside what was asked for.
    pub(in crate::audit) fn with_selection_of(mut self, intent: Option<Record>) -> Self {
        if let Some(Record { entry, .. }) = intent {
            self.entry.selection = self.entry.selection.or(entry.selection);
            self.intent_time = Some(entry.time);
        }
        self
    }

    /// The request that shows what became of it.
    pub(super) fn check(&self) -> Option<String> {
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
        Content::Damaged(what) => what,
    };
    writeln!(faults, "{}:{}: {what}", lines.path.display(), line.number)?;
    Ok(None)
}
