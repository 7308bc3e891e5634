//! Whether a trail is what was written.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::path::PathBuf;

use super::checkpoints::{self, Checkpoints, Signed};
use super::entry::Entry;
use super::files::{Chain, Inputs, ReadError};
use super::lines::{Content, Lines};
use crate::audit::chain::{Head, LineHash};
use crate::audit::signing::PublicKeys;

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
    /// What is signed of it.
    pub checkpoints: Checkpoints,
}

/// Whether a trail can be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Each record chains to the one before it.
    Intact,
    /// One does not.
    Broken(Break),
    /// What came first is missing, and nothing says why; or what should be signed is not.
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
    verify_signed(inputs, head, None)
}

/// The same, and whether every checkpoint is signed by one of `keys` and its record in the trail.
///
/// # Errors
/// A file cannot be read.
pub fn verify_signed(inputs: &Inputs, head: Option<LineHash>, keys: Option<&PublicKeys>) -> Result<Report, ReadError> {
    let mut found = None;
    let mut chains = Vec::new();
    let mut begins = Vec::new();
    for chain in &inputs.chains {
        let mut walk = Walk::new(head);
        walk.signed = keys.map(|keys| Signed::read(chain, keys)).transpose()?;
        let broken = walk.chain(chain)?;
        let unsigned = match keys {
            None => checkpoints::count(chain)?,
            Some(_) => Checkpoints::None,
        };
        if let Some(seq) = walk.wanted_at {
            found = Some((chain.name.clone(), seq));
        }
        begins.push(walk.before);
        chains.push(walk.report(chain, broken, unsigned));
    }
    // A trail that does not begin at its first record may go on where another ends, by whatever name.
    for index in 0..chains.len() {
        let follows = |other: &ChainReport| other.records > 0 && other.head.hash == begins[index];
        if matches!(chains[index].verdict, Verdict::Incomplete(_)) && chains.iter().any(follows) {
            chains[index].verdict = Verdict::Intact;
        }
        let chain = &mut chains[index];
        if keys.is_some()
            && chain.verdict == Verdict::Intact
            && chain.checkpoints == Checkpoints::None
            && chain.records > 0
        {
            chain.verdict = Verdict::Incomplete(
                "it has no checkpoints: none were written, or they were removed; they stand beside the trail, as \
                 *.checkpoints"
                    .to_owned(),
            );
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
    /// The number of the first `pruned` record that accounts for what came before the first record.
    explained: Option<u64>,
    open: HashMap<String, Open>,
    /// What is held against it.
    signed: Option<Signed>,
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
            explained: None,
            open: HashMap::new(),
            signed: None,
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
                    Content::Damaged(what) => Err(what.clone()),
                };
                if let Err(what) = checked {
                    return Ok(Some(Break {
                        file: path.clone(),
                        line: line.number,
                        what,
                    }));
                }
                if let Some(signed) = &mut self.signed
                    && let Err(broken) = signed.meet(self.head)
                {
                    return Ok(Some(broken));
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
            if let (Some(signed), Some(seq)) = (&mut self.signed, entry.seq.checked_sub(1)) {
                // A checkpoint may be of the record that the first one here chains to.
                signed.meet(Head { seq, hash: prev }).map_err(|broken| broken.what)?;
            }
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
            self.explained.get_or_insert(entry.seq);
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

    fn report(mut self, chain: &Chain, mut broken: Option<Break>, mut checkpoints: Checkpoints) -> ChainReport {
        let is_signed = self.signed.is_some();
        if let Some(signed) = self.signed.take()
            && broken.is_none()
        {
            match signed.end(self.head) {
                Ok(checked) => checkpoints = checked,
                Err(bad) => broken = Some(bad),
            }
        }
        let verdict = match (broken, &self.first, self.explained) {
            (Some(broken), ..) => Verdict::Broken(broken),
            (None, Some((seq, _)), None) if self.before != LineHash::GENESIS => Verdict::Incomplete(format!(
                "it begins with record {seq}, and no `pruned` record accounts for those before it; name the older \
                 files too, or their folder"
            )),
            // Whoever removes files by hand can add such a record too, but not sign it.
            (None, Some((seq, _)), Some(pruned)) if is_signed && checkpoints.covered() < Some(pruned) => {
                Verdict::Incomplete(format!(
                    "it begins with record {seq}, and the `pruned` record {pruned} that accounts for those before it is not \
                     covered by a checkpoint: a guard signs it at once, so look who removed them"
                ))
            }
            (None, None, _) if matches!(checkpoints, Checkpoints::Unchecked(_)) => {
                Verdict::Incomplete("its checkpoints are here, and none of its records".to_owned())
            }
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
            checkpoints,
        }
    }
}
