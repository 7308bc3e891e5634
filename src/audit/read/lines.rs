//! A file as a stream of numbered lines.

use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use crate::audit::tail::MAX_LINE;
use crate::audit::text::Text;

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
    /// What is wrong with the compressed file from here on; nothing follows.
    Damaged(String),
}

/// Reads a file line by line; at its end, more may follow.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) path: PathBuf,
    reader: Text,
    number: u64,
    partial: Vec<u8>,
    /// The rest of the line is skipped: it is too long.
    skipping: bool,
    /// Nothing more can be read: the compressed file is damaged.
    damaged: bool,
}

impl Lines {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Lines {
            path: path.to_owned(),
            reader: Text::open(path)?,
            number: 0,
            partial: Vec::new(),
            skipping: false,
            damaged: false,
        })
    }

    /// The next line that ends with a newline; `None` at the end of what is there now.
    pub(super) fn next_finished(&mut self) -> io::Result<Option<Line>> {
        loop {
            if self.damaged {
                return Ok(None);
            }
            let available = match self.reader.fill_buf() {
                Ok(available) => available,
                Err(error) => return self.damage(error).map(Some),
            };
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

    /// The place where a compressed file cannot be read any further.
    fn damage(&mut self, error: io::Error) -> io::Result<Line> {
        let what = self.reader.damage(&error).ok_or(error)?;
        (self.damaged, self.skipping) = (true, false);
        self.partial = Vec::new();
        Ok(Line {
            number: self.number + 1,
            content: Content::Damaged(what),
        })
    }

    /// The file that is read, for telling whether another one stands under its name now.
    pub(super) fn metadata(&self) -> io::Result<std::fs::Metadata> {
        self.reader.metadata()
    }
}
