//! The body of a client's request, whichever HTTP it speaks.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::body::BodyFault;
use crate::http1::{self, Spelling};

/// See the module.
#[derive(Debug)]
pub enum ClientBody {
    /// HTTP/1.1.
    Http1(http1::Body),
    /// HTTP/2.
    Http2(Incoming),
}

impl ClientBody {
    /// Takes how the head before it was spelled; in HTTP/2 all names are in lower case (RFC 9113 section 8.2).
    pub fn take_spelling(&mut self) -> Option<Spelling> {
        match self {
            ClientBody::Http1(body) => Some(body.take_spelling()),
            ClientBody::Http2(_) => None,
        }
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        match &mut *self {
            ClientBody::Http1(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(|_| BodyFault::Broken))),
            ClientBody::Http2(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(|_| BodyFault::Broken))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ClientBody::Http1(body) => body.is_end_stream(),
            ClientBody::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ClientBody::Http1(body) => body.size_hint(),
            ClientBody::Http2(body) => body.size_hint(),
        }
    }
}
