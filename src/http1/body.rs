//! The body of a request, as whoever serves it reads it.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::BodyError;
use super::connection::lock;
use super::spelling::Spelling;

/// A request's body, read from its connection as it is asked for. Whoever drops it leaves the rest to the connection.
pub struct Body {
    source: Source,
    spelling: Spelling,
}

enum Source {
    /// It came with its head, or is none.
    Whole(Option<Bytes>),
    /// It is still to be read.
    Connection {
        reader: Arc<Mutex<dyn Reader>>,
        hint: SizeHint,
        ended: bool,
    },
}

/// A connection, as far as bodies are read from it.
pub(super) trait Reader: Send {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>>;
    /// What is left, and whether that is nothing.
    fn left(&self) -> (SizeHint, bool);
}

impl Body {
    pub(super) fn whole(bytes: Bytes, spelling: Spelling) -> Self {
        let source = Source::Whole((!bytes.is_empty()).then_some(bytes));
        Body { source, spelling }
    }

    pub(super) fn read_from(reader: Arc<Mutex<dyn Reader>>, spelling: Spelling) -> Self {
        let (hint, _) = lock(&reader).left();
        let source = Source::Connection {
            reader,
            hint,
            ended: false,
        };
        Body { source, spelling }
    }

    /// Takes how the head before it was spelled.
    pub fn take_spelling(&mut self) -> Spelling {
        std::mem::take(&mut self.spelling)
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Its bytes are its sender's own.
        f.debug_struct("Body").finish_non_exhaustive()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.source {
            Source::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Source::Connection { reader, hint, ended } => {
                if *ended {
                    return Poll::Ready(None);
                }
                let mut reader = lock(reader);
                let polled = reader.poll_frame(cx);
                match &polled {
                    Poll::Ready(Some(Ok(_))) => (*hint, *ended) = reader.left(),
                    Poll::Ready(None | Some(Err(_))) => *ended = true,
                    Poll::Pending => {}
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Whole(bytes) => bytes.is_none(),
            Source::Connection { ended, .. } => *ended,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Source::Connection { hint, .. } => *hint,
        }
    }
}
