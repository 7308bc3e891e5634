//! Every key of the configuration: its name, what it takes and what it is for, in the order of the shipped file.
//!
//! The compiler takes bounds and words from here, [`super::schema()`] is made from it, and tests hold the keys that the
//! compiler asks for equal to it. Defaults are not here: the shipped file has them.

pub(super) mod audit;
pub(super) mod credentials;
pub(super) mod limits;
pub(super) mod policy;
pub(super) mod rules;
pub(super) mod server;
pub(super) mod upstream;

use std::ops::RangeInclusive;
use std::time::Duration;

use super::values::{LONGEST, SHORTEST};

/// A key of a mapping.
pub(super) struct Key {
    /// How it is written.
    pub(super) name: &'static str,
    /// What stands behind it.
    pub(super) takes: Takes,
    /// What it is for, in a sentence or two.
    pub(super) about: &'static str,
    /// Whether its mapping is faulty without it.
    pub(super) is_needed: bool,
}

/// What a value may be.
pub(super) enum Takes {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// `true` alone.
    True,
    /// A whole number.
    Whole(RangeInclusive<u64>),
    /// A number and a unit of time.
    Duration(RangeInclusive<Duration>),
    /// A number and a unit of size, in bytes.
    Size(RangeInclusive<u64>),
    /// A number of events in a period.
    Rate,
    /// An IP address and a port.
    Address,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A name or a sentence of at most so many characters in one line.
    Name(usize),
    /// The name of a parameter of a bulk cancel that is not known yet.
    NewParameter,
    /// Text that is not empty, such as the path of a file.
    Text,
    /// Text of a form, as a regular expression of ECMA 262.
    Form(&'static str),
    /// An operation, by name or glob.
    Operation,
    /// Operations and what happens to them.
    Treatments,
    /// Any of these.
    Either(&'static [Takes]),
    /// A list with at least and at most so many items.
    List(&'static Takes, RangeInclusive<usize>),
    /// Keys and values. Where there are names, exactly one of them is there.
    Mapping(&'static [Key], &'static [&'static str]),
    /// Keys and values, at least one of them.
    SomeOf(&'static [Key]),
}

impl Takes {
    /// The keys of a mapping, of the items of a list, or of what is a mapping where it is there.
    fn keys(&self) -> &'static [Key] {
        match self {
            Takes::Mapping(keys, _) | Takes::SomeOf(keys) => keys,
            Takes::List(items, _) => items.keys(),
            Takes::Either(either) => either
                .iter()
                .map(Takes::keys)
                .find(|keys| !keys.is_empty())
                .unwrap_or(&[]),
            _ => &[],
        }
    }
}

/// The keys of the mapping at a path, such as `policy.bulk_cancel` or `rate_limits[0]`; none where there is none.
pub(super) fn of(path: &str) -> &'static [Key] {
    let steps = path.split('.').filter_map(|step| step.split('[').next());
    steps.filter(|name| !name.is_empty()).fold(&ROOT, |keys, name| {
        let key = keys.iter().find(|key| key.name == name);
        key.map_or(&[], |key| key.takes.keys())
    })
}

/// Any number of items.
const ANY: RangeInclusive<usize> = 0..=usize::MAX;

/// A timeout.
const TIMEOUT: Takes = Takes::Duration(SHORTEST..=LONGEST);

/// The path of a file, or none.
const FILE: Takes = Takes::Either(&[Takes::Text, Takes::Null]);

const fn key(name: &'static str, takes: Takes, about: &'static str) -> Key {
    Key {
        name,
        takes,
        about,
        is_needed: false,
    }
}

const fn needed(name: &'static str, takes: Takes, about: &'static str) -> Key {
    Key {
        name,
        takes,
        about,
        is_needed: true,
    }
}

const fn section(name: &'static str, keys: &'static [Key], about: &'static str) -> Key {
    key(name, Takes::Mapping(keys, &[]), about)
}

/// The words of a table of choices.
const fn words<T: Copy, const N: usize>(choices: &[(&'static str, T); N]) -> [&'static str; N] {
    let mut words = [""; N];
    let mut index = 0;
    while index < N {
        words[index] = choices[index].0;
        index += 1;
    }
    words
}

/// The keys of the whole file.
pub(super) static ROOT: [Key; 11] = [
    section(
        "listen",
        &server::LISTEN,
        "Where clients are served: point QSTASH_URL at it.",
    ),
    section(
        "admin",
        &server::ADMIN,
        "Health, readiness, metrics and the audit trail: /healthz /readyz /metrics /audit. null turns the port off.",
    ),
    section("upstream", &upstream::UPSTREAM, "Where requests go."),
    section(
        "credentials",
        &credentials::CREDENTIALS,
        "What becomes of the QStash token that clients send.",
    ),
    key(
        "callers",
        Takes::List(&credentials::CALLER, ANY),
        "Names for callers, by the hash of their key or token. Rules, limits and the trail use them.",
    ),
    section("policy", &policy::POLICY, "What is allowed."),
    key(
        "rate_limits",
        Takes::List(&limits::LIMIT, ANY),
        "How often. Each limit is a bucket that holds `burst` and refills at `rate`; all that apply are charged in this \
         order. [] means no limits.",
    ),
    section(
        "rate_limit_store",
        &limits::STORE,
        "Where limits are counted: in this process, or in a store that several guards share.",
    ),
    section(
        "audit",
        &audit::AUDIT,
        "The audit trail: JSON Lines, each line holding the hash of the one before it.",
    ),
    section("resources", &server::RESOURCES, "What clients may cost."),
    section("log", &server::LOG, "What the guard says of itself on standard error."),
];
