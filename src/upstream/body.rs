//! Bodies in both directions: streamed, with a bound on standing still.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::client_body::ClientBody;
use super::talk::Talk;
use crate::http1::{Spelled, Spelling};

/// Why a body did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// Nothing arrived for `resources.body_idle_timeout`.
    #[error("the body stood still for too long")]
    Idle,
    /// The sender hung up in the middle, or broke the framing.
    #[error("the body broke off")]
    Broken,
}

/// A request's body on its way to the upstream.
#[derive(Debug)]
pub struct Upload {
    source: Source,
    patience: Patience,
    spelling: Option<Spelling>,
}

/// Where a request's body comes from.
#[derive(Debug)]
pub enum Source {
    /// The client, unread.
    Client(ClientBody),
    /// Bytes that were read to be judged, and all of the body.
    Read(Option<Bytes>),
    /// Bytes that were read, and the rest behind them.
    Partly(Box<(Option<Bytes>, ClientBody)>),
}

impl Upload {
    /// A body that may stand still for `idle` at most.
    pub fn new(mut source: Source, idle: Duration) -> Self {
        Upload {
            spelling: match &mut source {
                Source::Client(body) => body.take_spelling(),
                Source::Read(_) | Source::Partly(_) => None,
            },
            source,
            patience: Patience::new(idle),
        }
    }

    /// The same, behind a head that was spelled like this.
    #[must_use]
    pub fn spelled(self, spelling: Option<Spelling>) -> Self {
        Upload { spelling, ..self }
    }

    /// Takes the spelling of the head before it.
    pub(super) fn take_spelling(&mut self) -> Option<Spelling> {
        self.spelling.take()
    }

    /// How long it may stand still.
    pub fn idle(&self) -> Duration {
        self.patience.idle
    }
}

impl Source {
    fn is_end_stream(&self) -> bool {
        match self {
            Source::Client(incoming) => incoming.is_end_stream(),
            Source::Read(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Source::Partly(parts) => parts.0.is_none() && parts.1.is_end_stream(),
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let incoming = match self {
            Source::Read(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Source::Partly(parts) => match parts.0.take() {
                Some(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None => &mut parts.1,
            },
            Source::Client(incoming) => incoming,
        };
        Pin::new(incoming).poll_frame(cx)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let me = &mut *self;
        let polled = me.source.poll_frame(cx);
        me.patience.bound(polled, cx)
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Client(incoming) => incoming.size_hint(),
            Source::Read(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Source::Partly(parts) => {
                let (bytes, incoming) = &**parts;
                let read = bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
                match incoming.size_hint().exact() {
                    Some(rest) => SizeHint::with_exact(read + rest),
                    None => SizeHint::default(),
                }
            }
        }
    }
}

/// An answer's body on its way to the client. Its connection goes back to the pool when both messages have ended, and is
/// closed when the body is dropped before.
pub struct Download {
    /// What it is read from, until it ends.
    talk: Option<Box<Talk>>,
    spelling: Spelling,
    patience: Patience,
    /// Bytes of the request that were written when this was last asked for.
    written: u64,
}

impl Download {
    pub(super) fn new(talk: Box<Talk>, spelling: Spelling, idle: Duration) -> Self {
        let mut download = Download {
            talk: Some(talk),
            spelling,
            patience: Patience::new(idle),
            written: 0,
        };
        download.release_at_end();
        download
    }

    /// Leaves the status without words of its own.
    pub fn forget_reason(&mut self) {
        self.spelling.forget_reason();
    }

    /// Keeps the connection once the answer has ended, unless the request is still being sent over it.
    fn release_at_end(&mut self) {
        if self.talk.as_ref().is_some_and(|talk| talk.is_end())
            && let Some(talk) = self.talk.take()
        {
            talk.release();
        }
    }
}

impl Spelled for Download {
    fn spelling(&self) -> Option<&Spelling> {
        Some(&self.spelling)
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let me = &mut *self;
        let Some(talk) = &mut me.talk else {
            return Poll::Ready(None);
        };
        let polled = talk.poll_frame(cx);
        // An answer may begin before its request has ended: as long as that goes on, nothing stands still.
        let written = talk.written();
        if written != me.written {
            me.written = written;
            me.patience.restart();
        }
        let polled = polled.map(|frame| frame.map(|frame| frame.map_err(|_| BodyFault::Broken)));
        let frame = ready!(me.patience.bound(polled, cx));
        match &frame {
            None | Some(Ok(_)) => me.release_at_end(),
            Some(Err(_)) => me.talk = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.talk.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.talk
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), |talk| talk.size_hint())
    }
}

/// Bounds how long a body may stand still. The timer is made only once something has to be waited for.
#[derive(Debug)]
struct Patience {
    idle: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl Patience {
    fn new(idle: Duration) -> Self {
        Patience {
            idle,
            timer: None,
            waiting: false,
        }
    }

    /// Begins to wait anew.
    fn restart(&mut self) {
        self.waiting = false;
    }

    fn bound<T>(
        &mut self,
        polled: Poll<Option<Result<T, BodyFault>>>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<T, BodyFault>>> {
        if polled.is_ready() {
            self.waiting = false;
            return polled;
        }
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(self.idle)));
        if !self.waiting {
            self.waiting = true;
            timer.as_mut().reset(tokio::time::Instant::now() + self.idle);
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyFault::Idle)))
    }
}
