//! A file as a stream of numbered lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::audit::tail::MAX_LINE;

/// A line of a file.
#[derive(Debug)]
pub(super) struct Line {
    /// Its number in the file, from 1.
    pub(super) number: u64,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    /// The bytes, without the newline.
    Whole(Vec<u8>),
    /// The last one, without a newline.
    Unfinished(Vec<u8>),
    /// More bytes than a line may have.
    TooLong,
}

/// Reads a file line by line; at its end, more may follow.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) path: PathBuf,
    reader: BufReader<File>,
    number: u64,
    partial: Vec<u8>,
    /// The rest of the line is skipped: it is too long.
    skipping: bool,
}

impl Lines {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let reader = BufReader::with_capacity(64 * 1024, File::open(path)?);
        Ok(Lines {
            path: path.to_owned(),
            reader,
            number: 0,
            partial: Vec::new(),
            skipping: false,
        })
    }

    /// The next line that ends with a newline; `None` at the end of what is there now.
    pub(super) fn next_finished(&mut self) -> io::Result<Option<Line>> {
        loop {
            let available = self.reader.fill_buf()?;
            if available.is_empty() {
                return Ok(None);
            }
            let newline = available.iter().position(|&b| b == b'\n');
            let part = &available[..newline.unwrap_or(available.len())];
            if self.partial.len() + part.len() > MAX_LINE {
                self.skipping = true;
                self.partial = Vec::new();
            } else if !self.skipping {
                self.partial.extend_from_slice(part);
            }
            let used = part.len() + usize::from(newline.is_some());
            self.reader.consume(used);
            if newline.is_some() {
                self.number += 1;
                let bytes = std::mem::take(&mut self.partial);
                let content = if self.skipping {
                    Content::TooLong
                } else {
                    Content::Whole(bytes)
                };
                self.skipping = false;
                return Ok(Some(Line {
                    number: self.number,
                    content,
                }));
            }
        }
    }

    /// The next line, the unfinished last one too.
    pub(super) fn next_line(&mut self) -> io::Result<Option<Line>> {
        if let Some(line) = self.next_finished()? {
            return Ok(Some(line));
        }
        if self.partial.is_empty() && !self.skipping {
            return Ok(None);
        }
        self.number += 1;
        let bytes = std::mem::take(&mut self.partial);
        let content = if self.skipping {
            Content::TooLong
        } else {
            Content::Unfinished(bytes)
        };
        self.skipping = false;
        Ok(Some(Line {
            number: self.number,
            content,
        }))
    }

    /// The file that is read, for telling whether another one stands under its name now.
    pub(super) fn metadata(&self) -> io::Result<std::fs::Metadata> {
        self.reader.get_ref().metadata()
    }
}
