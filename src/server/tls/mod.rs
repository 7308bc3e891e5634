//! TLS to clients: certificate and key from files that may change, the handshake, and the name of a client's certificate.

mod files;
mod handshake;
mod peer;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::ServerConfig;

pub use files::{TlsFault, TlsFaults, TlsFiles};
pub(super) use handshake::{Secured, Unopened, open};

/// A certificate with its key, ready for handshakes, and which clients are let in.
#[derive(Clone)]
pub struct Identity {
    config: Arc<ServerConfig>,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Identity {
    /// Until when the certificate is valid.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Why clients will not believe the certificate at this time, in words that go on from its name.
    pub fn out_of_date(&self, now: Timestamp) -> Option<String> {
        if now > self.not_after {
            Some(format!("expired on {}; clients will refuse it", self.not_after))
        } else if now < self.not_before {
            Some(format!(
                "is not valid before {}; clients will refuse it",
                self.not_before
            ))
        } else {
            None
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// What new connections shake hands with. Cloning shares it; those that are open keep what they began with.
#[derive(Clone, Debug)]
pub struct Presented(Arc<ArcSwap<ServerConfig>>);

impl Presented {
    /// Presents this identity.
    pub fn new(identity: Identity) -> Self {
        Presented(Arc::new(ArcSwap::new(identity.config)))
    }

    /// Presents another one from now on.
    pub fn replace(&self, identity: Identity) {
        self.0.store(identity.config);
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.0.load_full()
    }
}
