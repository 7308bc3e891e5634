//! Whether a trail is what was written.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use super::entry::Entry;
use super::files::{Chain, Inputs, ReadError};
use super::lines::{Content, Lines};
use crate::audit::chain::{Head, LineHash};

/// What verifying found.
#[derive(Clone, Debug)]
pub struct Report {
    /// One for each trail.
    pub chains: Vec<ChainReport>,
    /// Files with torn ends beside them.
    pub torn: Vec<PathBuf>,
    /// The hash that was asked for, and the trail and number that it is found at.
    pub head: Option<(LineHash, Option<(String, u64)>)>,
}

/// What verifying one trail found, up to its first break.
#[derive(Clone, Debug)]
pub struct ChainReport {
    /// The trail's name.
    pub name: String,
    /// Its files.
    pub files: Vec<PathBuf>,
    /// How many records chain.
    pub records: u64,
    /// Number and time of the first record.
    pub first: Option<(u64, String)>,
    /// The newest record that chains.
    pub head: Head,
    /// Its time.
    pub last_time: String,
    /// Whether it can be trusted.
    pub verdict: Verdict,
    /// Intents without an outcome, by number.
    pub open: Vec<Open>,
}

/// Whether a trail can be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Each record chains to the one before it.
    Intact,
    /// One does not.
    Broken(Break),
    /// What came first is missing, and nothing says why.
    Incomplete(String),
}

/// Where a chain breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// The file.
    pub file: PathBuf,
    /// The line in it, from 1.
    pub line: u64,
    /// What was expected, and what stands there.
    pub what: String,
}

/// An intent of which the trail does not tell what became: the cancel may have been sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Its number.
    pub seq: u64,
    /// Its time.
    pub time: String,
    /// Its request.
    pub request_id: String,
    /// Who asked.
    pub caller: String,
    /// What would be selected.
    pub selection: String,
}

/// Verifies trails, and whether `head` is in one of them.
///
/// # Errors
/// A file cannot be read.
pub fn verify(inputs: &Inputs, head: Option<LineHash>) -> Result<Report, ReadError> {
    let mut found = None;
    let mut chains = Vec::new();
    let mut begins = Vec::new();
    for chain in &inputs.chains {
        let mut walk = Walk::new(head);
        let broken = walk.chain(chain)?;
        if let Some(seq) = walk.wanted_at {
            found = Some((chain.name.clone(), seq));
        }
        begins.push(walk.before);
        chains.push(walk.report(chain, broken));
    }
    // A trail that does not begin at its first record may go on where another ends, by whatever name.
    for index in 0..chains.len() {
        let follows = |other: &ChainReport| other.records > 0 && other.head.hash == begins[index];
        if matches!(chains[index].verdict, Verdict::Incomplete(_)) && chains.iter().any(follows) {
            chains[index].verdict = Verdict::Intact;
        }
    }
    Ok(Report {
        chains,
        torn: inputs.torn.clone(),
        head: head.map(|hash| (hash, found)),
    })
}

impl Report {
    /// 0 intact, 4 broken, 5 cannot tell.
    pub fn exit_code(&self) -> u8 {
        let any = |is: fn(&Verdict) -> bool| self.chains.iter().any(|chain| is(&chain.verdict));
        let no_records = self.chains.iter().all(|chain| chain.files.is_empty());
        if any(|verdict| matches!(verdict, Verdict::Broken(_))) {
            4
        } else if any(|verdict| matches!(verdict, Verdict::Incomplete(_)))
            || no_records
            || matches!(self.head, Some((_, None)))
        {
            5
        } else {
            0
        }
    }
}

struct Walk {
    wanted: Option<LineHash>,
    wanted_at: Option<u64>,
    /// What the first record says stands before it.
    before: LineHash,
    first: Option<(u64, String)>,
    head: Head,
    last_time: String,
    records: u64,
    /// A `pruned` record accounts for what came before the first record.
    explained: bool,
    open: HashMap<String, Open>,
}

impl Walk {
    fn new(wanted: Option<LineHash>) -> Self {
        Walk {
            wanted,
            wanted_at: None,
            before: LineHash::GENESIS,
            first: None,
            head: Head::GENESIS,
            last_time: String::new(),
            records: 0,
            explained: false,
            open: HashMap::new(),
        }
    }

    fn chain(&mut self, chain: &Chain) -> Result<Option<Break>, ReadError> {
        for path in &chain.files {
            let failed = |e| ReadError::new(path, e);
            let mut lines = Lines::open(path).map_err(failed)?;
            while let Some(line) = lines.next_line().map_err(failed)? {
                let checked = match &line.content {
                    Content::Whole(bytes) => self.line(bytes),
                    Content::Unfinished(_) => Err("the line has no end: a crash or a hand tore it, or a guard was \
                                                   just writing it (a guard sets it aside when it starts)"
                        .to_owned()),
                    Content::TooLong => Err("the line is longer than 4 MiB: no guard writes such".to_owned()),
                };
                if let Err(what) = checked {
                    return Ok(Some(Break {
                        file: path.clone(),
                        line: line.number,
                        what,
                    }));
                }
            }
        }
        Ok(None)
    }

