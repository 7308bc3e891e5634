//! Which files a trail has, in which order.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::audit::names;
use crate::audit::tail;

/// Why a trail cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", .path.display())]
pub struct ReadError {
    /// The file or folder.
    pub path: PathBuf,
    /// What failed.
    pub source: io::Error,
}

impl ReadError {
    pub(super) fn new(path: &Path, source: io::Error) -> Self {
        ReadError {
            path: path.to_owned(),
            source,
        }
    }
}

/// The files of one trail, those with the oldest records first; empty ones left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// What its files' names have in common: `audit`.
    pub name: String,
    /// The files.
    pub files: Vec<PathBuf>,
    /// Where its newest records are expected: the file that a guard writes.
    pub live: Option<PathBuf>,
    /// The numbers of its first and last record, as far as they can be read.
    span: (u64, u64),
}

/// What paths lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// The trails, by name.
    pub chains: Vec<Chain>,
    /// Files with torn ends in the folders; not part of any trail.
    pub torn: Vec<PathBuf>,
}

/// Files and folders as trails: of a folder, all its `*.jsonl`.
///
/// A folder may hold the trails of several guards, told apart by name. Files of one name in several folders (an archive
/// and the live one) are one trail where at most one of them has the first record and their numbers do not overlap.
///
/// # Errors
/// A path is missing or cannot be read.
pub fn inputs(paths: &[PathBuf]) -> Result<Inputs, ReadError> {
    let mut torn = Vec::new();
    let mut groups: BTreeMap<(String, PathBuf), Vec<PathBuf>> = BTreeMap::new();
    let mut seen = Vec::new();
    let mut add = |path: PathBuf| -> Result<(), ReadError> {
        let canonical = fs::canonicalize(&path).map_err(|e| ReadError::new(&path, e))?;
        if seen.contains(&canonical) {
            return Ok(());
        }
        seen.push(canonical);
        let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        groups
            .entry((names::chain_name(&file_name).to_owned(), folder))
            .or_default()
            .push(path);
        Ok(())
    };
    for path in paths {
        let metadata = fs::metadata(path).map_err(|e| ReadError::new(path, e))?;
        if !metadata.is_dir() {
            add(path.clone())?;
            continue;
        }
        let mut in_folder = Vec::new();
        for entry in fs::read_dir(path).map_err(|e| ReadError::new(path, e))? {
            in_folder.push(entry.map_err(|e| ReadError::new(path, e))?.path());
        }
        in_folder.sort();
        for file in in_folder {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if names::is_torn(&name) {
                torn.push(file);
            } else if names::is_trail(&name) && file.is_file() {
                add(file)?;
            }
        }
    }
    let mut chains: Vec<Chain> = Vec::new();
    for ((name, _), files) in groups {
        let chain = chain(name, &files)?;
        match chains.last_mut().filter(|other| other.continues(&chain)) {
            Some(other) => other.join(chain),
            None => chains.push(chain),
        }
    }
    Ok(Inputs { chains, torn })
}

fn chain(name: String, files: &[PathBuf]) -> Result<Chain, ReadError> {
    let mut spans = Vec::new();
    for path in files {
        let span = |path: &Path| -> io::Result<Option<(u64, u64)>> {
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            // A file whose first line cannot be read stands where its name puts it.
            let file_name = path.file_name().unwrap_or_default().to_string_lossy();
            let first = tail::first_seq(&file)?
                .or_else(|| names::rotated_seq(&file_name))
                .unwrap_or(u64::MAX);
            let last = tail::find(&file, length)?.head.map_or(first, |head| head.seq);
            Ok((length > 0).then_some((first, last)))
        };
        if let Some((first, last)) = span(path).map_err(|e| ReadError::new(path, e))? {
            spans.push((first, last, path.clone()));
        }
    }
    spans.sort();
    let live = files
        .iter()
        .find(|path| path.file_name().is_some_and(|file| *file == *format!("{name}.jsonl")));
    let live = live.cloned().or_else(|| (files.len() == 1).then(|| files[0].clone()));
    let span = (
        spans.first().map_or(u64::MAX, |s| s.0),
        spans.iter().map(|s| s.1).max().unwrap_or(u64::MAX),
    );
    Ok(Chain {
        name,
        files: spans.into_iter().map(|(_, _, path)| path).collect(),
        live,
        span,
    })
}

impl Chain {
    /// Whether the two are parts of one trail in different folders.
    fn continues(&self, other: &Chain) -> bool {
        let roots = [self, other].iter().filter(|chain| chain.span.0 == 1).count();
        let apart = self.span.1 < other.span.0 || other.span.1 < self.span.0;
        self.name == other.name && roots <= 1 && apart
    }

    fn join(&mut self, other: Chain) {
        let other_is_newer = self.span.1 < other.span.0;
        let (older, newer) = if other_is_newer {
            (self.files.clone(), other.files)
        } else {
            (other.files, self.files.clone())
        };
        self.files = older.into_iter().chain(newer).collect();
        if other_is_newer {
            self.live = other.live.or(self.live.take());
        }
        self.span = (self.span.0.min(other.span.0), self.span.1.max(other.span.1));
    }
}
