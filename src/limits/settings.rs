//! Limits as they are configured.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::qstash::operation::Operation;

/// One limit: a token bucket a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its name, unique among limits.
    pub name: String,
    /// What it limits.
    pub applies_to: AppliesTo,
    /// Who shares a bucket.
    pub per: Per,
    /// What it counts.
    pub unit: Unit,
    /// How fast a bucket refills.
    pub rate: Rate,
    /// How much a full bucket holds, in the unit.
    pub burst: NonZeroU32,
}

/// What a limit applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppliesTo {
    /// Requests for these operations.
    Operations(Vec<Operation>),
    /// Records of denials: above it, denials are answered and counted, but recorded only as a number.
    Denied,
}

/// Who shares a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Per {
    /// The caller: its name, or its token's fingerprint.
    Caller,
    /// The client's address.
    ClientIp,
    /// Everybody.
    Global,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Requests.
    Requests,
    /// Messages cancelled: `count`, or the number of ids.
    Messages,
}

/// A rate: `events` in each `period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub events: NonZeroU32,
    /// In how long: a second, a minute, an hour or a day.
    pub period: Duration,
}

/// What happens while the store of limits does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// This process counts for itself.
    Local,
    /// Limited requests are refused.
    Deny,
    /// They pass uncounted.
    Allow,
}

impl fmt::Display for OnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OnError::Local => "local",
            OnError::Deny => "deny",
            OnError::Allow => "allow",
        })
    }
}
