//! Limits in this process's memory, kept by governor (the generic cell rate algorithm).

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::{Quota, RateLimiter};

use super::kept::Kept;
use super::settings::{AppliesTo, Limit, Per, Unit};
use super::store::Store;
use crate::policy::refusal::Limited;
use crate::policy::{Code, Refusal};
use crate::qstash::operation::Operation;

/// Who is charged: the bucket's owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A caller, as the trail names it.
    Caller(String),
    /// A client's address.
    Client(IpAddr),
    /// Everybody.
    Everybody,
}

/// What a request is charged for.
#[derive(Clone, Copy, Debug)]
pub struct Charge<'a> {
    /// Its operation.
    pub operation: Operation,
    /// The caller, as the trail names it.
    pub caller: &'a str,
    /// The client's address.
    pub client: IpAddr,
    /// How many messages it may cancel; `None` where it does not say, which costs a whole burst.
    pub messages: Option<u64>,
}

/// All limits. Generic over its clock, so that nothing sleeps to see a limit refill.
#[derive(Debug)]
pub struct Limiter<C: Clock + Clone = MonotonicClock> {
    pub(super) limits: Vec<Buckets<C>>,
    /// Whether a limit applies, by [`Operation::index`]: most requests are answered by this alone.
    pub(super) limited: [bool; Operation::COUNT],
    pub(super) clock: C,
    /// Where they are counted, if not in memory.
    pub(super) store: Option<Store>,
}

#[derive(Debug)]
pub(super) struct Buckets<C: Clock + Clone> {
    pub(super) limit: Limit,
    state: Arc<State<C>>,
}

/// What the buckets hold. Shared where a reload leaves a limit as it is.
#[derive(Debug)]
struct State<C: Clock + Clone> {
    keys: RateLimiter<Key, Kept, C, NoOpMiddleware<C::Instant>>,
    /// Once this many keys are held, those that are full again are forgotten.
    sweep_at: AtomicUsize,
}

/// A bucket that holds less than was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Short {
    /// How long until it would hold it.
    pub(super) wait: Duration,
    /// What it holds.
    pub(super) left: u32,
}

impl Limiter {
    /// Limits by the system's monotonic clock.
    pub fn new(limits: Vec<Limit>) -> Self {
        Limiter::with_clock(limits, MonotonicClock)
    }
}

impl<C: Clock + Clone> Limiter<C> {
    /// Limits by the given clock.
    pub fn with_clock(limits: Vec<Limit>, clock: C) -> Self {
        let mut limited = [false; Operation::COUNT];
        for limit in &limits {
            if let AppliesTo::Operations(operations) = &limit.applies_to {
                for operation in operations {
                    limited[operation.index()] = true;
                }
            }
        }
        let limits = limits
            .into_iter()
            .map(|limit| Buckets::new(limit, clock.clone()))
            .collect();
        Limiter {
            limits,
            limited,
            clock,
            store: None,
        }
    }

    /// These limits in place of the present ones, as a reload brings them. One that has the name, `per`, unit, rate and
    /// burst of a present one shares its buckets: what is used up stays used up. Any other begins with full buckets. The
    /// store stays.
    #[must_use]
    pub fn renewed(&self, limits: Vec<Limit>) -> Self {
        let mut renewed = Limiter::with_clock(limits, self.clock.clone()).sharing(self.store.clone());
        for buckets in &mut renewed.limits {
            if let Some(present) = self.limits.iter().find(|present| present.holds_for(&buckets.limit)) {
                buckets.state = Arc::clone(&present.state);
            }
        }
        renewed
    }

    /// The names of present limits that would begin with full buckets under these: their `per`, unit, rate or burst is
    /// another one there.
    pub fn begin_anew(&self, limits: &[Limit]) -> Vec<String> {
        let is_changed = |present: &&Buckets<C>| {
            let same_name = limits.iter().find(|limit| limit.name == present.limit.name);
            same_name.is_some_and(|limit| !present.holds_for(limit))
        };
        let changed = self.limits.iter().filter(is_changed);
        changed.map(|present| present.limit.name.clone()).collect()
    }

