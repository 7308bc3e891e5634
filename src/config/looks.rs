//! Files that are looked at again and again: a change is taken at the second look that finds it, so that none is read while
//! it is being written.

use sha2::{Digest as _, Sha256};

/// The hash of what files held, or of why they could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look([u8; 32]);

impl Look {
    /// A look at files: the bytes of each, or why they cannot be had.
    pub fn at<'a>(files: impl IntoIterator<Item = Result<&'a [u8], &'a str>>) -> Self {
        let mut hash = Sha256::new();
        for file in files {
            let (kind, bytes) = match file {
                Ok(bytes) => (b"+", bytes),
                Err(message) => (b"-", message.as_bytes()),
            };
            hash.update(kind);
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        }
        Look(hash.finalize().into())
    }
}

/// What was seen of some files.
#[derive(Clone, Debug, Default)]
pub struct Looks {
    /// At the last look.
    seen: Option<Look>,
    /// When they were last loaded, or found faulty.
    taken: Option<Look>,
}

impl Looks {
    /// Takes this for what is loaded, whatever was seen before.
    pub fn take(&mut self, now: Look) {
        self.seen = Some(now);
        self.taken = self.seen;
    }

    /// Whether this is a change to be taken: seen twice, and not what was taken last.
    pub fn find_change(&mut self, now: Look) -> bool {
        let now = Some(now);
        let settled = self.seen == now;
        self.seen = now;
        let changed = settled && self.taken != now;
        if changed {
            self.taken = now;
        }
        changed
    }
}
