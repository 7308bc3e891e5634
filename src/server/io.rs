//! A client's socket, with the bytes that were read to tell HTTP/1.1 from HTTP/2 put back, and its activity noted.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::Activity;

pub(super) struct ClientIo<T> {
    io: T,
    first: BytesMut,
    activity: Arc<Activity>,
    /// Whether the first byte after an idle spell starts a head. HTTP/2 has frames that do not.
    notes_heads: bool,
}

impl<T> ClientIo<T> {
    /// A socket from which `first` was already read.
    pub(super) fn new(io: T, first: BytesMut, activity: Arc<Activity>, notes_heads: bool) -> Self {
        ClientIo {
            io,
            first,
            activity,
            notes_heads,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for ClientIo<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = if self.first.is_empty() {
            Pin::new(&mut self.io).poll_read(cx, buf)
        } else {
            let most = self.first.len().min(buf.remaining());
            buf.put_slice(&self.first[..most]);
            self.first.advance(most);
            Poll::Ready(Ok(()))
        };
        if self.notes_heads && buf.filled().len() > before {
            self.activity.read();
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for ClientIo<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.activity.write_stalled(polled.is_pending());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.activity.write_stalled(polled.is_pending());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS takes what it cannot send yet: that shows here.
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        self.activity.write_stalled(polled.is_pending());
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
