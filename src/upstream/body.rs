//! Bodies in both directions: streamed, with a bound on standing still.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use super::pool::{Link, Pool};

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
    progress: Option<Arc<Progress>>,
}

/// Where a request's body comes from.
#[derive(Debug)]
pub enum Source {
    /// The client, unread.
    Client(Incoming),
    /// Bytes that were read to be judged, and all of the body.
    Read(Option<Bytes>),
    /// Bytes that were read, and the rest behind them.
    Partly(Box<(Option<Bytes>, Incoming)>),
}

impl Upload {
    /// A body that may stand still for `idle` at most.
    pub fn new(source: Source, idle: Duration) -> Self {
        let ended = source.is_end_stream();
        Upload {
            source,
            patience: Patience::new(idle),
            progress: (!ended).then(Arc::default),
        }
    }

    /// How long it may stand still.
    pub fn idle(&self) -> Duration {
        self.patience.idle
    }

    /// How far it is; `None` where there is no body.
    pub(super) fn progress(&self) -> Option<Arc<Progress>> {
        self.progress.clone()
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
        Pin::new(incoming)
            .poll_frame(cx)
            .map(|frame| frame.map(|frame| frame.map_err(|_| BodyFault::Broken)))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let me = &mut *self;
        let polled = me.source.poll_frame(cx);
        if let Some(progress) = &me.progress {
            progress.waits_for_client(polled.is_pending());
        }
        let frame = ready!(me.patience.bound(polled, cx));
        if let Some(progress) = &me.progress {
            match &frame {
                None => progress.end(Progress::DONE),
                Some(Ok(_)) if me.source.is_end_stream() => progress.end(Progress::DONE),
                Some(Ok(_)) => progress.moved(),
                Some(Err(BodyFault::Idle)) => progress.end(Progress::IDLE),
                Some(Err(BodyFault::Broken)) => progress.end(Progress::BROKEN),
            }
        }
        Poll::Ready(frame)
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

/// How far an upload is, shared between the body and whoever waits for the answer.
#[derive(Debug, Default)]
pub(super) struct Progress {
    state: AtomicU8,
    frames: AtomicU64,
    waiting: AtomicBool,
    ended: OnceLock<Instant>,
}

impl Progress {
    const DONE: u8 = 1;
    const IDLE: u8 = 2;
    const BROKEN: u8 = 3;

    /// When the body was sent to its end; `None` while it is not.
    pub(super) fn done_at(&self) -> Option<Instant> {
        (self.state.load(Ordering::Acquire) == Self::DONE)
            .then(|| self.ended.get().copied())
            .flatten()
    }

    /// How much was taken so far, in frames: whoever sees the same number twice has seen it stand still.
    pub(super) fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Whether it is the client that has to send more, which the body's own bound limits.
    pub(super) fn is_waiting_for_client(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    fn waits_for_client(&self, waiting: bool) {
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    fn moved(&self) {
        self.frames.fetch_add(1, Ordering::Relaxed);
    }

    /// Why the body broke off, if it did.
    pub(super) fn fault(&self) -> Option<BodyFault> {
        match self.state.load(Ordering::Acquire) {
            Self::IDLE => Some(BodyFault::Idle),
            Self::BROKEN => Some(BodyFault::Broken),
            _ => None,
        }
    }

    fn end(&self, state: u8) {
        if self.ended.set(Instant::now()).is_ok() {
            self.state.store(state, Ordering::Release);
        }
    }
}

/// An answer's body on its way to the client. Its connection goes back to the pool when the body ends, and is closed
/// when the body is dropped before.
pub struct Download {
    incoming: Incoming,
    lease: Option<Lease>,
    patience: Patience,
}

/// The connection that an answer is read from.
pub(super) struct Lease {
    pub(super) link: Link,
    pub(super) pool: Pool,
    pub(super) progress: Option<Arc<Progress>>,
}

impl Lease {
    /// Keeps the connection, unless the request is still being sent over it.
    fn release(self) {
        if self.progress.is_none_or(|progress| progress.done_at().is_some()) {
            self.pool.put(self.link);
        }
    }
}

impl Download {
    pub(super) fn new(incoming: Incoming, lease: Lease, idle: Duration) -> Self {
        let mut download = Download {
            incoming,
            lease: Some(lease),
            patience: Patience::new(idle),
        };
        if download.incoming.is_end_stream() {
            download.release();
        }
        download
    }

    fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.release();
        }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let me = &mut *self;
        let polled = Pin::new(&mut me.incoming).poll_frame(cx);
        let polled = polled.map(|frame| frame.map(|frame| frame.map_err(|_| BodyFault::Broken)));
        let frame = ready!(me.patience.bound(polled, cx));
        match &frame {
            None => me.release(),
            Some(Ok(_)) if me.incoming.is_end_stream() => me.release(),
            Some(Ok(_)) => {}
            Some(Err(_)) => me.lease = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
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
