//! A body that is being read from a connection.

use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use tokio::io::AsyncRead;

use super::BodyError;
use super::chunked::{Chunked, Next};
use super::framing::Length;
use super::input::Input;

/// See the module.
#[derive(Debug)]
pub(super) enum Decoder {
    /// So many bytes are left.
    Exactly(u64),
    Chunked(Chunked),
    UntilClose,
    /// The connection ended, which was the body's end.
    Closed,
}

impl Decoder {
    pub(super) fn new(length: Length) -> Self {
        match length {
            Length::Exactly(length) => Decoder::Exactly(length),
            Length::Chunked => Decoder::Chunked(Chunked::default()),
            Length::UntilClose => Decoder::UntilClose,
        }
    }

    /// Whether it was read to its end.
    pub(super) fn is_done(&self) -> bool {
        match self {
            Decoder::Exactly(left) => *left == 0,
            Decoder::Chunked(chunked) => chunked.is_done(),
            Decoder::UntilClose => false,
            Decoder::Closed => true,
        }
    }

    /// Whether something else may come on the connection behind it.
    pub(super) fn keeps_alive(&self) -> bool {
        !matches!(self, Decoder::UntilClose | Decoder::Closed)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self {
            Decoder::Exactly(left) => SizeHint::with_exact(*left),
            Decoder::Closed => SizeHint::with_exact(0),
            Decoder::Chunked(_) | Decoder::UntilClose => SizeHint::default(),
        }
    }

    /// All of it, where it has a length and was read with what came before it.
    pub(super) fn take_whole(&mut self, input: &mut BytesMut) -> Option<Bytes> {
        let Decoder::Exactly(left) = self else { return None };
        if *left == 0 {
            return Some(Bytes::new());
        }
        let length = usize::try_from(*left).ok().filter(|length| *length <= input.len())?;
        *left = 0;
        Some(input.split_to(length).freeze())
    }

    /// The next frame.
    pub(super) fn poll_frame<T: AsyncRead + Unpin>(
        &mut self,
        (io, input): (&mut T, &mut Input),
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let more = match self {
                Decoder::Closed | Decoder::Exactly(0) => return Poll::Ready(None),
                Decoder::Exactly(left) if input.is_empty() => *left,
                Decoder::UntilClose if input.is_empty() => u64::MAX,
                Decoder::UntilClose => return Poll::Ready(Some(Ok(Frame::data(input.bytes.split().freeze())))),
                Decoder::Exactly(left) => {
                    let most = usize::try_from(*left).unwrap_or(usize::MAX).min(input.bytes.len());
                    *left -= most as u64;
                    return Poll::Ready(Some(Ok(Frame::data(input.bytes.split_to(most).freeze()))));
                }
                Decoder::Chunked(chunked) => match chunked.next(&mut input.bytes) {
                    Ok(Next::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                    Ok(Next::Trailers(trailers)) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                    Ok(Next::End) => return Poll::Ready(None),
                    Ok(Next::More(more)) => more,
                    Err(_) => return Poll::Ready(Some(Err(BodyError::Chunks))),
                },
            };
            match ready!(input.poll_fill(io, more, cx)) {
                Ok(0) if matches!(self, Decoder::UntilClose) => *self = Decoder::Closed,
                Ok(0) => return Poll::Ready(Some(Err(BodyError::Incomplete))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            }
        }
    }
}
