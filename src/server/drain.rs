//! The word to finish, for all cores.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// Tells connections to finish what they do. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Drain(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    token: CancellationToken,
    started: AtomicBool,
}

impl Drain {
    /// Gives the word.
    pub fn start(&self) {
        self.0.started.store(true, Ordering::Release);
        self.0.token.cancel();
    }

    /// Whether it was given: one load, where the future takes a lock.
    pub fn has_started(&self) -> bool {
        self.0.started.load(Ordering::Acquire)
    }

    /// It as a token, for those who know nothing of a server.
    pub fn token(&self) -> CancellationToken {
        self.0.token.clone()
    }

    /// Resolves once it is given.
    pub fn started(&self) -> WaitForCancellationFuture<'_> {
        self.0.token.cancelled()
    }
}
