//! How long a message's body is (RFC 9112 section 6.3), and how that is said of the one that is written in its place.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, StatusCode, Version};

use super::head::Has;

/// The length of a body that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// So many bytes.
    Exactly(u64),
    /// Chunks, to the last.
    Chunked,
    /// All that comes before the connection ends. Answers alone.
    UntilClose,
}

/// What the fields of a head say of its body's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    Exactly(u64),
    Chunked,
    /// Codings of which the last is not `chunked`: the length cannot be told.
    Codings,
}

/// A Content-Length that is no number, or two that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadLength;

fn said(headers: &HeaderMap, has: Has) -> Result<Said, BadLength> {
    let length = if has.content_length {
        content_length(headers)?
    } else {
        None
    };
    if !has.transfer_encoding {
        return Ok(length.map_or(Said::Nothing, Said::Exactly));
    }
    // The last coding decides; whether others stand before it is for others to judge.
    Ok(match headers.get_all(TRANSFER_ENCODING).iter().next_back() {
        Some(codings) if ends_chunked(codings) => Said::Chunked,
        Some(_) => Said::Codings,
        None => length.map_or(Said::Nothing, Said::Exactly),
    })
}

/// Leaves one word on the length for whoever reads on: a length that chunks overrule goes (RFC 9112 section 6.3), and of
/// lines that say the same one stays (RFC 9110 section 8.6).
fn say_once(headers: &mut HeaderMap, has: Has) {
    if has.transfer_encoding {
        headers.remove(CONTENT_LENGTH);
    } else if has.content_length
        && headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some()
        && let Some(first) = headers.remove(CONTENT_LENGTH)
    {
        headers.insert(CONTENT_LENGTH, first);
    }
}

/// Content-Length, where it is there; lines that say the same are one.
pub(super) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, BadLength> {
    let mut lines = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lines.next() else { return Ok(None) };
    if lines.any(|other| other != first) {
        return Err(BadLength);
    }
    // Digits alone: `+1` and `1, 1` are not.
    let digits = first.to_str().map_err(|_| BadLength)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadLength);
    }
    digits.parse().map(Some).map_err(|_| BadLength)
}

fn ends_chunked(codings: &HeaderValue) -> bool {
    let last = codings.to_str().ok().and_then(|codings| codings.rsplit(',').next());
    last.is_some_and(|last| last.trim_matches([' ', '\t']).eq_ignore_ascii_case("chunked"))
}

/// A request's.
///
/// # Errors
/// Where it cannot be told.
pub(super) fn of_request(headers: &mut HeaderMap, has: Has, version: Version) -> Result<Length, BadLength> {
    if !has.content_length && !has.transfer_encoding {
        return Ok(Length::Exactly(0));
    }
    let said = said(headers, has)?;
    say_once(headers, has);
    match said {
        Said::Nothing => Ok(Length::Exactly(0)),
        Said::Exactly(length) => Ok(Length::Exactly(length)),
        Said::Chunked if version != Version::HTTP_10 => Ok(Length::Chunked),
        Said::Chunked | Said::Codings => Err(BadLength),
    }
}

/// An answer's, to a request that was HEAD or not.
///
/// # Errors
/// Where its Content-Length is none, it has chunks in a version that knows none (RFC 9112 section 6.1), or another coding
/// than chunks, which nobody asked for: its name would be lost on the way.
pub(super) fn of_response(
    headers: &mut HeaderMap,
    has: Has,
    version: Version,
    status: StatusCode,
    to_head: bool,
) -> Result<Length, BadLength> {
    let said = said(headers, has)?;
    say_once(headers, has);
    if to_head || !may_have_content(status) {
        return Ok(Length::Exactly(0));
    }
    match said {
        Said::Nothing => Ok(Length::UntilClose),
        Said::Exactly(length) => Ok(Length::Exactly(length)),
        Said::Chunked if version != Version::HTTP_10 && is_chunked_alone(headers) => Ok(Length::Chunked),
        Said::Chunked | Said::Codings => Err(BadLength),
    }
}

fn is_chunked_alone(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let first = codings
        .next()
        .is_some_and(|coding| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"));
    first && codings.next().is_none()
}

/// Whether answers of this status have content (RFC 9110 section 6.4.1).
pub(super) fn may_have_content(status: StatusCode) -> bool {
    !status.is_informational() && status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for &(name, value) in lines {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    const ALL: Has = Has {
        connection: true,
        content_length: true,
        expect: true,
        te: true,
        transfer_encoding: true,
    };

    #[test]
    fn the_length_of_a_request() {
        let of = |lines: &[_]| of_request(&mut headers(lines), ALL, Version::HTTP_11);
        assert_eq!(of(&[]), Ok(Length::Exactly(0)));
        assert_eq!(of(&[("content-length", "12")]), Ok(Length::Exactly(12)));
        assert_eq!(
            of(&[("content-length", "12"), ("content-length", "12")]),
            Ok(Length::Exactly(12))
        );
        assert_eq!(of(&[("transfer-encoding", "gzip, Chunked")]), Ok(Length::Chunked));
        assert_eq!(
            of(&[("content-length", "4"), ("transfer-encoding", "chunked")]),
            Ok(Length::Chunked)
        );
        for value in ["", "+1", "-1", "0x1", "1, 1", "1 1", "18446744073709551616", "1.0"] {
            assert_eq!(of(&[("content-length", value)]), Err(BadLength), "{value:?}");
        }
        assert_eq!(of(&[("content-length", "1"), ("content-length", "2")]), Err(BadLength));
        // A length that is none is none beside chunks too.
        assert_eq!(
            of(&[("content-length", "x"), ("transfer-encoding", "chunked")]),
            Err(BadLength)
        );
        for coding in ["gzip", "chunked, gzip", "identity", "", "xchunked", "chunked;q=1"] {
            assert_eq!(of(&[("transfer-encoding", coding)]), Err(BadLength), "{coding:?}");
        }
        let mut chunked = headers(&[("transfer-encoding", "chunked")]);
        assert_eq!(of_request(&mut chunked, ALL, Version::HTTP_10), Err(BadLength));
    }

    #[test]
    fn the_length_of_an_answer() {
        let of = |lines: &[_]| of_response(&mut headers(lines), ALL, Version::HTTP_11, StatusCode::OK, false);
        assert_eq!(of(&[]), Ok(Length::UntilClose));
        assert_eq!(of(&[("content-length", "3")]), Ok(Length::Exactly(3)));
        for coding in ["gzip", "gzip, chunked"] {
            assert_eq!(of(&[("transfer-encoding", coding)]), Err(BadLength), "{coding}");
        }
        assert_eq!(
            of(&[("content-length", "3"), ("transfer-encoding", "chunked")]),
            Ok(Length::Chunked)
        );
        assert_eq!(of(&[("content-length", "x")]), Err(BadLength));
        let mut long = headers(&[("content-length", "3")]);
        for (status, to_head) in [(200, true), (204, false), (304, false), (103, false)] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                of_response(&mut long, ALL, Version::HTTP_11, status, to_head),
                Ok(Length::Exactly(0))
            );
        }
    }
}
