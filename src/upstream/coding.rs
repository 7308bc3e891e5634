//! The codings of an answer's body that is read.

use std::borrow::Cow;
use std::io::Read;

use brotli_decompressor::Decompressor as Brotli;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use ruzstd::decoding::StreamingDecoder as ZstdDecoder;

/// A coding that can be undone (RFC 9110 section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    /// The one that a Content-Encoding names; `None` for any other, and for several.
    fn named(name: &[u8]) -> Option<Self> {
        let name = name.trim_ascii().to_ascii_lowercase();
        match name.as_slice() {
            b"" | b"identity" => Some(Coding::Identity),
            b"gzip" | b"x-gzip" => Some(Coding::Gzip),
            b"deflate" => Some(Coding::Deflate),
            b"br" => Some(Coding::Brotli),
            b"zstd" => Some(Coding::Zstd),
            _ => None,
        }
    }
}

/// Whether [`decoded`] can undo what a Content-Encoding names.
pub(super) fn is_known(coding: Option<&[u8]>) -> bool {
    Coding::named(coding.unwrap_or_default()).is_some()
}

/// A body, plain or compressed as its Content-Encoding says; decompression stops at `most` bytes, and a decoder holds
/// 16 MiB at most. `None` where it is not what its coding says; one of an unknown coding is given as it is.
pub fn decoded<'b>(body: &'b [u8], coding: Option<&[u8]>, most: usize) -> Option<Cow<'b, [u8]>> {
    let most = most as u64;
    let mut text = Vec::new();
    let read = match Coding::named(coding.unwrap_or_default()) {
        None | Some(Coding::Identity) => return Some(Cow::Borrowed(body)),
        Some(Coding::Gzip) => MultiGzDecoder::new(body).take(most).read_to_end(&mut text),
        Some(Coding::Deflate) => ZlibDecoder::new(body).take(most).read_to_end(&mut text),
        Some(Coding::Brotli) => Brotli::new(body, BUFFER).take(most).read_to_end(&mut text),
        Some(Coding::Zstd) => {
            let decoder = ZstdDecoder::new_with_max_window_size(body, LARGEST_WINDOW).ok()?;
            decoder.take(most).read_to_end(&mut text)
        }
    };
    read.ok().map(|_| Cow::Owned(text))
}

/// The bytes that a Brotli decoder reads at once.
const BUFFER: usize = 4 * 1024;

/// The largest window that Zstandard may ask for: what RFC 8878 section 3.1.1.1.2 tells encoders to stay within. It is
/// reserved before the first byte, and a header of six bytes could else ask for 128 MiB.
const LARGEST_WINDOW: u64 = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of one raw byte whose header asks for a window of `1 << (10 + exponent)` bytes.
    fn zstd_frame(exponent: u8) -> Vec<u8> {
        [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, exponent << 3][..], &[0x09, 0, 0, b'x']].concat()
    }

    #[test]
    fn a_frame_may_not_ask_for_more_memory_than_it_needs() {
        assert_eq!(decoded(&zstd_frame(13), Some(b"zstd"), 100).as_deref(), Some(&b"x"[..]));
        assert_eq!(decoded(&zstd_frame(17), Some(b"zstd"), 100), None);
    }
}
