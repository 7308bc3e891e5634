//! Limits by a clock that is moved by hand.

use governor::clock::FakeRelativeClock;

use super::*;
use crate::limits::Rate;
use crate::limits::kept::MOST_KEYS;

const SECOND: Duration = Duration::from_secs(1);

fn limiter(unit: Unit, events: u32, burst: u32) -> (Limiter<FakeRelativeClock>, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    let limit = limit(unit, events, burst);
    (Limiter::with_clock(vec![limit], clock.clone()), clock)
}

fn limit(unit: Unit, events: u32, burst: u32) -> Limit {
    Limit {
        name: "bulk".into(),
        applies_to: AppliesTo::Operations(vec![Operation::MessagesBulkCancel]),
        per: Per::Caller,
        unit,
        rate: Rate {
            events: NonZeroU32::new(events).unwrap(),
            period: SECOND,
        },
        burst: NonZeroU32::new(burst).unwrap(),
    }
}

fn charge(caller: &str, messages: Option<u64>) -> Charge<'_> {
    Charge {
        operation: Operation::MessagesBulkCancel,
        caller,
        client: [127, 0, 0, 1].into(),
        messages,
    }
}

#[test]
fn a_burst_passes_then_refills_with_time() {
    let (limits, clock) = limiter(Unit::Requests, 1, 3);
    (0..3).for_each(|_| limits.charge(charge("a", None)).unwrap());
    let refusal = limits.charge(charge("a", None)).unwrap_err();
    assert_eq!(refusal.code(), Code::RateLimited);
    assert_eq!(refusal.limit().unwrap().retry_after, Some(SECOND));
    assert_eq!(refusal.limit().unwrap().remaining, 0);
    limits
        .charge(charge("b", None))
        .expect("another caller has a bucket of its own");
    clock.advance(SECOND);
    limits.charge(charge("a", None)).unwrap();
}

#[test]
fn messages_cost_their_number_and_an_unknown_number_costs_the_burst() {
    let (limits, clock) = limiter(Unit::Messages, 10, 100);
    limits.charge(charge("a", Some(70))).unwrap();
    let refusal = limits.charge(charge("a", Some(40))).unwrap_err();
    assert_eq!(
        (refusal.code(), refusal.limit().unwrap().remaining),
        (Code::RateLimited, 30)
    );
    assert_eq!(refusal.limit().unwrap().retry_after, Some(SECOND));
    assert_eq!(
        limits.charge(charge("a", Some(101))).unwrap_err().code(),
        Code::CountOverBudget
    );
    assert_eq!(limits.charge(charge("a", None)).unwrap_err().code(), Code::RateLimited);
    clock.advance(10 * SECOND);
    limits.charge(charge("a", None)).unwrap();
    assert_eq!(
        limits.charge(charge("a", Some(1))).unwrap_err().code(),
        Code::RateLimited
    );
}

#[test]
fn what_went_beyond_the_charge_is_charged_afterwards() {
    let (limits, _) = limiter(Unit::Messages, 1, 100);
    limits.charge(charge("a", Some(10))).unwrap();
    limits.settle(charge("a", Some(10)), 1010);
    assert_eq!(
        limits.charge(charge("a", Some(1))).unwrap_err().code(),
        Code::RateLimited
    );
}

#[test]
fn a_million_callers_do_not_stay_in_memory() {
    let (limits, clock) = limiter(Unit::Requests, 1000, 1);
    for caller in 0..1_000_000_u32 {
        limits.charge(charge(&caller.to_string(), None)).unwrap();
        clock.advance(Duration::from_micros(10));
    }
    assert!(
        limits.keys() <= 2 * FIRST_SWEEP,
        "{} keys are held while they come",
        limits.keys()
    );
    clock.advance(SECOND);
    limits.sweep();
    assert_eq!(limits.keys(), 0);
}

#[test]
fn a_limit_that_stays_as_it_was_keeps_what_is_used_up() {
    let (limits, clock) = limiter(Unit::Requests, 1, 2);
    (0..2).for_each(|_| limits.charge(charge("a", None)).unwrap());
    let wider = Limit {
        applies_to: AppliesTo::Operations(vec![Operation::MessagesBulkCancel, Operation::KeysRotate]),
        ..limit(Unit::Requests, 1, 2)
    };
    let other = Limit {
        name: "other".into(),
        ..limit(Unit::Requests, 1, 1)
    };
    let after = limits.renewed(vec![other, wider]);
    let refusal = after.charge(charge("a", None)).unwrap_err();
    assert_eq!(
        refusal.limit().unwrap().name,
        "bulk",
        "what it applies to is not what it holds"
    );
    // Whoever still works with the old limits charges the same buckets.
    after.charge(charge("b", None)).unwrap();
    limits.charge(charge("b", None)).unwrap();
    clock.advance(SECOND);
    limits.charge(charge("b", None)).unwrap();
    assert_eq!(
        after.charge(charge("b", None)).unwrap_err().limit().unwrap().name,
        "bulk"
    );
}

#[test]
fn a_limit_that_changes_begins_anew() {
    let (limits, _) = limiter(Unit::Requests, 1, 2);
    (0..2).for_each(|_| limits.charge(charge("a", None)).unwrap());
    for changed in [
        limit(Unit::Requests, 2, 2),
        limit(Unit::Requests, 1, 3),
        Limit {
            per: Per::Global,
            ..limit(Unit::Requests, 1, 2)
        },
        Limit {
            name: "renamed".into(),
            ..limit(Unit::Requests, 1, 2)
        },
    ] {
        limits.renewed(vec![changed]).charge(charge("a", None)).unwrap();
    }
    assert!(limits.charge(charge("a", None)).is_err());
}

#[test]
fn more_callers_than_are_kept_share_a_bucket() {
    let (limits, clock) = limiter(Unit::Requests, 1, 1);
    let name = |number: usize| format!("token:{number:012x}");
    for number in 0..MOST_KEYS {
        limits.charge(charge(&name(number), None)).unwrap();
    }
    limits.charge(charge("further", None)).unwrap();
    // Nobody who comes now has a burst of its own, and whoever has used one up does not get another.
    for caller in ["further", "another", "a third", &name(0), &name(MOST_KEYS - 1)] {
        let refusal = limits.charge(charge(caller, None)).unwrap_err();
        assert_eq!(refusal.code(), Code::RateLimited, "{caller}");
    }
    assert_eq!(limits.keys(), MOST_KEYS + 1);
    // Once their buckets are full again there is room.
    clock.advance(SECOND * 2);
    limits.sweep();
    assert_eq!(limits.keys(), 0);
    limits.charge(charge("another", None)).unwrap();
    limits.charge(charge("a third", None)).unwrap();
}