    /// Whether some limit applies to the operation.
    pub fn applies_to(&self, operation: Operation) -> bool {
        self.limited[operation.index()]
    }

    /// Charges a request to every limit that applies, in the order listed. One that was passed before another refused
    /// stays charged.
    ///
    /// # Errors
    /// The refusal of the first limit that has not enough left ([`Code::RateLimited`]) or never could have
    /// ([`Code::CountOverBudget`]).
    pub fn charge(&self, charge: Charge<'_>) -> Result<(), Refusal> {
        if !self.applies_to(charge.operation) {
            return Ok(());
        }
        self.applying(charge.operation)
            .try_for_each(|buckets| buckets.charge(&charge, &self.clock))
    }

    /// The same for the limits of one unit alone, where what they count becomes known at different times.
    ///
    /// # Errors
    /// As for [`Limiter::charge`].
    pub fn charge_in(&self, unit: Unit, charge: Charge<'_>) -> Result<(), Refusal> {
        self.applying(charge.operation)
            .filter(|buckets| buckets.limit.unit == unit)
            .try_for_each(|buckets| buckets.charge(&charge, &self.clock))
    }

    /// Charges what a cancel took beyond what it was charged for, as far as the buckets hold it. Takes the charge as it
    /// was made.
    pub fn settle(&self, charge: Charge<'_>, cancelled: u64) {
        for buckets in self
            .applying(charge.operation)
            .filter(|buckets| buckets.limit.unit == Unit::Messages)
        {
            let charged = charge.messages.unwrap_or_else(|| buckets.limit.burst.get().into());
            buckets.drain(&buckets.key(&charge), cancelled.saturating_sub(charged), &self.clock);
        }
    }

    /// Whether a denial of this client may still leave a record of its own.
    pub fn records_denial(&self, caller: &str, client: IpAddr) -> bool {
        let charge = Charge {
            operation: Operation::Unknown,
            caller,
            client,
            messages: None,
        };
        self.limits
            .iter()
            .filter(|buckets| buckets.limit.applies_to == AppliesTo::Denied)
            .all(|buckets| buckets.take(&buckets.key(&charge), 1, &self.clock).is_ok())
    }

    /// Forgets every key whose bucket is full again. To be called now and then; a growing map also does it by itself.
    pub fn sweep(&self) {
        self.limits.iter().for_each(Buckets::sweep);
    }

    /// How many keys are held in memory.
    pub fn keys(&self) -> usize {
        self.limits.iter().map(|buckets| buckets.state.keys.len()).sum()
    }

    pub(super) fn applying(&self, operation: Operation) -> impl Iterator<Item = &Buckets<C>> {
        self.limits
            .iter()
            .filter(move |buckets| match &buckets.limit.applies_to {
                AppliesTo::Operations(operations) => operations.contains(&operation),
                AppliesTo::Denied => false,
            })
    }
}

impl<C: Clock + Clone> Buckets<C> {
    fn new(limit: Limit, clock: C) -> Self {
        let quota = Quota::with_period(interval(&limit))
            .unwrap_or_else(|| Quota::per_second(limit.rate.events))
            .allow_burst(limit.burst);
        let state = State {
            keys: RateLimiter::new(quota, Kept::default(), clock),
            sweep_at: AtomicUsize::new(FIRST_SWEEP),
        };
        Buckets {
            limit,
            state: Arc::new(state),
        }
    }

    /// Whether these buckets mean the same under the other limit; which requests it applies to does not matter.
    fn holds_for(&self, other: &Limit) -> bool {
        let Limit {
            name,
            applies_to: _,
            per,
            unit,
            rate,
            burst,
        } = &self.limit;
        (name, per, unit, rate, burst) == (&other.name, &other.per, &other.unit, &other.rate, &other.burst)
    }

    pub(super) fn key(&self, charge: &Charge<'_>) -> Key {
        match self.limit.per {
            Per::Caller => Key::Caller(charge.caller.to_owned()),
            Per::ClientIp => Key::Client(charge.client),
            Per::Global => Key::Everybody,
        }
    }

