//! `rate_limits` and `rate_limit_store`.

use std::ops::RangeInclusive;

use super::{Key, TIMEOUT, Takes, key, needed, words};
use crate::limits::{OnError, Per, Unit};

/// What stands in `applies_to` for the records of denials.
pub(in crate::config) const DENIED: &str = "denied";

/// The events of a rate, in its period.
pub(in crate::config) const EVENTS: RangeInclusive<u64> = 1..=1_000_000;

/// What a bucket holds.
pub(in crate::config) const BURST: RangeInclusive<u64> = 1..=1_000_000;

/// The most characters of a limit's name.
pub(in crate::config) const LONGEST_NAME: usize = 64;

/// The words of `per`.
pub(in crate::config) const PER: [(&str, Per); 3] = [
    ("caller", Per::Caller),
    ("client_ip", Per::ClientIp),
    ("global", Per::Global),
];

/// The words of `unit`.
pub(in crate::config) const UNIT: [(&str, Unit); 2] = [("requests", Unit::Requests), ("messages", Unit::Messages)];

/// The words of `on_error`.
pub(in crate::config) const ON_ERROR: [(&str, OnError); 3] = [
    ("local", OnError::Local),
    ("deny", OnError::Deny),
    ("allow", OnError::Allow),
];

const APPLIES_TO: Takes = Takes::Either(&[
    Takes::List(&Takes::Operation, 1..=usize::MAX),
    Takes::List(&Takes::Word(&[DENIED]), 1..=1),
]);

pub(super) const LIMIT: Takes = Takes::Mapping(
    &[
        needed(
            "name",
            Takes::Name(LONGEST_NAME),
            "The name that refusals and metrics call it by.",
        ),
        needed(
            "applies_to",
            APPLIES_TO,
            "Operations by name or glob, or [denied] alone: the records of refused requests.",
        ),
        needed("per", Takes::Word(const { &words(&PER) }), "Who shares a bucket."),
        needed(
            "unit",
            Takes::Word(const { &words(&UNIT) }),
            "requests, or messages (count, or the number of ids), for guarded operations alone.",
        ),
        needed("rate", Takes::Rate, "How fast the bucket refills, like 10/min."),
        needed("burst", Takes::Whole(BURST), "What the bucket holds."),
    ],
    &[],
);

pub(super) const STORE: [Key; 3] = [
    key(
        "url",
        Takes::Form("^(?:memory|rediss?://.+)$"),
        "memory, or redis://... or rediss://... for one limit of all replicas.",
    ),
    key("timeout", TIMEOUT, "How long to wait for the store."),
    key(
        "on_error",
        Takes::Word(const { &words(&ON_ERROR) }),
        "What happens without the store. local: each guard counts in its own process.",
    ),
];
