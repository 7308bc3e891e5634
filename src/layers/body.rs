//! The body of an answer.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::masked::Masked;
use crate::http1::{Spelled, Spelling};
use crate::upstream::{BodyFault, Download};

/// The guard's own words, or the upstream's on their way through.
pub enum ReplyBody {
    /// The guard's own.
    Own(Option<Bytes>),
    /// The upstream's, streamed.
    Stream(Download),
    /// The upstream's, read to be recorded: what was read, and the rest.
    Read(Box<(VecDeque<Frame<Bytes>>, Download)>),
    /// The upstream's, without the guard's token.
    Masked(Box<Masked>),
}

impl ReplyBody {
    /// Where the answer comes from, if that is not the guard.
    pub(super) fn download_mut(&mut self) -> Option<&mut Download> {
        match self {
            ReplyBody::Own(_) => None,
            ReplyBody::Stream(download) => Some(download),
            ReplyBody::Read(parts) => Some(&mut parts.1),
            ReplyBody::Masked(body) => body.body_mut().download_mut(),
        }
    }
}

impl Spelled for ReplyBody {
    fn spelling(&self) -> Option<&Spelling> {
        match self {
            ReplyBody::Own(_) => None,
            ReplyBody::Stream(download) => download.spelling(),
            ReplyBody::Read(parts) => parts.1.spelling(),
            ReplyBody::Masked(body) => body.body().spelling(),
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        match &mut *self {
            ReplyBody::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            ReplyBody::Stream(download) => Pin::new(download).poll_frame(cx),
            ReplyBody::Read(parts) => match parts.0.pop_front() {
                Some(frame) => Poll::Ready(Some(Ok(frame))),
                None => Pin::new(&mut parts.1).poll_frame(cx),
            },
            ReplyBody::Masked(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ReplyBody::Own(bytes) => bytes.is_none(),
            ReplyBody::Stream(download) => download.is_end_stream(),
            ReplyBody::Read(parts) => parts.0.is_empty() && parts.1.is_end_stream(),
            ReplyBody::Masked(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ReplyBody::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            ReplyBody::Stream(download) => download.size_hint(),
            // The framing of the answer's head counts: a length if it gave one, chunks otherwise.
            ReplyBody::Read(..) => SizeHint::default(),
            ReplyBody::Masked(body) => body.size_hint(),
        }
    }
}
