//! Heads: taken apart by `httparse`, and kept as they were spelled. Lines may end with LF alone, as RFC 9112 section 2.2
//! allows; they are written on with CRLF.

use std::mem::MaybeUninit;
use std::ops::Range;

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version, request};
use smallvec::SmallVec;

use super::spelling::Spelling;

/// A request's head.
#[derive(Debug)]
pub(super) struct RequestHead {
    pub(super) parts: request::Parts,
    pub(super) spelling: Spelling,
    pub(super) has: Has,
}

/// An answer's head.
#[derive(Debug)]
pub(super) struct ResponseHead {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) spelling: Spelling,
    pub(super) has: Has,
}

/// Which of the fields that say how a message is read are there: most messages have few, and looking one up in vain
/// costs as much as finding it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Has {
    pub(super) connection: bool,
    pub(super) content_length: bool,
    pub(super) expect: bool,
    pub(super) te: bool,
    pub(super) transfer_encoding: bool,
}

impl Has {
    fn note(&mut self, name: &HeaderName) {
        match name.as_str().len() {
            2 => self.te |= name == TE,
            6 => self.expect |= name == EXPECT,
            10 => self.connection |= name == CONNECTION,
            14 => self.content_length |= name == CONTENT_LENGTH,
            17 => self.transfer_encoding |= name == TRANSFER_ENCODING,
            _ => {}
        }
    }
}

/// Why bytes are no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadHead {
    /// They make no sense (RFC 9112 sections 2.2, 3 and 5).
    #[error("malformed")]
    Malformed,
    /// The target is longer than [`MAX_TARGET`].
    #[error("the target is too long")]
    TargetTooLong,
    /// There is more than was asked for, or more than [`MAX_FIELDS`] fields.
    #[error("too large")]
    TooLarge,
}

/// Takes a request's head off the input, as soon as it is complete and if it has `most` bytes at most.
///
/// # Errors
/// [`BadHead`].
pub(super) fn take_request(input: &mut BytesMut, most: usize) -> Result<Option<RequestHead>, BadHead> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(input, &mut fields).map_err(bad)?;
    let httparse::Status::Complete(end) = parsed else {
        return if input.len() <= most {
            Ok(None)
        } else if memchr::memchr(b'\n', input.trim_ascii_start()).is_none() {
            Err(BadHead::TargetTooLong)
        } else {
            Err(BadHead::TooLarge)
        };
    };
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
        return Err(BadHead::Malformed);
    };
    if target.len() > MAX_TARGET {
        return Err(BadHead::TargetTooLong);
    }
    if end > most {
        return Err(BadHead::TooLarge);
    }
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| BadHead::Malformed)?;
    let start = input.as_ptr();
    let target = Place::of(start, target.as_bytes());
    let mut places = Places::new();
    note_places(start, request.headers, &mut places);
    let head = input.split_to(end).freeze();
    let mut parts = Request::new(()).into_parts().0;
    parts.method = method;
    parts.uri = Uri::from_maybe_shared(target.in_(&head)).map_err(|_| BadHead::Malformed)?;
    parts.version = version(minor);
    let has = fill(&mut parts.headers, &places, &head)?;
    Ok(Some(RequestHead {
        parts,
        spelling: Spelling::new(lines(&places, head), None),
        has,
    }))
}

/// The same for an answer's.
///
/// # Errors
/// [`BadHead`].
pub(super) fn take_response(input: &mut BytesMut, most: usize) -> Result<Option<ResponseHead>, BadHead> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut response, input, &mut fields)
        .map_err(bad)?;
    let httparse::Status::Complete(end) = parsed else {
        return if input.len() <= most {
            Ok(None)
        } else {
            Err(BadHead::TooLarge)
        };
    };
    if end > most {
        return Err(BadHead::TooLarge);
    }
    let (Some(status), Some(minor)) = (response.code, response.version) else {
        return Err(BadHead::Malformed);
    };
    let start = input.as_ptr();
    let reason = response.reason.map(|reason| Place::of(start, reason.as_bytes()));
    let mut places = Places::new();
    note_places(start, response.headers, &mut places);
    let head = input.split_to(end).freeze();
    let reason = reason.map_or_else(Bytes::new, |reason| reason.in_(&head));
    let mut headers = HeaderMap::new();
    let has = fill(&mut headers, &places, &head)?;
    Ok(Some(ResponseHead {
        status: StatusCode::from_u16(status).map_err(|_| BadHead::Malformed)?,
        version: version(minor),
        headers,
        spelling: Spelling::new(lines(&places, head), Some(reason)),
        has,
    }))
}

