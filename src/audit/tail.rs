//! The end of a file: its last line that parses and chains.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::os::unix::fs::FileExt;

use serde::Deserialize;

use super::chain::{Head, LineHash};

/// The longest line, bytes. A record beyond it is not written, a line beyond it is not read.
pub(super) const MAX_LINE: usize = 4 * 1024 * 1024;

/// What of a line makes the chain.
#[derive(Debug, Deserialize)]
pub(super) struct Links {
    /// The line's number.
    pub(super) seq: u64,
    /// The hash of the line before it.
    pub(super) prev: String,
}

/// How a file ends.
#[derive(Debug)]
pub(super) struct Tail {
    /// Its last good line; `None` where it has none.
    pub(super) head: Option<Head>,
    /// Where that line ends, bytes.
    pub(super) end: u64,
}

/// Looks before `length` for the last line that parses and chains to the line before it, from the end backwards. The first line of a
/// file has only to parse: what came before it may be archived elsewhere.
pub(super) fn find(file: &File, length: u64) -> io::Result<Tail> {
    let mut end = length;
    while end > 0 {
        let line = Line::ending_at(file, end)?;
        if let Some(head) = line.head() {
            let chains = match line.start {
                0 => true,
                start => Line::ending_at(file, start)?.hash() == LineHash::parse(&head.1),
            };
            if chains {
                return Ok(Tail {
                    head: Some(head.0),
                    end,
                });
            }
        }
        end = line.start;
    }
    Ok(Tail { head: None, end: 0 })
}

/// Whether a file without a good line can be what a crash left of a trail's first write: the beginning of a record, or
/// the zeros of pages that never came to the disk.
pub(super) fn may_be_torn(file: &File, length: u64) -> io::Result<bool> {
    const START: &[u8] = b"{\"seq\":";
    let mut start = vec![0; usize::try_from(length).unwrap_or(usize::MAX).min(START.len())];
    file.read_exact_at(&mut start, 0)?;
    Ok(START.starts_with(&start) || start.iter().all(|&b| b == 0))
}

/// The number of a file's first line; `None` where it has none that parses.
pub(super) fn first_seq(file: &File) -> io::Result<Option<u64>> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 16 * 1024];
    while bytes.len() <= MAX_LINE {
        let read = file.read_at(&mut chunk, bytes.len() as u64)?;
        bytes.extend_from_slice(&chunk[..read]);
        if let Some(end) = bytes.iter().position(|&b| b == b'\n') {
            return Ok(serde_json::from_slice::<Links>(&bytes[..end])
                .ok()
                .map(|links| links.seq));
        }
        if read == 0 {
            break;
        }
    }
    Ok(None)
}

/// The number of a text's first line; `None` where it has none that parses.
pub(super) fn first_of(text: &mut impl BufRead) -> io::Result<Option<u64>> {
    let mut line = Vec::new();
    text.take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
    let links = line
        .strip_suffix(b"\n")
        .and_then(|line| serde_json::from_slice::<Links>(line).ok());
    Ok(links.map(|links| links.seq))
}

/// The last line of a text that parses and chains to the line before it, as [`find`] has it; the text is read from its
/// beginning, since what is compressed can only be read so.
pub(super) fn last_of(text: &mut impl BufRead) -> io::Result<Option<Head>> {
    let (mut line, mut last) = (Vec::new(), None);
    let (mut first, mut before) = (true, None);
    loop {
        line.clear();
        text.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
        let Some(end) = line.pop() else { return Ok(last) };
        // Without its newline it is too long, or torn: nothing chains to it.
        let hash = (end == b'\n').then(|| LineHash::of(&line));
        if let Some(hash) = hash
            && let Ok(links) = serde_json::from_slice::<Links>(&line)
            && (first || before.is_some() && before == LineHash::parse(&links.prev))
        {
            last = Some(Head { seq: links.seq, hash });
        }
        (first, before) = (false, hash);
    }
}

struct Line {
    start: u64,
    /// Without its newline; `None` where there is no newline or the line is too long.
    bytes: Option<Vec<u8>>,
}

impl Line {
    /// The line whose last byte, its newline if it has one, stands before `end`, which is not 0.
    fn ending_at(file: &File, end: u64) -> io::Result<Self> {
        let mut last = [0];
        file.read_exact_at(&mut last, end - 1)?;
        let whole = last == [b'\n'];
        let content_end = if whole { end - 1 } else { end };
        let start = start_of_line(file, content_end)?;
        let length = usize::try_from(content_end - start).unwrap_or(usize::MAX);
        if !whole || length > MAX_LINE {
            return Ok(Line { start, bytes: None });
        }
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, start)?;
        Ok(Line {
            start,
            bytes: Some(bytes),
        })
    }

    fn hash(&self) -> Option<LineHash> {
        self.bytes.as_deref().map(LineHash::of)
    }

    fn head(&self) -> Option<(Head, String)> {
        let bytes = self.bytes.as_deref()?;
        let links: Links = serde_json::from_slice(bytes).ok()?;
        Some((
            Head {
                seq: links.seq,
                hash: LineHash::of(bytes),
            },
            links.prev,
        ))
    }
}

/// Behind the last newline before `end`, or 0.
fn start_of_line(file: &File, end: u64) -> io::Result<u64> {
    const CHUNK: u64 = 16 * 1024;
    let mut chunk = vec![0; 16 * 1024];
    let mut end = end;
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        let part = &mut chunk[..usize::try_from(end - start).unwrap_or_default()];
        file.read_exact_at(part, start)?;
        if let Some(at) = part.iter().rposition(|&b| b == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
