//! A file of the trail as text, as a stream: plain, or compressed with gzip by the guard or by hand.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::names;

const BUFFER: usize = 64 * 1024;

/// The text of a file. Whatever a compressed one unpacks to, one buffer of it is in memory.
#[derive(Debug)]
pub(super) enum Text {
    Plain(BufReader<File>),
    Gzip(BufReader<MultiGzDecoder<BufReader<File>>>),
}

impl Text {
    /// Opens a file. Where it was compressed after somebody listed it, what stands there now is opened.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                File::open(names::compressed(path)).map_err(|_| error)?
            }
            opened => opened?,
        };
        let mut reader = BufReader::with_capacity(BUFFER, file);
        // Told by content: a name may say anything, and no line of JSON begins like gzip. Only what is named so and begins
        // like neither is a compressed file whose beginning is damaged.
        let start = reader.fill_buf()?;
        let named = path.extension().is_some_and(|extension| extension == "gz");
        if start.starts_with(b"\x1f\x8b") || (named && !start.starts_with(b"{")) {
            let unpacked = MultiGzDecoder::new(reader);
            return Ok(Text::Gzip(BufReader::with_capacity(BUFFER, unpacked)));
        }
        Ok(Text::Plain(reader))
    }

    /// What is wrong with compressed bytes, where an error of reading tells of them and not of the disk.
    pub(super) fn damage(&self, error: &io::Error) -> Option<String> {
        match self {
            Text::Plain(_) => None,
            Text::Gzip(_) if error.raw_os_error().is_some() => None,
            Text::Gzip(_) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Some("the compressed file ends too early: it was cut off, or is still being copied".to_owned())
            }
            Text::Gzip(_) => Some(format!("the compressed file is damaged here: {error}")),
        }
    }

    /// The file that is read.
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        match self {
            Text::Plain(reader) => reader.get_ref().metadata(),
            Text::Gzip(reader) => reader.get_ref().get_ref().get_ref().metadata(),
        }
    }
}

impl Read for Text {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Text::Plain(reader) => reader.read(into),
            Text::Gzip(reader) => reader.read(into),
        }
    }
}

impl BufRead for Text {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self {
            Text::Plain(reader) => reader.fill_buf(),
            Text::Gzip(reader) => reader.fill_buf(),
        }
    }

    fn consume(&mut self, used: usize) {
        match self {
            Text::Plain(reader) => reader.consume(used),
            Text::Gzip(reader) => reader.consume(used),
        }
    }
}