/// Trailers, taken off the input once they are complete.
///
/// # Errors
/// [`BadHead`].
pub(super) fn take_trailers(input: &mut BytesMut, most: usize) -> Result<Option<HeaderMap>, BadHead> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_TRAILERS];
    let parsed = httparse::parse_headers(input, &mut fields).map_err(bad)?;
    let httparse::Status::Complete((end, fields)) = parsed else {
        return if input.len() <= most {
            Ok(None)
        } else {
            Err(BadHead::TooLarge)
        };
    };
    let mut places = Places::new();
    note_places(input.as_ptr(), fields, &mut places);
    let bytes = input.split_to(end).freeze();
    // Behind chunks lines end as chunks do.
    if memchr::memchr_iter(b'\n', &bytes).any(|at| at == 0 || bytes[at - 1] != b'\r') {
        return Err(BadHead::Malformed);
    }
    let mut trailers = HeaderMap::new();
    fill(&mut trailers, &places, &bytes)?;
    Ok(Some(trailers))
}

/// Where something stands in a head, which is being borrowed while that is found out.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: u32,
    end: u32,
}

impl Place {
    fn of(head: *const u8, part: &[u8]) -> Self {
        // What is empty may stand anywhere, outside of the head too. Heads are far shorter than what 32 bits count:
        // were one not, its places would be none, and it refused.
        let start = if part.is_empty() {
            0
        } else {
            part.as_ptr().addr() - head.addr()
        };
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Place {
            start: place(start),
            end: place(start + part.len()),
        }
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    fn in_(self, head: &Bytes) -> Bytes {
        head.slice(self.range())
    }
}

/// The names and values of a head's fields. Most heads have fewer than this many.
type Places = SmallVec<[(Place, Place); 24]>;

fn note_places(head: *const u8, fields: &[httparse::Header<'_>], places: &mut Places) {
    places.extend(
        fields
            .iter()
            .map(|field| (Place::of(head, field.name.as_bytes()), Place::of(head, field.value))),
    );
}

fn fill(headers: &mut HeaderMap, places: &Places, head: &Bytes) -> Result<Has, BadHead> {
    headers.reserve(places.len());
    let mut has = Has::default();
    for (name, value) in places {
        let name = HeaderName::from_bytes(&head[name.range()]).map_err(|_| BadHead::Malformed)?;
        has.note(&name);
        let value = HeaderValue::from_maybe_shared(value.in_(head)).map_err(|_| BadHead::Malformed)?;
        headers.try_append(name, value).map_err(|_| BadHead::TooLarge)?;
    }
    Ok(has)
}

/// The field lines alone, without the line before them and the empty one behind.
fn lines(places: &Places, mut head: Bytes) -> Bytes {
    let start = places.first().map_or(head.len(), |(name, _)| name.start as usize);
    head.advance(start);
    head
}

/// The most fields of a head.
const MAX_FIELDS: usize = 256;
/// The most fields of a trailer section.
const MAX_TRAILERS: usize = 64;
/// The most bytes of a target: what `http::Uri` holds.
const MAX_TARGET: usize = u16::MAX as usize - 1;

fn version(minor: u8) -> Version {
    if minor == 0 { Version::HTTP_10 } else { Version::HTTP_11 }
}

fn bad(error: httparse::Error) -> BadHead {
    match error {
        httparse::Error::TooManyHeaders => BadHead::TooLarge,
        _ => BadHead::Malformed,
    }
}
