//! A message on its way out: bytes that are not written yet, and the body behind them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame};
use tokio::io::AsyncWrite;

use super::encoder::{Encoder, WrongLength};

/// See the module. What is small goes into one write; large frames are not copied.
#[derive(Debug)]
pub(super) struct Output {
    /// The head, what frames the body, and small frames of it.
    small: Vec<u8>,
    /// How much of that is written.
    written: usize,
    /// A large frame, behind `small`.
    large: Bytes,
    /// What stands behind that.
    behind: &'static [u8],
    encoder: Encoder,
    ended: bool,
    /// Whether more of the body is waited for.
    starves: bool,
    /// Bytes that were written in all.
    total: u64,
}

/// Why a message was not written to its end.
#[derive(Debug)]
pub(super) enum WriteError<E> {
    /// The body broke off.
    Body(E),
    /// It is not as long as its head says.
    Length,
    Io(io::Error),
}

impl<E> From<WrongLength> for WriteError<E> {
    fn from(_: WrongLength) -> Self {
        WriteError::Length
    }
}

impl Output {
    /// A message whose head stands in `small`, and is followed by a body that is framed like this.
    pub(super) fn new(small: Vec<u8>, encoder: Encoder) -> Self {
        Output {
            small,
            written: 0,
            large: Bytes::new(),
            behind: b"",
            encoder,
            ended: false,
            starves: false,
            total: 0,
        }
    }

    /// A message without a body.
    pub(super) fn bare(head: Vec<u8>) -> Self {
        Output::new(head, Encoder::Exactly(0))
    }

    /// Whether it is the body that has to give more.
    pub(super) fn starves(&self) -> bool {
        self.starves
    }

    /// Bytes that were written so far.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The buffer, to be used again.
    pub(super) fn into_buffer(mut self) -> Vec<u8> {
        self.small.clear();
        if self.small.capacity() > MOST_KEPT {
            Vec::new()
        } else {
            self.small
        }
    }

    fn is_drained(&self) -> bool {
        self.small.len() == self.written && self.large.is_empty() && self.behind.is_empty()
    }

    /// Writes as much of the message as the connection takes and the body gives; ready once that is all.
    ///
    /// # Errors
    /// [`WriteError`].
    pub(super) fn poll_write<T, B>(
        &mut self,
        io: &mut T,
        body: &mut B,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), WriteError<B::Error>>>
    where
        T: AsyncWrite + Unpin,
        B: Body<Data = Bytes> + Unpin,
    {
        loop {
            // A small body goes with its head.
            self.starves = false;
            while !self.ended && self.has_room() {
                if body.is_end_stream() {
                    self.end(None)?;
                    break;
                }
                match Pin::new(&mut *body).poll_frame(cx) {
                    Poll::Pending => {
                        self.starves = true;
                        break;
                    }
                    Poll::Ready(None) => self.end(None)?,
                    Poll::Ready(Some(Err(error))) => {
                        // What there was before is the other side's all the same: a status above all.
                        let _ = self.poll_drain(io, cx);
                        return Poll::Ready(Err(WriteError::Body(error)));
                    }
                    Poll::Ready(Some(Ok(frame))) => self.take(frame)?,
                }
            }
            ready!(self.poll_drain(io, cx)).map_err(WriteError::Io)?;
            if self.ended || self.starves {
                ready!(Pin::new(&mut *io).poll_flush(cx)).map_err(WriteError::Io)?;
                return if self.ended { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
        }
    }

    fn has_room(&self) -> bool {
        self.large.is_empty() && self.behind.is_empty() && self.small.len() < SMALL
    }

    fn take<E>(&mut self, frame: Frame<Bytes>) -> Result<(), WriteError<E>> {
        let data = match frame.into_data() {
            Ok(data) if data.is_empty() => return Ok(()),
            Ok(data) => data,
            // Trailers end a body.
            Err(frame) => return self.end(frame.trailers_ref()),
        };
        let behind = self.encoder.data(data.len(), &mut self.small)?;
        if data.len() <= SMALL {
            self.small.extend_from_slice(&data);
            self.small.extend_from_slice(behind);
        } else {
            (self.large, self.behind) = (data, behind);
        }
        Ok(())
    }

    fn end<E>(&mut self, trailers: Option<&HeaderMap>) -> Result<(), WriteError<E>> {
        self.encoder.end(trailers, &mut self.small)?;
        self.ended = true;
        Ok(())
    }

    /// Writes what is there.
    fn poll_drain<T: AsyncWrite + Unpin>(&mut self, io: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.is_drained() {
            let small = &self.small[self.written..];
            let wrote = if self.large.is_empty() && self.behind.is_empty() {
                ready!(Pin::new(&mut *io).poll_write(cx, small))?
            } else {
                let parts = [
                    IoSlice::new(small),
                    IoSlice::new(&self.large),
                    IoSlice::new(self.behind),
                ];
                ready!(Pin::new(&mut *io).poll_write_vectored(cx, &parts))?
            };
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(wrote);
        }
        self.small.clear();
        self.written = 0;
        // An empty frame still holds the room that its bytes lay in, which is wanted for the next.
        self.large = Bytes::new();
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, wrote: usize) {
        self.total += wrote as u64;
        let of_small = wrote.min(self.small.len() - self.written);
        self.written += of_small;
        let of_large = (wrote - of_small).min(self.large.len());
        self.large.advance(of_large);
        self.behind = &self.behind[wrote - of_small - of_large..];
    }
}

/// The most bytes of a frame that is copied behind its head, and of what is gathered before it is written.
const SMALL: usize = 8 * 1024;
/// The largest buffer that is kept for the next message.
const MOST_KEPT: usize = 4 * 1024;
