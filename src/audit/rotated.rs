//! The files that were rotated: plain, compressed, or for a moment both.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::chain::Head;
use super::names::{self, Form, Names};
use super::settings::Keep;
use super::tail;
use super::text::Text;

/// Where rotated files stand, and how many of them.
#[derive(Clone, Debug)]
pub(super) struct Rotations {
    pub(super) names: Names,
    pub(super) keep: Keep,
}

/// A file that was rotated.
#[derive(Clone, Debug)]
pub(super) struct Rotated {
    pub(super) first_seq: u64,
    /// Its name as a plain file, whether it is one or not.
    pub(super) plain: PathBuf,
    pub(super) is_plain: bool,
    pub(super) is_compressed: bool,
}

impl Rotated {
    /// What is read of it: where both are there, the plain one is what the compressed one was made from.
    fn path(&self) -> PathBuf {
        if self.is_plain {
            self.plain.clone()
        } else {
            names::compressed(&self.plain)
        }
    }

    /// Its last good line, if it can be read.
    fn last_record(&self) -> io::Result<Option<Head>> {
        let mut text = Text::open(&self.path())?;
        match &text {
            Text::Plain(reader) => {
                let file = reader.get_ref();
                Ok(tail::find(file, file.metadata()?.len())?.head)
            }
            Text::Gzip(_) => tail::last_of(&mut text),
        }
    }

    /// How a record names it.
    pub(super) fn describe(&self) -> io::Result<String> {
        let name = file_name(&self.path());
        let last = match self.last_record() {
            // What is damaged goes too, and is no reason to keep all that is older.
            Err(error) if error.raw_os_error().is_none() => None,
            read => read?,
        };
        Ok(match last {
            Some(head) => format!(
                "{name} (records {} to {}, head {})",
                self.first_seq, head.seq, head.hash
            ),
            None => format!("{name} (unreadable)"),
        })
    }
}

impl Rotations {
    /// All of them, oldest first.
    pub(super) fn all(&self) -> io::Result<Vec<Rotated>> {
        let mut all = BTreeMap::new();
        for entry in fs::read_dir(&self.names.folder)? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                continue;
            };
            let (first_seq, is_compressed) = match self.names.form(&name) {
                Some((seq, Form::Plain)) => (seq, false),
                Some((seq, Form::Compressed)) => (seq, true),
                Some((_, Form::Compressing)) | None => continue,
            };
            let path = entry.path();
            let plain = if is_compressed { path.with_extension("") } else { path };
            let rotated = all.entry((first_seq, plain.clone())).or_insert(Rotated {
                first_seq,
                plain,
                is_plain: false,
                is_compressed: false,
            });
            rotated.is_compressed |= is_compressed;
            rotated.is_plain |= !is_compressed;
        }
        Ok(all.into_values().collect())
    }

    /// Those that are too many, oldest first.
    pub(super) fn surplus(&self) -> io::Result<Vec<Rotated>> {
        let Keep::Newest(keep) = self.keep else {
            return Ok(Vec::new());
        };
        let mut all = self.all()?;
        let surplus = all.len().saturating_sub(usize::try_from(keep).unwrap_or(usize::MAX));
        all.truncate(surplus);
        Ok(all)
    }

    /// The newest record in any of them.
    pub(super) fn newest_record(&self) -> io::Result<Option<Head>> {
        match self.all()?.pop() {
            Some(newest) => newest.last_record().map_err(|error| {
                // A chain that went on from an older record would have two ends.
                let name = file_name(&newest.path());
                io::Error::new(error.kind(), format!("its newest rotated file {name}: {error}"))
            }),
            None => Ok(None),
        }
    }

    /// What was being compressed when the guard ended.
    pub(super) fn unfinished(&self) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.names.folder)? {
            let entry = entry?;
            let form = entry.file_name().to_str().and_then(|name| self.names.form(name));
            if matches!(form, Some((_, Form::Compressing))) {
                found.push(entry.path());
            }
        }
        Ok(found)
    }

    /// Removes files, in both forms.
    pub(super) fn remove(&self, files: &[Rotated]) -> io::Result<()> {
        for file in files {
            for (there, path) in [
                (file.is_plain, file.plain.clone()),
                (file.is_compressed, names::compressed(&file.plain)),
            ] {
                if there {
                    fs::remove_file(path)?;
                }
            }
        }
        self.sync()
    }

    /// Waits until the folder's names are on disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.names.folder)?.sync_all()
    }
}

/// A file's name alone: records need not tell where a trail was kept.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(PathBuf::new, PathBuf::from)
        .display()
        .to_string()
}
