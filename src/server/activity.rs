//! What a connection is doing, as far as its timeouts need to know.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Shared between a connection's socket, its requests and its timer. Times are nanoseconds since the connection began,
/// 0 for "not".
#[derive(Debug)]
pub(super) struct Activity {
    began: Instant,
    /// Requests that are not answered to their end.
    in_flight: AtomicU32,
    /// Since when nothing is in flight.
    idle_since: AtomicU64,
    /// Since when a head is being read.
    head_since: AtomicU64,
    /// Since when the client takes nothing of what is written to it.
    stalled_since: AtomicU64,
    limits: Timeouts,
}

/// The bounds of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// From the first byte of a head to its last.
    pub(super) head: Duration,
    /// Between requests.
    pub(super) idle: Duration,
    /// How long a body may stand still, here: how long the client may read nothing.
    pub(super) body_idle: Duration,
}

/// Why a connection is at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    Head,
    Idle,
    Stalled,
}

impl Activity {
    pub(super) fn new(limits: Timeouts) -> Self {
        Activity {
            began: Instant::now(),
            in_flight: AtomicU32::new(0),
            idle_since: AtomicU64::new(1),
            head_since: AtomicU64::new(0),
            stalled_since: AtomicU64::new(0),
            limits,
        }
    }

    /// Bytes arrived.
    pub(super) fn read(&self) {
        if self.in_flight.load(Ordering::Relaxed) == 0 && self.head_since.load(Ordering::Relaxed) == 0 {
            self.head_since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// TLS's handshake or HTTP/2's preface is complete: what follows may be a head much later, or no head at all.
    pub(super) fn opening_ended(&self) {
        self.head_since.store(0, Ordering::Relaxed);
        self.idle_since.store(self.now(), Ordering::Relaxed);
    }

    /// A request's head is complete.
    pub(super) fn request_began(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.head_since.store(0, Ordering::Relaxed);
    }

    /// A request was answered to its end, or will not be.
    pub(super) fn request_ended(&self) {
        if self.in_flight.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.idle_since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// The client takes nothing (`true`), or took something.
    pub(super) fn write_stalled(&self, stalled: bool) {
        let since = self.stalled_since.load(Ordering::Relaxed);
        match (stalled, since) {
            (true, 0) => self.stalled_since.store(self.now(), Ordering::Relaxed),
            (true, _) | (false, 0) => {}
            (false, _) => self.stalled_since.store(0, Ordering::Relaxed),
        }
    }

    /// When the connection will be at its end, and why, if nothing changes; `None` while a request is in flight and its
    /// client reads.
    pub(super) fn deadline(&self) -> Option<(Instant, Expired)> {
        let at = |since: u64, limit: Duration| self.began + Duration::from_nanos(since) + limit;
        let stalled = self.stalled_since.load(Ordering::Relaxed);
        if stalled != 0 {
            return Some((at(stalled, self.limits.body_idle), Expired::Stalled));
        }
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            return None;
        }
        Some(match self.head_since.load(Ordering::Relaxed) {
            0 => (
                at(self.idle_since.load(Ordering::Relaxed), self.limits.idle),
                Expired::Idle,
            ),
            since => (at(since, self.limits.head), Expired::Head),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos())
            .unwrap_or(u64::MAX)
            .max(1)
    }
}
