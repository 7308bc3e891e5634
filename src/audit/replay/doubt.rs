//! Why a recorded request cannot be decided again.

use std::fmt;

/// What is missing. The order is that of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// It was refused before its selection was read.
    NoSelection,
    /// Its path had several readings, and the policy does not guard the one that is recorded.
    Ambiguous,
    /// A rule looks at ids, and a denial holds the first ones alone.
    Ids,
    /// A rule looks at a value that was recorded in part.
    Cut,
    /// A rule looks at the fingerprint of a caller who is recorded by name.
    Fingerprint,
    /// A rule asks for a caller's name, and the policy does not name the recorded one.
    Caller,
    /// A parameter may be unknown, and its name is not recorded.
    Parameter,
    /// It was refused for its credential.
    Credential,
    /// Something else than a policy refused it.
    NotOfThePolicy,
    /// The record does not say enough, or in words of another version.
    Record,
}

impl Doubt {
    /// The reason in words, to stand behind "could not be decided again:".
    pub const fn as_str(self) -> &'static str {
        match self {
            Doubt::NoSelection => "refused before it was read what they select",
            Doubt::Ambiguous => "their path could be read in several ways, and is recorded in one",
            Doubt::Ids => "a rule looks at ids, of which a denial records the first 100",
            Doubt::Cut => "a rule looks at a value that is recorded in part",
            Doubt::Fingerprint => "a rule looks at the caller's fingerprint, and the caller is recorded by name",
            Doubt::Caller => "a rule asks for the caller's name, and the configuration does not name the one recorded",
            Doubt::Parameter => "a parameter may be known or not, and its name is not recorded",
            Doubt::Credential => "refused for their credential, which is not recorded",
            Doubt::NotOfThePolicy => {
                "refused for the state of the trail, the store of limits or the upstream, not by the policy"
            }
            Doubt::Record => "the record lacks a field, or has words of another version",
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