    fn line(&mut self, bytes: &[u8]) -> Result<(), String> {
        let entry = Entry::parse(bytes).map_err(|e| format!("the line is no record: {e}"))?;
        let prev = LineHash::parse(&entry.prev).ok_or_else(|| "`prev` is no SHA-256 in hexadecimal".to_owned())?;
        if self.first.is_none() {
            if (entry.seq == 1) != (prev == LineHash::GENESIS) {
                return Err(format!(
                    "record {} says that {prev} stands before it; 64 zeros stand before record 1, and before no other",
                    entry.seq
                ));
            }
            self.first = Some((entry.seq, entry.time.clone()));
            self.before = prev;
        } else if entry.seq != self.head.seq + 1 {
            return Err(format!(
                "expected record {}, found record {}",
                self.head.seq + 1,
                entry.seq
            ));
        } else if prev != self.head.hash {
            return Err(format!(
                "record {} says that the record before it has the hash {prev}, but that has {}: one of the two was \
                 changed",
                entry.seq, self.head.hash
            ));
        }
        self.head = Head {
            seq: entry.seq,
            hash: LineHash::of(bytes),
        };
        self.records += 1;
        if self.wanted == Some(self.head.hash) {
            self.wanted_at = Some(entry.seq);
        }
        if entry.event == "pruned"
            && entry
                .detail
                .as_ref()
                .is_some_and(|d| d.contains(&self.before.to_string()))
        {
            self.explained = true;
        }
        self.note(&entry);
        self.last_time = entry.time;
        Ok(())
    }

    fn note(&mut self, entry: &Entry) {
        let Some(id) = &entry.request_id else { return };
        match entry.event.as_str() {
            "intent" => {
                let open = Open {
                    seq: entry.seq,
                    time: entry.time.clone(),
                    request_id: id.clone(),
                    caller: entry.caller.clone().unwrap_or_default(),
                    selection: entry.selection_summary().unwrap_or_default(),
                };
                self.open.insert(id.clone(), open);
            }
            "outcome" => _ = self.open.remove(id),
            _ => {}
        }
    }

    fn report(self, chain: &Chain, broken: Option<Break>) -> ChainReport {
        let starts = self.before == LineHash::GENESIS || self.explained;
        let verdict = match (broken, &self.first) {
            (Some(broken), _) => Verdict::Broken(broken),
            (None, Some((seq, _))) if !starts => Verdict::Incomplete(format!(
                "it begins with record {seq}, and no `pruned` record accounts for those before it; name the older \
                 files too, or their folder"
            )),
            _ => Verdict::Intact,
        };
        let open: BTreeMap<u64, Open> = self.open.into_values().map(|open| (open.seq, open)).collect();
        ChainReport {
            name: chain.name.clone(),
            files: chain.files.clone(),
            records: self.records,
            first: self.first,
            head: self.head,
            last_time: self.last_time,
            verdict,
            open: open.into_values().collect(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.chains.iter().all(|chain| chain.files.is_empty()) {
            writeln!(f, "cannot tell: there are no audit records here")?;
        }
        for chain in self.chains.iter().filter(|chain| !chain.files.is_empty()) {
            chain.fmt(f)?;
        }
        for torn in &self.torn {
            writeln!(f, "set aside, not part of the trail: {}", torn.display())?;
        }
        match &self.head {
            None => Ok(()),
            Some((hash, Some((name, seq)))) => writeln!(f, "--head {hash} is record {seq} of {name}"),
            Some((hash, None)) => {
                writeln!(
                    f,
                    "cannot tell: --head {hash} is in none of these files: the end of a trail may be cut off"
                )
            }
        }
    }
}

impl fmt::Display for ChainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match &self.verdict {
            Verdict::Intact => "intact",
            Verdict::Broken(_) => "BROKEN",
            Verdict::Incomplete(_) => "cannot tell",
        };
        writeln!(f, "{}: {word}", self.name)?;
        match &self.verdict {
            Verdict::Intact => {}
            Verdict::Broken(broken) => {
                writeln!(f, "  at       {}:{}", broken.file.display(), broken.line)?;
                writeln!(f, "           {}", broken.what)?;
            }
            Verdict::Incomplete(why) => writeln!(f, "           {why}")?,
        }
        let files = match self.files.len() {
            1 => "1 file".to_owned(),
            count => format!("{count} files"),
        };
        let behind = if let Verdict::Broken(_) = self.verdict {
            " before the break"
        } else {
            ""
        };
        writeln!(f, "  records  {} in {files}{behind}", self.records)?;
        if let Some((seq, time)) = &self.first {
            writeln!(f, "  first    {seq} at {time}")?;
            writeln!(f, "  last     {} at {}", self.head.seq, self.last_time)?;
            writeln!(f, "  head     {}", self.head.hash)?;
        }
        if !self.open.is_empty() {
            writeln!(f, "  intents without an outcome: {}", self.open.len())?;
        }
        for open in &self.open {
            let Open {
                seq,
                time,
                request_id,
                caller,
                selection,
            } = open;
            writeln!(f, "    {seq}  {time}  {request_id}  {caller}  {selection}")?;
        }
        Ok(())
    }
}
