//! Where the buckets of a limit are kept in memory: so many, and one more that all further keys share.

use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::{HashMapStateStore, ShrinkableKeyedStateStore};

use super::limiter::Key;

/// Buckets by key. Whoever sends a new token with every request makes new keys as fast as it sends; once there are
/// [`MOST_KEYS`] that are not full again, new ones take from one bucket together.
#[derive(Debug, Default)]
pub(super) struct Kept(HashMapStateStore<Key>);

/// How many keys have a bucket of their own: some ten megabytes a limit.
pub(super) const MOST_KEYS: usize = 100_000;

/// Whose bucket the further ones share. A limit that everybody shares anyway has no other.
const FURTHER: Key = Key::Everybody;

impl StateStore for Kept {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let is_further = {
            let held = self.0.lock();
            held.len() >= MOST_KEYS && !held.contains_key(key)
        };
        let key = if is_further { &FURTHER } else { key };
        self.0.measure_and_replace(key, measure)
    }
}

impl ShrinkableKeyedStateStore<Key> for Kept {
    fn retain_recent(&self, drop_below: Nanos) {
        self.0.retain_recent(drop_below);
    }

    fn shrink_to_fit(&self) {
        self.0.shrink_to_fit();
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
