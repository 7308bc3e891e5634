//! The file of a trail: opened under a lock, repaired, appended to and rotated. It knows bytes, not records.
//!
//! A failed write or fdatasync says nothing of what is on disk, and the kernel may have dropped the pages that it could
//! not write, so neither is ever repeated. The file is closed instead; before the next write it is opened again, and
//! what stands behind the last *confirmed* line is moved to a `.torn-` file.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::chain::Head;
use super::names::Names;
use super::rotated::{Rotations, file_name};
use super::settings::{Durability, Settings};
use super::tail;

/// Why the file of a trail cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the lock.
    #[error("{} is being written by another process (a second guard on the same file?); give each guard its own audit.path", .0.display())]
    Locked(PathBuf),
    /// The file, its folder, or a file beside it failed.
    #[error("the audit file {}: {source}", .path.display())]
    Io {
        /// What failed.
        path: PathBuf,
        /// How it failed.
        source: io::Error,
    },
}

/// What opening a file brought.
#[derive(Clone, Debug)]
pub(super) struct Recovered {
    pub(super) head: Head,
    pub(super) set_aside: Option<SetAside>,
}

impl Recovered {
    /// What was found, for the `started` record.
    pub(super) fn describe(&self) -> String {
        let head = match self.head.seq {
            0 => "a new trail".to_owned(),
            seq => format!("continues behind record {seq}"),
        };
        match &self.set_aside {
            None => head,
            Some(torn) => format!(
                "{head}; {} torn bytes set aside to {}",
                torn.bytes,
                file_name(&torn.file)
            ),
        }
    }
}

/// What stood behind the last good line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Where it is now.
    pub file: PathBuf,
    /// How much it was, bytes.
    pub bytes: u64,
}

/// The file that is written, and those rotated from it.
#[derive(Debug)]
pub(super) struct TrailFile {
    rotations: Rotations,
    durability: Durability,
    max_size: u64,
    /// `None` after a failure, until it is opened again.
    open: Option<File>,
    /// Up to here all is confirmed, bytes.
    length: u64,
    /// The number of its first record.
    first_seq: u64,
    /// Whether it has more than the lines it was begun with.
    used: bool,
}

impl TrailFile {
    pub(super) fn new(path: &Path, settings: &Settings) -> Self {
        TrailFile {
            rotations: Rotations {
                names: Names::new(path),
                keep: settings.keep,
            },
            durability: settings.durability,
            max_size: settings.max_size,
            open: None,
            length: 0,
            first_seq: 1,
            used: false,
        }
    }

    /// Opens the file for the first time: creates it, locks it, and looks for the end of its chain.
    pub(super) fn open(&mut self, now: Timestamp) -> Result<Recovered, OpenError> {
        let file = self.locked()?;
        let length = file.metadata().map_err(|e| self.failed(e))?.len();
        let tail = tail::find(&file, length).map_err(|e| self.failed(e))?;
        if tail.head.is_none() && !tail::may_be_torn(&file, length).map_err(|e| self.failed(e))? {
            return Err(self.failed(io::Error::other(
                "holds something else than an audit trail; it is left alone",
            )));
        }
        let set_aside = self
            .set_aside(&file, tail.end, length, now)
            .map_err(|e| self.failed(e))?;
        let first_seq = tail::first_seq(&file).map_err(|e| self.failed(e))?;
        let head = match tail.head {
            Some(head) => head,
            None => self
                .rotations
                .newest_record()
                .map_err(|e| self.failed(e))?
                .unwrap_or(Head::GENESIS),
        };
        self.first_seq = first_seq.unwrap_or(head.seq + 1);
        self.used = tail.end > 0;
        self.length = tail.end;
        self.open = Some(file);
        Ok(Recovered { head, set_aside })
    }

    /// Opens the file again after a failure; afterwards it ends with `confirmed`.
    pub(super) fn reopen_after_failure(&mut self, confirmed: &Head, now: Timestamp) -> Result<(), OpenError> {
        if self.open.is_some() {
            return Ok(());
        }
        let file = self.locked()?;
        let length = file.metadata().map_err(|e| self.failed(e))?.len();
        if length == 0 {
            // Moved away, or rotated just before the failure: the chain goes on in the new file.
            self.begin(file, confirmed);
            return Ok(());
        }
        let ends_as_confirmed = length >= self.length && {
            let tail = tail::find(&file, self.length).map_err(|e| self.failed(e))?;
            tail.end == self.length && tail.head.is_none_or(|head| head == *confirmed)
        };
        if !ends_as_confirmed {
            let changed = "does not hold the last record that was confirmed: something else has changed it";
            return Err(self.failed(io::Error::other(changed)));
        }
        self.set_aside(&file, self.length, length, now)
            .map_err(|e| self.failed(e))?;
        self.open = Some(file);
        Ok(())
    }

    /// Opens the path again where another file, or none, stands there now; whether that was so.
    pub(super) fn reopen_if_moved(&mut self, confirmed: &Head) -> Result<bool, OpenError> {
        let current = self
            .open
            .as_ref()
            .map(File::metadata)
            .transpose()
            .map_err(|e| self.failed(e))?;
        let there = match fs::metadata(&self.rotations.names.path) {
            Ok(there) => Some(there),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(self.failed(e)),
        };
        let same = |a: &fs::Metadata, b: &fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        if current
            .as_ref()
            .zip(there.as_ref())
            .is_none_or(|(current, there)| same(current, there))
            && there.is_some()
        {
            return Ok(false);
        }
        let file = self.locked()?;
        if file.metadata().map_err(|e| self.failed(e))?.len() > 0 {
            return Err(self.failed(io::Error::other("another file that is not empty stands there now")));
        }
        if let Some(old) = self.open.take() {
            old.sync_data().map_err(|e| self.failed(e))?;
        }
        self.begin(file, confirmed);
        Ok(true)
    }

