//! The chunked transfer coding (RFC 9112 section 7.1), read strictly: lines end with CRLF, sizes are digits.

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use super::head;

/// How far a chunked body was read.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    state: State,
    /// Bytes of the lines that hold sizes, beyond the sizes: a sender may not send extensions for ever.
    extensions: usize,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    /// Before a line with a size.
    #[default]
    Size,
    /// In a chunk, so many bytes before its end.
    Data(u64),
    /// Behind a chunk, before its CRLF.
    DataEnd,
    /// Behind the last chunk.
    Trailers,
    Done,
}

/// What comes next in a chunked body.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    Data(Bytes),
    Trailers(HeaderMap),
    End,
    /// More bytes are needed, of which so many are content for sure.
    More(u64),
}

/// Bytes that are no chunks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadChunks;

impl Chunked {
    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Takes what it can off the input.
    ///
    /// # Errors
    /// [`BadChunks`].
    pub(super) fn next(&mut self, input: &mut BytesMut) -> Result<Next, BadChunks> {
        loop {
            match self.state {
                State::Size => {
                    let Some(size) = self.take_size(input)? else {
                        return Ok(Next::More(0));
                    };
                    self.state = if size == 0 { State::Trailers } else { State::Data(size) };
                }
                State::Data(left) => {
                    if input.is_empty() {
                        return Ok(Next::More(left));
                    }
                    let most = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    let left = left - most as u64;
                    self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                    return Ok(Next::Data(input.split_to(most).freeze()));
                }
                State::DataEnd => {
                    if input.len() < 2 {
                        return if b"\r\n".starts_with(input) {
                            Ok(Next::More(0))
                        } else {
                            Err(BadChunks)
                        };
                    }
                    if !input.starts_with(b"\r\n") {
                        return Err(BadChunks);
                    }
                    input.advance(2);
                    self.state = State::Size;
                }
                State::Trailers => {
                    let Some(trailers) = head::take_trailers(input, MOST_TRAILERS).map_err(|_| BadChunks)? else {
                        return Ok(Next::More(0));
                    };
                    self.state = State::Done;
                    if !trailers.is_empty() {
                        return Ok(Next::Trailers(trailers));
                    }
                }
                State::Done => return Ok(Next::End),
            }
        }
    }

    /// The size in a line, once that is complete.
    fn take_size(&mut self, input: &mut BytesMut) -> Result<Option<u64>, BadChunks> {
        let end = memchr::memchr(b'\n', input);
        let line = &input[..end.unwrap_or(input.len())];
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (size, rest) = line.split_at(digits);
        // A size is checked as it comes, so that nonsense is not waited for.
        if size.len() > MOST_DIGITS || (size.is_empty() && !rest.is_empty()) {
            return Err(BadChunks);
        }
        if self.extensions + rest.len() > MOST_EXTENSIONS {
            return Err(BadChunks);
        }
        let Some(end) = end else {
            return Ok(None);
        };
        let Some(extension) = rest.strip_suffix(b"\r") else {
            return Err(BadChunks);
        };
        let blank = extension.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let extension = &extension[blank..];
        if extension.contains(&b'\r') || !(extension.is_empty() || extension.starts_with(b";")) {
            return Err(BadChunks);
        }
        let size = std::str::from_utf8(size).map_err(|_| BadChunks)?;
        let size = u64::from_str_radix(size, 16).map_err(|_| BadChunks)?;
        // What is there in any case is free.
        self.extensions += rest.len() - 1;
        input.advance(end + 1);
        Ok(Some(size))
    }
}

/// Digits of a size: what a `u64` holds.
const MOST_DIGITS: usize = 16;
/// Bytes of all extensions of a body.
const MOST_EXTENSIONS: usize = 16 * 1024;
/// Bytes of a trailer section.
const MOST_TRAILERS: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Content, trailers, and what stands behind them.
    type Read = (Vec<u8>, Option<HeaderMap>, Vec<u8>);

    /// Everything that is read of these bytes when they come in pieces of so many.
    fn read(bytes: &[u8], piece: usize) -> Result<Read, BadChunks> {
        let (mut chunked, mut input) = (Chunked::default(), BytesMut::new());
        let (mut content, mut trailers) = (Vec::new(), None);
        let mut pieces = bytes.chunks(piece);
        loop {
            match chunked.next(&mut input)? {
                Next::Data(data) => content.extend_from_slice(&data),
                Next::Trailers(read) => trailers = Some(read),
                Next::End => break,
                Next::More(_) => input.extend_from_slice(pieces.next().ok_or(BadChunks)?),
            }
        }
        let rest = pieces.fold(input.to_vec(), |rest, piece| [rest, piece.to_vec()].concat());
        Ok((content, trailers, rest))
    }

    #[test]
    fn chunks_are_read_however_they_are_cut() {
        let bytes = b"3\r\nabc\r\n00a ;x=y\r\n0123456789\r\n0;z\r\nX-Sum: 7\r\n\r\nGET";
        for piece in 1..=bytes.len() {
            let (content, trailers, rest) = read(bytes, piece).unwrap();
            assert_eq!(
                (content.as_slice(), rest.as_slice()),
                (&b"abc0123456789"[..], &b"GET"[..])
            );
            assert_eq!(trailers.unwrap()["x-sum"], "7");
        }
        assert_eq!(read(b"0\r\n\r\n", 1).unwrap(), (Vec::new(), None, Vec::new()));
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for bytes in [
            &b"\r\n"[..],
            b"x\r\n",
            b"-1\r\na\r\n0\r\n\r\n",
            b"+1\r\na\r\n0\r\n\r\n",
            b"0x1\r\na\r\n0\r\n\r\n",
            b" 1\r\na\r\n0\r\n\r\n",
            b"1\na\r\n0\r\n\r\n",
            b"1\r\nab\r\n0\r\n\r\n",
            b"1\r\na\n0\r\n\r\n",
            b"1 2\r\na\r\n0\r\n\r\n",
            b"1;a\rb\r\na\r\n0\r\n\r\n",
            b"1\r\r\na\r\n0\r\n\r\n",
            b"1\x0c\r\na\r\n0\r\n\r\n",
            b"11111111111111111\r\n",
            b"0\r\nno colon\r\n\r\n",
            b"0\r\nX : 1\r\n\r\n",
        ] {
            for piece in [1, 2, bytes.len()] {
                assert_eq!(
                    read(bytes, piece),
                    Err(BadChunks),
                    "{:?}",
                    bytes.escape_ascii().to_string()
                );
            }
        }
        let long = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(MOST_EXTENSIONS));
        assert_eq!(read(long.as_bytes(), 1000), Err(BadChunks));
        let many = format!("{}0\r\n\r\n", "1;xxxxxxx\r\na\r\n".repeat(MOST_EXTENSIONS / 8 + 1));
        assert_eq!(read(many.as_bytes(), many.len()), Err(BadChunks));
        let trailers = format!("0\r\n{}\r\n", "X: 1\r\n".repeat(100));
        assert_eq!(read(trailers.as_bytes(), trailers.len()), Err(BadChunks));
    }
}
