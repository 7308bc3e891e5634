//! The codings of an answer's body that is read.

use std::borrow::Cow;
use std::io::Read;

use brotli_decompressor::Decompressor as Brotli;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use ruzstd::decoding::StreamingDecoder as ZstdDecoder;
use serde_json::Value;

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
    } else if coding.eq_ignore_ascii_case(b"br") {
        Brotli::new(body, BUFFER).take(most).read_to_end(&mut text)
    } else if coding.eq_ignore_ascii_case(b"zstd") {
        let decoder = ZstdDecoder::new(body).ok()?;
        decoder.take(most).read_to_end(&mut text)
    } else {
        return Some(Cow::Borrowed(body));
    };
    read.ok().map(|_| Cow::Owned(text))
}

/// The bytes that a Brotli decoder reads at once.
const BUFFER: usize = 4 * 1024;

/// A whole number that is not negative, also one that is written with a fraction of zero.
pub fn whole_number(value: &Value) -> Option<u64> {
    let fraction = || {
        value
            .as_f64()
            .filter(|number| number.fract() == 0.0 && (0.0..=LARGEST).contains(number))
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked"
    )]
    value.as_u64().or_else(|| fraction().map(|number| number as u64))
}

/// Up to here a double tells every whole number apart.
const LARGEST: f64 = 9_007_199_254_740_992.0;