    /// Whether `line` more bytes behind `staged` would make the file too long. A file is never rotated before something
    /// else than its first lines stands in it.
    pub(super) fn is_full(&self, staged: usize, line: usize) -> bool {
        (self.used || staged > 0) && self.length + (staged + line) as u64 > self.max_size
    }

    /// Appends and waits for the disk, as the durability asks; how long the disk took. After an error the file is
    /// closed, and nothing of `bytes` counts as written.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<Option<Duration>> {
        let mut file = self
            .open
            .take()
            .ok_or_else(|| io::Error::other("the audit file is closed"))?;
        file.write_all(bytes)?;
        let took = match self.durability {
            Durability::Sync => {
                let start = Instant::now();
                file.sync_data()?;
                Some(start.elapsed())
            }
            Durability::Buffered => None,
        };
        self.length += bytes.len() as u64;
        self.used = true;
        self.open = Some(file);
        Ok(took)
    }

    /// Says that what was appended so far only begins the file.
    pub(super) fn begun(&mut self) {
        self.used = false;
    }

    /// Moves the file away under its rotated name, which it returns; the new file is begun by [`Self::begin_next`].
    pub(super) fn move_away(&mut self, now: Timestamp) -> io::Result<PathBuf> {
        if let Some(file) = &self.open {
            file.sync_data()?;
        }
        let name = self.rotations.names.rotated(self.first_seq, now);
        fs::rename(&self.rotations.names.path, &name)?;
        Ok(name)
    }

    /// Begins the file that follows a rotated one. The old one stays locked until then.
    pub(super) fn begin_next(&mut self, confirmed: &Head) -> Result<(), OpenError> {
        let old = self.open.take();
        let file = self.locked()?;
        drop(old);
        self.begin(file, confirmed);
        Ok(())
    }

    /// Where rotated files stand.
    pub(super) fn rotations(&self) -> &Rotations {
        &self.rotations
    }

    /// Another handle of the open file, where what is appended is not on disk by itself.
    pub(super) fn unsynced(&self) -> io::Result<Option<File>> {
        match (self.durability, &self.open) {
            (Durability::Buffered, Some(file)) => file.try_clone().map(Some),
            _ => Ok(None),
        }
    }

    /// Syncs and closes the file.
    pub(super) fn close(&mut self) -> io::Result<()> {
        self.open.take().map_or(Ok(()), |file| file.sync_data())
    }

    fn begin(&mut self, file: File, confirmed: &Head) {
        self.open = Some(file);
        self.length = 0;
        self.first_seq = confirmed.seq + 1;
        self.used = false;
    }

    /// Opens or creates the file and locks it.
    fn locked(&self) -> Result<File, OpenError> {
        let created = !self.rotations.names.folder.exists();
        if created {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.rotations.names.folder)
                .map_err(|e| self.failed(e))?;
            if let Some(parent) = self
                .rotations
                .names
                .folder
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty())
            {
                File::open(parent)
                    .and_then(|parent| parent.sync_all())
                    .map_err(|e| self.failed(e))?;
            }
        }
        loop {
            let open = OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .mode(0o600)
                .open(&self.rotations.names.path);
            let file = open.map_err(|e| self.failed(e))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(OpenError::Locked(self.rotations.names.path.clone())),
                Err(TryLockError::Error(e)) => return Err(self.failed(e)),
            }
            // Between opening and locking, the guard that held the lock may have rotated the file away.
            let held = file.metadata().map_err(|e| self.failed(e))?;
            let still_there =
                fs::metadata(&self.rotations.names.path).is_ok_and(|m| (m.dev(), m.ino()) == (held.dev(), held.ino()));
            if still_there {
                File::open(&self.rotations.names.folder)
                    .and_then(|f| f.sync_all())
                    .map_err(|e| self.failed(e))?;
                return Ok(file);
            }
        }
    }

    /// Moves what stands behind `end` to a file of its own.
    fn set_aside(&self, file: &File, end: u64, length: u64, now: Timestamp) -> io::Result<Option<SetAside>> {
        if length <= end {
            return Ok(None);
        }
        let path = self.rotations.names.torn(now);
        let copy = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        if let Err(e) = copy_from(file, end, &copy) {
            // Half a copy helps nobody, and may be what the disk has no room for. The original is still whole.
            _ = fs::remove_file(&path);
            return Err(e);
        }
        self.rotations.sync()?;
        file.set_len(end)?;
        file.sync_all()?;
        Ok(Some(SetAside {
            file: path,
            bytes: length - end,
        }))
    }

    fn failed(&self, source: io::Error) -> OpenError {
        OpenError::Io {
            path: self.rotations.names.path.clone(),
            source,
        }
    }
}

fn copy_from(mut from: &File, start: u64, mut to: &File) -> io::Result<()> {
    from.seek(SeekFrom::Start(start))?;
    io::copy(&mut from, &mut to)?;
    to.sync_all()
}
