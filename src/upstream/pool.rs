//! Kept-alive connections of one core, the most recently used first: it is the likeliest to be alive, and the others
//! age out.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep_until};

use super::connect::Stream;
use crate::http1::Conversation;

/// A connection to the upstream.
pub(super) struct Link {
    pub(super) conversation: Conversation<Stream>,
    pub(super) alarm: Alarm,
    pub(super) is_tls: bool,
}

impl Link {
    pub(super) fn new(stream: Stream) -> Self {
        Link {
            is_tls: matches!(stream, Stream::Tls(_)),
            conversation: Conversation::new(stream),
            alarm: Alarm(None),
        }
    }
}

/// A timer that outlives the requests it watches. It is armed for the earliest deadline seen and looks again when it
/// fires, so that a request which is answered in time neither registers nor removes a timer.
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready once `deadline` has passed.
    pub(super) fn poll_at(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let at = tokio::time::Instant::from_std(deadline);
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
        loop {
            if at < timer.deadline() {
                timer.as_mut().reset(at);
            }
            std::task::ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= at {
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
    }
}

/// The idle connections of one core. Cloning shares them.
#[derive(Clone)]
pub(super) struct Pool(Arc<Inner>);

struct Inner {
    // Used by one thread; the lock is there because futures are `Send`, and is never contended.
    idle: Mutex<Vec<Idle>>,
    timeout: Duration,
}

struct Idle {
    link: Link,
    since: Instant,
}

impl Pool {
    pub(super) fn new(timeout: Duration) -> Self {
        Pool(Arc::new(Inner {
            idle: Mutex::default(),
            timeout,
        }))
    }

    /// The connection that was used last and is still open.
    pub(super) fn take(&self) -> Option<Link> {
        let mut pool = self.lock();
        while let Some(Idle { mut link, since }) = pool.pop() {
            if since.elapsed() < self.0.timeout && link.conversation.is_open() {
                return Some(link);
            }
        }
        None
    }

    /// Keeps a connection whose exchange is over.
    pub(super) fn put(&self, link: Link) {
        self.lock().push(Idle {
            link,
            since: Instant::now(),
        });
    }

    /// Closes connections that have been unused for too long or were closed by the other side.
    pub(super) fn sweep(&self) {
        let timeout = self.0.timeout;
        self.lock()
            .retain_mut(|idle| idle.since.elapsed() < timeout && idle.link.conversation.is_open());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
