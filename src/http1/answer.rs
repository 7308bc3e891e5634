//! An answer's head, as the request allows it.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TE};
use http::{Method, StatusCode, Version, response};
use http_body::Body;

use super::encoder::Encoder;
use super::framing;
use super::head::RequestHead;
use super::spelling::{Spelling, has_token, write_fields};

/// An answer's body that knows how its head was spelled.
pub trait Spelled {
    /// The spelling of the head before it, where it came from elsewhere.
    fn spelling(&self) -> Option<&Spelling>;
}

/// What a request's head says of its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// Whether the connection goes on behind it.
    pub(super) keep_alive: bool,
    is_head: bool,
    is_http_1_0: bool,
    wants_trailers: bool,
}

impl Asked {
    pub(super) fn of(head: &RequestHead) -> Self {
        let RequestHead { parts, has, .. } = head;
        let is_http_1_0 = parts.version == Version::HTTP_10;
        let says = |token| has.connection && has_token(&parts.headers, &CONNECTION, token);
        // Read by its chunks, while somebody before the guard may have read it by its length (RFC 9112 section 6.1).
        let has_both = has.transfer_encoding && has.content_length;
        let wants_close = says("close") || (is_http_1_0 && !says("keep-alive"));
        Asked {
            keep_alive: !has_both && !wants_close,
            is_head: parts.method == Method::HEAD,
            is_http_1_0,
            wants_trailers: has.te && has_token(&parts.headers, &TE, "trailers"),
        }
    }

    /// Whether an answer of this status has content.
    pub(super) fn gets_content(self, status: StatusCode) -> bool {
        !self.is_head && framing::may_have_content(status)
    }

    /// Writes the head of an answer, and says how its body is framed. It ends the connection where nothing else can end
    /// the body.
    pub(super) fn write_head<B>(&mut self, mut head: response::Parts, body: &B, out: &mut Vec<u8>) -> Encoder
    where
        B: Body<Data = Bytes> + Spelled,
    {
        let spelling = body.spelling();
        let reason = spelling
            .and_then(Spelling::reason)
            .unwrap_or_else(|| head.status.canonical_reason().unwrap_or_default().as_bytes());
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(head.status.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(reason);
        out.extend_from_slice(b"\r\n");
        let said = framing::content_length(&head.headers).ok().flatten();
        let encoder = if !framing::may_have_content(head.status) {
            if head.status != StatusCode::NOT_MODIFIED {
                head.headers.remove(CONTENT_LENGTH);
            }
            Encoder::Exactly(0)
        } else if self.is_head {
            // What it would be, if that is known.
            if let (None, Some(length @ 1..)) = (said, body.size_hint().exact()) {
                write_line("content-length", length, out);
            }
            Encoder::Exactly(0)
        } else if let Some(length) = said {
            Encoder::Exactly(length)
        } else if let Some(length) = body.size_hint().exact() {
            write_line("content-length", length, out);
            Encoder::Exactly(length)
        } else if self.is_http_1_0 {
            self.keep_alive = false;
            Encoder::UntilClose
        } else {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
            Encoder::chunked(&head.headers, self.wants_trailers)
        };
        write_fields(&head.headers, spelling, out);
        if !self.keep_alive {
            out.extend_from_slice(b"connection: close\r\n");
        } else if self.is_http_1_0 {
            out.extend_from_slice(b"connection: keep-alive\r\n");
        }
        out.extend_from_slice(b"\r\n");
        encoder
    }
}

fn write_line(name: &str, number: u64, out: &mut Vec<u8>) {
    use std::io::Write as _;
    // Writing to memory does not fail.
    let _ = write!(out, "{name}: {number}\r\n");
}
