//! Files being read on a thread that may block: one on a network may hang, and then all else goes on.

use std::time::{Duration, Instant};

use tokio::task::{JoinError, JoinHandle};

/// A read that takes longer is said to hang.
const LATE: Duration = Duration::from_secs(10);

/// Something that is being read.
pub(super) struct Background<T> {
    done: JoinHandle<T>,
    since: Instant,
    late: bool,
}

impl<T> Background<T> {
    /// Waits for nobody to wait for it.
    pub(super) fn new(done: JoinHandle<T>) -> Self {
        Background {
            done,
            since: Instant::now(),
            late: false,
        }
    }

    /// Says once that it takes long: `what` cannot be read, and what is in force stays.
    pub(super) fn tell_if_late(&mut self, what: &str) {
        if !self.late && self.since.elapsed() > LATE {
            self.late = true;
            tracing::error!("{what} cannot be read: its file system does not answer; what is in force stays");
        }
    }
}

/// What a read brought, once; never, where there is none.
pub(super) async fn finished<T>(reading: &mut Option<Background<T>>) -> Result<T, JoinError> {
    let Some(running) = reading else {
        return std::future::pending().await;
    };
    let done = (&mut running.done).await;
    *reading = None;
    done
}
