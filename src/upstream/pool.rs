//! Kept-alive connections of one core, the most recently used first: it is the likeliest to be alive, and the others
//! age out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::client::conn::http1::SendRequest;

use super::body::Upload;

/// The idle connections of one core. Cloning shares them.
#[derive(Clone)]
pub(super) struct Pool {
    // Used by one thread; the lock is there because hyper's futures are `Send`, and is never contended.
    idle: Arc<Mutex<Vec<Idle>>>,
    timeout: Duration,
}

struct Idle {
    sender: SendRequest<Upload>,
    since: Instant,
}

impl Pool {
    pub(super) fn new(timeout: Duration) -> Self {
        Pool {
            idle: Arc::default(),
            timeout,
        }
    }

    /// A connection that is still open, as far as is known here.
    pub(super) async fn take(&self) -> Option<SendRequest<Upload>> {
        loop {
            let mut idle = self.lock().pop()?;
            // The connection has seen its answer's end, so it is ready at once or closed; polling lets it say which.
            if idle.since.elapsed() < self.timeout && idle.sender.ready().await.is_ok() {
                return Some(idle.sender);
            }
        }
    }

    /// Keeps a connection whose exchange is over.
    pub(super) fn put(&self, sender: SendRequest<Upload>) {
        if !sender.is_closed() {
            self.lock().push(Idle {
                sender,
                since: Instant::now(),
            });
        }
    }

    /// Closes connections that have been unused for too long or were closed by the other side.
    pub(super) fn sweep(&self) {
        let timeout = self.timeout;
        self.lock()
            .retain(|idle| idle.since.elapsed() < timeout && !idle.sender.is_closed());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
