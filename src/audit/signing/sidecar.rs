//! The file of checkpoints beside a trail: one JSON object a line, appended and synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::checkpoint::Checkpoint;

/// No line is as long.
const MOST: u64 = 64 * 1024;

/// The file, open between two lines.
#[derive(Debug)]
pub(super) struct Sidecar {
    path: PathBuf,
    /// `None` before the first line and after a failure.
    file: Option<File>,
}

impl Sidecar {
    pub(super) fn new(path: PathBuf) -> Self {
        Sidecar { path, file: None }
    }

    /// Appends a line and waits for the disk. After an error the file is opened anew, and what was written of the line cut.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) if self.is_there(&file) => file,
            _ => self.open()?,
        };
        file.write_all(line)?;
        file.sync_data()?;
        self.file = Some(file);
        Ok(())
    }

    /// Whether the path still leads to the open file: it may have been moved away.
    fn is_there(&self, file: &File) -> bool {
        let same = |a: fs::Metadata, b: fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        fs::metadata(&self.path).is_ok_and(|there| file.metadata().is_ok_and(|here| same(here, there)))
    }

    fn open(&self) -> io::Result<File> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)?;
        let length = file.metadata()?.len();
        let mut end = vec![0; usize::try_from(length.min(MOST)).unwrap_or_default()];
        let start = length - end.len() as u64;
        file.read_exact_at(&mut end, start)?;
        // A crash may have torn the last line.
        match end.iter().rposition(|&byte| byte == b'\n') {
            Some(newline) => file.set_len(length - (end.len() - newline - 1) as u64)?,
            None if end.is_empty() || (length < MOST && end.starts_with(b"{")) => file.set_len(0)?,
            None => {
                let what = "holds something else than checkpoints; it is left alone";
                return Err(io::Error::other(what));
            }
        }
        self.sync_folder()?;
        Ok(file)
    }

    /// Drops the checkpoints of records that are gone: of those before `first`, all but the last, which is the head that
    /// the first one chains to.
    pub(super) fn forget_before(&mut self, first: u64) -> io::Result<()> {
        let gone = |line: &[u8]| Checkpoint::seq_of(line).is_some_and(|seq| seq.saturating_add(1) < first);
        let mut lines = Lines::open(&self.path)?;
        match lines.next()? {
            Some(line) if gone(line) => {}
            _ => return Ok(()),
        }
        let mut temporary = self.path.clone().into_os_string();
        temporary.push(".tmp");
        let temporary = Path::new(&temporary);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(temporary)?;
        let copied = (|| {
            let mut to = BufWriter::new(&file);
            while let Some(line) = lines.next()? {
                if !gone(line) {
                    to.write_all(line)?;
                }
            }
            to.flush()?;
            file.sync_all()?;
            fs::rename(temporary, &self.path)?;
            self.sync_folder()
        })();
        if copied.is_err() {
            _ = fs::remove_file(temporary);
        }
        self.file = None;
        copied
    }

    fn sync_folder(&self) -> io::Result<()> {
        match self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => File::open(folder)?.sync_all(),
            None => File::open(".")?.sync_all(),
        }
    }
}

/// Lines with their ends, in one buffer.
struct Lines {
    reader: BufReader<File>,
    line: Vec<u8>,
}

impl Lines {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Lines {
            reader: BufReader::new(File::open(path)?),
            line: Vec::new(),
        })
    }

    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        // What is longer comes in pieces, none of which is a checkpoint: all are kept.
        let read = io::Read::take(&mut self.reader, MOST).read_until(b'\n', &mut self.line)?;
        Ok((read > 0).then_some(self.line.as_slice()))
    }
}
