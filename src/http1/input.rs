//! Bytes that were read from a connection and are not taken yet.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, ReadBuf};

/// See the module. Holds no memory while there is nothing in it.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) bytes: BytesMut,
    /// How much is read at once where much is expected: more, as long as that much is there.
    room: usize,
}

impl Default for Input {
    fn default() -> Self {
        Input {
            bytes: BytesMut::new(),
            room: LARGE,
        }
    }
}

impl Input {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Reads once, and gives how many bytes came: none where the connection has ended. `more` is how many are expected,
    /// as far as that is known.
    pub(super) fn poll_fill<T: AsyncRead + Unpin>(
        &mut self,
        io: &mut T,
        more: u64,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if more < SCRATCH as u64 {
            return self.poll_fill_little(io, cx);
        }
        let room = usize::try_from(more).unwrap_or(usize::MAX).min(self.room);
        // What was handed on before is gone by now, mostly: then its room is used again.
        self.bytes.reserve(room);
        let came = ready!(tokio_util::io::poll_read_buf(Pin::new(io), cx, &mut self.bytes))?;
        if came >= self.room {
            self.room = (2 * self.room).min(LARGEST);
        }
        Poll::Ready(Ok(came))
    }

    /// Most messages are small: they are read into a place that all connections share, and only what came is kept, so
    /// that a connection which waits holds no buffer.
    fn poll_fill_little<T: AsyncRead + Unpin>(&mut self, io: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
        }
        SHARED.with_borrow_mut(|shared| {
            let mut read = ReadBuf::new(shared);
            ready!(Pin::new(io).poll_read(cx, &mut read))?;
            let came = read.filled();
            self.bytes.extend_from_slice(came);
            Poll::Ready(Ok(came.len()))
        })
    }
}

thread_local! {
    static SHARED: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into());
}

/// The most that is read at once where little is expected.
const SCRATCH: usize = 16 * 1024;
/// What is read at once where much is expected, at first.
const LARGE: usize = 64 * 1024;
/// The most that is read at once: as much as a socket is likely to hold.
const LARGEST: usize = 512 * 1024;
