//! The codings of an answer's body that is read.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{MultiGzDecoder, ZlibDecoder};

/// A body, plain or compressed as its Content-Encoding says (RFC 9110 section 8.4.1); decompression stops at `most`
/// bytes. `None` where it is not what its coding says; one of an unknown coding is given as it is.
pub fn decoded<'b>(body: &'b [u8], coding: Option<&[u8]>, most: usize) -> Option<Cow<'b, [u8]>> {
    let coding = coding.unwrap_or_default().trim_ascii();
    let most = most as u64;
    let mut text = Vec::new();
    let read = if coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip") {
        MultiGzDecoder::new(body).take(most).read_to_end(&mut text)
    } else if coding.eq_ignore_ascii_case(b"deflate") {
        ZlibDecoder::new(body).take(most).read_to_end(&mut text)
    } else {
        return Some(Cow::Borrowed(body));
    };
    read.ok().map(|_| Cow::Owned(text))
}
