//! Limits that several guards count together. What a limit means is as in memory; where it is counted is not.

use governor::clock::Clock;
use sha2::{Digest, Sha256};

use super::limiter::{Buckets, Charge, Key, Limiter, Short, interval};
use super::settings::{Limit, OnError, Unit};
use super::store::{Question, Store};
use crate::policy::{Code, Refusal};
use crate::qstash::operation::Operation;

impl<C: Clock + Clone> Limiter<C> {
    /// The same limits, counted in a store. The limit on records of denials stays in memory: it is there for this guard's
    /// own trail.
    #[must_use]
    pub fn sharing(self, store: Option<Store>) -> Self {
        Limiter { store, ..self }
    }

    /// Whether a charge for the operation asks a store; else [`Limiter::charge`] does it all.
    pub fn asks_store(&self, operation: Operation) -> bool {
        self.store.is_some() && self.applies_to(operation)
    }

    /// Charges like [`Limiter::charge`], or like [`Limiter::charge_in`] where a unit is given, in the store if there is one.
    /// Where it does not answer, `on_error` decides.
    ///
    /// # Errors
    /// As [`Limiter::charge`], and [`Code::StoreUnavailable`].
    pub async fn charge_shared(&self, charge: Charge<'_>, unit: Option<Unit>) -> Result<(), Refusal> {
        let Some(store) = &self.store else {
            return match unit {
                None => self.charge(charge),
                Some(unit) => self.charge_in(unit, charge),
            };
        };
        let mut uncounted = false;
        let is_charged = |buckets: &&Buckets<C>| unit.is_none_or(|unit| buckets.limit.unit == unit);
        for buckets in self.applying(charge.operation).filter(is_charged) {
            let cost = buckets.cost(&charge);
            if cost == 0 {
                continue;
            }
            let burst = buckets.limit.burst.get();
            // What could never pass is known without asking.
            if cost > burst {
                return Err(buckets.refusal(cost, None));
            }
            let key = buckets.key(&charge);
            match (store.take(&buckets.question(&key, cost, false)).await, store.on_error()) {
                (Ok(taken), on_error) => {
                    if let Some(wait) = taken.wait {
                        let left = taken.left.min(burst);
                        return Err(buckets.refusal(cost, Some(Short { wait, left })));
                    }
                    // So that a store that goes does not give a whole burst to whoever has used it up here.
                    if on_error == OnError::Local {
                        buckets.drain(&key, cost.into(), &self.clock);
                    }
                }
                (Err(_), OnError::Local) => buckets.charge(&charge, &self.clock)?,
                (Err(_), OnError::Deny) => return Err(Refusal::new(Code::StoreUnavailable, UNAVAILABLE)),
                (Err(_), OnError::Allow) => uncounted = true,
            }
        }
        if uncounted {
            store.passed_uncounted();
        }
        Ok(())
    }

    /// Charges afterwards like [`Limiter::settle`], in the store if there is one. What it does not take is lost to it.
    pub async fn settle_shared(&self, charge: Charge<'_>, cancelled: u64) {
        let Some(store) = &self.store else {
            return self.settle(charge, cancelled);
        };
        if store.on_error() == OnError::Local {
            self.settle(charge, cancelled);
        }
        for buckets in self.applying(charge.operation) {
            let burst = buckets.limit.burst.get();
            let beyond = cancelled.saturating_sub(buckets.cost(&charge).into());
            if buckets.limit.unit == Unit::Messages && beyond > 0 {
                let cost = u32::try_from(beyond).unwrap_or(u32::MAX).min(burst);
                let question = buckets.question(&buckets.key(&charge), cost, true);
                // Lost or not, the client gets its answer; that the store does not answer is logged and counted.
                let _ = store.take(&question).await;
            }
        }
    }
}

impl<C: Clock + Clone> Buckets<C> {
    fn question(&self, key: &Key, cost: u32, at_most: bool) -> Question {
        Question {
            key: self.key_in_store(key),
            interval: interval(&self.limit),
            burst: self.limit.burst.get(),
            cost,
            at_most,
        }
    }

    /// The key of a bucket. Of whoever owns it only a hash stands in the store. As in memory, a limit that changes begins
    /// with full buckets: all that a bucket means is in the hash.
    fn key_in_store(&self, key: &Key) -> String {
        use std::fmt::Write as _;

        let Limit {
            name,
            unit,
            rate,
            burst,
            ..
        } = &self.limit;
        let unit = match unit {
            Unit::Requests => "requests",
            Unit::Messages => "messages",
        };
        let owner = match key {
            Key::Caller(name) => format!("caller {name}"),
            Key::Client(address) => format!("client {address}"),
            Key::Everybody => "everybody".to_owned(),
        };
        let (events, seconds) = (rate.events, rate.period.as_secs());
        // The owner comes last: whatever its name is, no two buckets are written alike.
        let meaning = format!("{unit} {events}/{seconds} {burst} {owner}");
        let hash = Sha256::digest(meaning.as_bytes());
        let begin = format!("qstash-guard:{name}:");
        hash.iter().take(HASH_BYTES).fold(begin, |mut key, byte| {
            let _ = write!(key, "{byte:02x}");
            key
        })
    }
}

/// So many bytes of the hash tell one bucket from another.
const HASH_BYTES: usize = 16;

const UNAVAILABLE: &str = "The store that limits are counted in does not answer, so nothing was sent; try again, and tell \
                           whoever runs the guard.";
