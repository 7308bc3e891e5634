//! How the body that is written is framed.

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, COOKIE,
    EXPECT, HOST, HeaderName, MAX_FORWARDS, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue};

use super::spelling::write_field;

/// See the module.
#[derive(Clone, Debug)]
pub(super) enum Encoder {
    /// So many bytes are left; none for a message without a body.
    Exactly(u64),
    /// Chunks, and of trailers those that were announced, where the other side wants them.
    Chunked { announced: Option<Vec<HeaderName>> },
    /// The end of the connection ends the body.
    UntilClose,
}

/// A body that is not as long as its head says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WrongLength;

impl Encoder {
    /// Chunks, and the trailers that a head announces.
    pub(super) fn chunked(headers: &HeaderMap, with_trailers: bool) -> Self {
        let announced = with_trailers
            .then(|| announced(headers))
            .filter(|names| !names.is_empty());
        Encoder::Chunked { announced }
    }

    /// Notes that data is written, and writes what stands before it. Gives what stands behind.
    ///
    /// # Errors
    /// [`WrongLength`], where it is more than there should be.
    pub(super) fn data(&mut self, length: usize, out: &mut Vec<u8>) -> Result<&'static [u8], WrongLength> {
        match self {
            Encoder::Exactly(left) => {
                *left = left.checked_sub(length as u64).ok_or(WrongLength)?;
                Ok(b"")
            }
            Encoder::Chunked { .. } => {
                write_size(length, out);
                Ok(b"\r\n")
            }
            Encoder::UntilClose => Ok(b""),
        }
    }

    /// Writes what ends the body.
    ///
    /// # Errors
    /// [`WrongLength`], where it is less than there should be.
    pub(super) fn end(&self, trailers: Option<&HeaderMap>, out: &mut Vec<u8>) -> Result<(), WrongLength> {
        match self {
            Encoder::Exactly(0) | Encoder::UntilClose => Ok(()),
            Encoder::Exactly(_) => Err(WrongLength),
            Encoder::Chunked { announced } => {
                out.extend_from_slice(b"0\r\n");
                if let (Some(announced), Some(trailers)) = (announced, trailers) {
                    let sent = trailers.iter().filter(|(name, _)| announced.contains(name));
                    sent.for_each(|(name, value)| write_field(name.as_str().as_bytes(), value, out));
                }
                out.extend_from_slice(b"\r\n");
                Ok(())
            }
        }
    }
}

/// A chunk's size and the end of its line.
fn write_size(length: usize, out: &mut Vec<u8>) {
    let digits = (usize::BITS - length.leading_zeros()).div_ceil(4).max(1);
    for at in (0..digits).rev() {
        out.push(b"0123456789abcdef"[length >> (4 * at) & 15]);
    }
    out.extend_from_slice(b"\r\n");
}

/// The names in Trailer of fields that may stand in one (RFC 9110 section 6.5.1).
fn announced(headers: &HeaderMap) -> Vec<HeaderName> {
    let names = headers.get_all(TRAILER).iter().map(HeaderValue::as_bytes);
    names
        .flat_map(|line| line.split(|&byte| byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| !NO_TRAILERS.contains(name))
        .collect()
}

/// Fields that frame, route, authenticate or describe the message that they stand behind, and those of one connection.
static NO_TRAILERS: [HeaderName; 20] = [
    AUTHORIZATION,
    CACHE_CONTROL,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    COOKIE,
    EXPECT,
    HOST,
    MAX_FORWARDS,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    SET_COOKIE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_hexadecimal() {
        for length in [1, 15, 16, 255, 256, 65_536, usize::MAX] {
            let mut out = Vec::new();
            write_size(length, &mut out);
            assert_eq!(out, format!("{length:x}\r\n").into_bytes());
        }
    }

    #[test]
    fn a_body_is_as_long_as_its_head_says() {
        let mut exactly = Encoder::Exactly(3);
        assert_eq!(exactly.data(2, &mut Vec::new()), Ok(&b""[..]));
        assert_eq!(exactly.end(None, &mut Vec::new()), Err(WrongLength));
        assert_eq!(exactly.data(2, &mut Vec::new()), Err(WrongLength));
        assert_eq!(exactly.data(1, &mut Vec::new()), Ok(&b""[..]));
        assert_eq!(exactly.end(None, &mut Vec::new()), Ok(()));
    }

    #[test]
    fn trailers_go_as_far_as_they_were_announced_and_may_be_some() {
        let mut headers = HeaderMap::new();
        headers.insert(TRAILER, HeaderValue::from_static("X-Sum, content-length, not a name"));
        let mut trailers = HeaderMap::new();
        for name in ["x-sum", "x-other", "content-length"] {
            trailers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        let ended = |with_trailers| {
            let mut out = Vec::new();
            Encoder::chunked(&headers, with_trailers)
                .end(Some(&trailers), &mut out)
                .unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(ended(true), "0\r\nx-sum: 1\r\n\r\n");
        assert_eq!(ended(false), "0\r\n\r\n");
    }
}
