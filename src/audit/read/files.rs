//! Which files a trail has, in which order.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::audit::names;
use crate::audit::tail;
use crate::audit::text::Text;

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
    /// The files beside them with signed heads of this trail.
    pub checkpoints: Vec<PathBuf>,
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

/// Files and folders as trails: of a folder, all its `*.jsonl` and `*.jsonl.gz`. Where a file is there plain and
/// compressed, as a crash may leave it, it is read once.
///
/// A folder may hold the trails of several guards, told apart by name. Files of one name in several folders (an archive
/// and the live one) are one trail where at most one of them has the first record and their numbers do not overlap.
///
/// # Errors
/// A path is missing or cannot be read.
pub fn inputs(paths: &[PathBuf]) -> Result<Inputs, ReadError> {
    let (mut torn, mut signed) = (Vec::new(), Vec::new());
    let mut groups: BTreeMap<(String, PathBuf), Vec<PathBuf>> = BTreeMap::new();
    let mut seen = Vec::new();
    let mut add = |path: PathBuf| -> Result<(), ReadError> {
        // A guard may have compressed it since it was listed.
        let compressed = names::compressed(&path);
        let (path, canonical) = match fs::canonicalize(&path) {
            Err(_) if compressed.is_file() => (compressed.clone(), fs::canonicalize(&compressed)),
            canonical => (path, canonical),
        };
        let canonical = canonical.map_err(|e| ReadError::new(&path, e))?;
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
        if !path.is_dir() {
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
            } else if names::checkpoints_of(&name).is_some() && file.is_file() {
                signed.push(file);
            } else if names::is_trail(&name) && (file.is_file() || names::compressed(&file).is_file()) {
                add(file)?;
            }
        }
    }
    let mut folders: BTreeMap<String, usize> = BTreeMap::new();
    for (name, _) in groups.keys() {
        *folders.entry(name.clone()).or_default() += 1;
    }
    let mut chains: Vec<Chain> = Vec::new();
    for ((name, folder), files) in groups {
        let shared = folders.get(&name).is_some_and(|&folders| folders > 1);
        let mut chain = chain(name, &files, shared)?;
        chain.checkpoints = checkpoints(&folder, &chain.name)?;
        match chains.last_mut().filter(|other| other.continues(&chain)) {
            Some(other) => other.join(chain),
            None => chains.push(chain),
        }
    }
    // Signed heads of a trail that is not there at all: all of it was taken away, or is elsewhere.
    signed.retain(|file| !chains.iter().any(|chain| chain.checkpoints.contains(file)));
    for file in signed {
        let file_name = file.file_name().unwrap_or_default().to_string_lossy();
        let name = names::checkpoints_of(&file_name).unwrap_or_default().to_owned();
        chains.push(Chain {
            name,
            files: Vec::new(),
            live: None,
            checkpoints: vec![file],
            span: (u64::MAX, u64::MAX),
        });
    }
    Ok(Inputs { chains, torn })
}

/// The files of one folder. Where its last record is tells only whether folders that share a name have one trail
/// (`shared`): of a compressed file that takes reading all of it.
fn chain(name: String, files: &[PathBuf], shared: bool) -> Result<Chain, ReadError> {
    let mut spans: Vec<(u64, u64, PathBuf)> = Vec::new();
    for path in files {
        if let Some((first, last)) = span(path, shared).map_err(|e| ReadError::new(path, e))? {
            spans.push((first, last, path.clone()));
        }
    }
    let plain: Vec<(u64, PathBuf)> = spans
        .iter()
        .map(|(first, _, path)| (*first, names::compressed(path)))
        .collect();
    spans.retain(|(first, _, path)| !plain.contains(&(*first, path.clone())));
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
        checkpoints: Vec::new(),
        span,
    })
}

/// The numbers of the first and last record of a file, as far as they can be read; `None` for an empty one.
fn span(path: &Path, shared: bool) -> io::Result<Option<(u64, u64)>> {
    let mut text = Text::open(path)?;
    let first = match tail::first_of(&mut text) {
        Err(error) if text.damage(&error).is_none() => return Err(error),
        read => read.unwrap_or_default(),
    };
    // A file whose first line cannot be read stands where its name puts it.
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    let first = first.or_else(|| names::rotated_seq(&file_name)).unwrap_or(u64::MAX);
    let last = match &text {
        Text::Plain(reader) => {
            let file: &File = reader.get_ref();
            let length = file.metadata()?.len();
            if length == 0 {
                return Ok(None);
            }
            tail::find(file, length)?.head
        }
        Text::Gzip(_) if !shared => None,
        Text::Gzip(_) => {
            let mut text = Text::open(path)?;
            match tail::last_of(&mut text) {
                Err(error) if text.damage(&error).is_none() => return Err(error),
                read => read.unwrap_or_default(),
            }
        }
    };
    Ok(Some((first, last.map_or(first, |head| head.seq))))
}

/// The files in a folder with signed heads of a trail.
fn checkpoints(folder: &Path, name: &str) -> Result<Vec<PathBuf>, ReadError> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let mut found = Vec::new();
    // A folder that may not be listed can still hold a file that may be read; its signed heads are then not seen, which
    // the report says.
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(found);
    };
    for entry in entries {
        let path = entry.map_err(|e| ReadError::new(folder, e))?.path();
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        if names::checkpoints_of(&file_name) == Some(name) && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
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
        self.checkpoints.extend(other.checkpoints);
        self.span = (self.span.0.min(other.span.0), self.span.1.max(other.span.1));
    }
}