    /// What a request costs here, in the limit's unit.
    pub(super) fn cost(&self, charge: &Charge<'_>) -> u32 {
        match (self.limit.unit, charge.messages) {
            (Unit::Requests, _) => 1,
            (Unit::Messages, None) => self.limit.burst.get(),
            (Unit::Messages, Some(messages)) => u32::try_from(messages).unwrap_or(u32::MAX),
        }
    }

    /// Charges a request in memory.
    pub(super) fn charge(&self, charge: &Charge<'_>, clock: &C) -> Result<(), Refusal> {
        let cost = self.cost(charge);
        self.take(&self.key(charge), cost, clock).map_err(|wait| {
            let left = |wait| self.left(cost, wait);
            self.refusal(cost, wait.map(|wait| Short { wait, left: left(wait) }))
        })
    }

    /// The refusal of a request that costs so much; `None` stands for a bucket that never holds it.
    pub(super) fn refusal(&self, cost: u32, short: Option<Short>) -> Refusal {
        let (name, burst) = (&self.limit.name, self.limit.burst.get());
        let (code, message) = match &short {
            Some(Short { wait, .. }) => (
                Code::RateLimited,
                format!(
                    "The limit {name} is used up for now; try again in {} s.",
                    whole_seconds(*wait)
                ),
            ),
            None => (
                Code::CountOverBudget,
                format!(
                    "The request may take {cost} messages, and the limit {name} never lets more than {burst} go at \
                     once; ask for fewer at a time."
                ),
            ),
        };
        let limited = Limited {
            name: name.clone(),
            retry_after: short.as_ref().map(|short| short.wait),
            burst,
            remaining: short.as_ref().map_or(burst, |short| short.left),
        };
        Refusal::limited(code, message, limited)
    }

    /// Takes `cost` from the bucket of `key`, or says how long until it could; `None` where the bucket is too small.
    fn take(&self, key: &Key, cost: u32, clock: &C) -> Result<(), Option<Duration>> {
        let Some(cost) = NonZeroU32::new(cost) else {
            return Ok(());
        };
        let State { keys, sweep_at } = &*self.state;
        let taken = match keys.check_key_n(key, cost) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(Some(until.wait_time_from(clock.now()))),
            Err(_) => Err(None),
        };
        if keys.len() > sweep_at.load(Ordering::Relaxed) {
            self.sweep();
        }
        taken
    }

    /// Takes `cost`, or all that is there if that is less.
    pub(super) fn drain(&self, key: &Key, cost: u64, clock: &C) {
        let cost = u32::try_from(cost).unwrap_or(u32::MAX).min(self.limit.burst.get());
        if let Err(Some(wait)) = self.take(key, cost, clock) {
            let _ = self.take(key, self.left(cost, wait), clock);
        }
    }

    /// What a bucket holds in which `cost` would be there after `wait`.
    fn left(&self, cost: u32, wait: Duration) -> u32 {
        let missing = wait.as_nanos().div_ceil(interval(&self.limit).as_nanos().max(1));
        cost.saturating_sub(u32::try_from(missing).unwrap_or(u32::MAX))
    }

    fn sweep(&self) {
        let State { keys, sweep_at } = &*self.state;
        keys.retain_recent();
        keys.shrink_to_fit();
        sweep_at.store((keys.len() * 2).max(FIRST_SWEEP), Ordering::Relaxed);
    }
}

/// A duration in whole seconds, rounded up and at least one: what `Retry-After` takes (RFC 9110 section 10.2.3).
pub fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// How long one unit takes to come back.
pub(super) fn interval(limit: &Limit) -> Duration {
    (limit.rate.period / limit.rate.events.get()).max(Duration::from_nanos(1))
}

/// A bucket map is swept by itself once it holds more keys than this, then at each doubling.
const FIRST_SWEEP: usize = 1024;

#[cfg(test)]
#[path = "limiter_tests.rs"]
mod tests;
