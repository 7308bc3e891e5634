//! Checkpoints held against the chain that they speak of.

use std::path::PathBuf;

use super::files::{Chain, ReadError};
use super::lines::{Content, Lines};
use super::verify::Break;
use crate::audit::chain::{Head, LineHash};
use crate::audit::signing::{Checkpoint, PublicKeys};

/// What is known of a trail's checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checkpoints {
    /// There are none.
    None,
    /// So many are there, and nobody asked.
    Unchecked(u64),
    /// Each has a good signature, up to the trail's first break.
    Checked {
        /// So many.
        count: u64,
        /// So many of them are of records before those that are here.
        earlier: u64,
        /// Number of the newest record that one covers, and when that was signed.
        last: Option<(u64, String)>,
        /// How many records come behind it.
        uncovered: u64,
    },
}

impl Checkpoints {
    /// The number of the newest record that is known to be signed.
    pub(super) fn covered(&self) -> Option<u64> {
        match self {
            Checkpoints::Checked {
                last: Some((seq, _)), ..
            } => Some(*seq),
            _ => None,
        }
    }
}

/// The checkpoints of a trail, those of the first records first. Of each only what is held against the chain is in memory.
pub(super) struct Signed {
    marks: Vec<Mark>,
    next: usize,
    files: Vec<PathBuf>,
    earlier: u64,
    last: Option<(u64, String)>,
    /// The first one that is not good by itself.
    bad: Option<Break>,
}

struct Mark {
    seq: u64,
    hash: LineHash,
    /// Where it stands: the file by its place in the list, and the line.
    at: (usize, u64),
}

impl Signed {
    /// Reads a trail's checkpoints and checks their signatures. To be called before the trail is read: a guard may be
    /// writing both, and a checkpoint is never ahead of its trail.
    pub(super) fn read(chain: &Chain, keys: &PublicKeys) -> Result<Self, ReadError> {
        let mut signed = Signed {
            marks: Vec::new(),
            next: 0,
            files: chain.checkpoints.clone(),
            earlier: 0,
            last: None,
            bad: None,
        };
        'files: for (file, path) in chain.checkpoints.iter().enumerate() {
            let failed = |e| ReadError::new(path, e);
            let mut lines = Lines::open(path).map_err(failed)?;
            // An unfinished line is being written, or was when its guard was killed: it is no checkpoint.
            while let Some(line) = lines.next_finished().map_err(failed)? {
                let checked = match &line.content {
                    Content::Whole(bytes) | Content::Unfinished(bytes) => Checkpoint::verify(bytes, keys),
                    Content::TooLong => Err("the line is longer than 4 MiB, and no checkpoint".to_owned()),
                    Content::Damaged(what) => Err(what.clone()),
                };
                match checked {
                    Ok((checkpoint, hash)) => signed.add(checkpoint, hash, (file, line.number)),
                    Err(what) => {
                        signed.bad = Some(Break {
                            file: path.clone(),
                            line: line.number,
                            what,
                        });
                        break 'files;
                    }
                }
            }
        }
        signed.marks.sort_by_key(|mark| (mark.seq, mark.at));
        Ok(signed)
    }

    fn add(&mut self, checkpoint: Checkpoint, hash: LineHash, at: (usize, u64)) {
        let seq = checkpoint.seq;
        self.marks.push(Mark { seq, hash, at });
        if self.last.as_ref().is_none_or(|(last, _)| *last <= seq) {
            self.last = Some((seq, checkpoint.time));
        }
    }

    /// Holds what is said of the record `head`, and of earlier ones that were not met, against it.
    pub(super) fn meet(&mut self, head: Head) -> Result<(), Break> {
        while let Some(mark) = self.marks.get(self.next).filter(|mark| mark.seq <= head.seq) {
            if mark.seq < head.seq {
                self.earlier += 1;
            } else if mark.hash != head.hash {
                return Err(self.fault(
                    mark,
                    format!(
                        "record {} was signed with the hash {}, but the trail has {}: it was written anew since",
                        mark.seq, mark.hash, head.hash
                    ),
                ));
            }
            self.next += 1;
        }
        Ok(())
    }

    /// What is left when the trail ends, or how far it is covered.
    pub(super) fn end(self, head: Head) -> Result<Checkpoints, Break> {
        if let Some(bad) = self.bad {
            return Err(bad);
        }
        if let Some(mark) = self.marks.get(self.next) {
            return Err(self.fault(
                mark,
                format!(
                    "record {} was signed, but the trail ends with record {}: its end was cut off, or is in files that \
                     were not named",
                    mark.seq, head.seq
                ),
            ));
        }
        let Some((last, _)) = &self.last else {
            return Ok(Checkpoints::None);
        };
        Ok(Checkpoints::Checked {
            count: self.marks.len() as u64,
            earlier: self.earlier,
            uncovered: head.seq.saturating_sub(*last),
            last: self.last,
        })
    }

    fn fault(&self, mark: &Mark, what: String) -> Break {
        let (file, line) = mark.at;
        Break {
            file: self.files.get(file).cloned().unwrap_or_default(),
            line,
            what,
        }
    }
}

/// How many checkpoints a trail has, good or not.
pub(super) fn count(chain: &Chain) -> Result<Checkpoints, ReadError> {
    let mut count = 0;
    for path in &chain.checkpoints {
        let failed = |e| ReadError::new(path, e);
        let mut lines = Lines::open(path).map_err(failed)?;
        while lines.next_finished().map_err(failed)?.is_some() {
            count += 1;
        }
    }
    Ok(if count == 0 {
        Checkpoints::None
    } else {
        Checkpoints::Unchecked(count)
    })
}
