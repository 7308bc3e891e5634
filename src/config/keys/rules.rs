//! An item of `policy.rules`.

use super::policy::{BOUNDS, MODES};
use super::{Takes, key, needed, words};

/// The most rules: each costs the requests that it names a little time.
pub(in crate::config) const MOST_RULES: usize = 1000;

/// The most characters of a rule's name, and of a caller's.
pub(in crate::config) const LONGEST_NAME: usize = 64;

/// The longest text of a denial, in characters: it stands in every answer and record of one.
pub(in crate::config) const LONGEST_TEXT: usize = 500;

const CALLERS: Takes = Takes::List(&Takes::Name(LONGEST_NAME), 1..=usize::MAX);

const OPERATIONS: Takes = Takes::List(&Takes::Operation, 1..=usize::MAX);

pub(super) const RULE: Takes = Takes::Mapping(
    &[
        needed(
            "name",
            Takes::Text,
            "The name that refusals and the trail call the rule by.",
        ),
        key(
            "callers",
            CALLERS,
            "The callers that it is for, by name or glob; left out: all of them.",
        ),
        key(
            "operations",
            OPERATIONS,
            "The operations that it is for, by name or glob; left out: messages.bulk_cancel.",
        ),
        key(
            "when",
            Takes::Text,
            "A condition in CEL over caller, client, request, operation and cancel; left out: always. request.path is \
             the judged copy: decoded, in lower case, // as /, without a / at its end; where a rule looks at it, paths \
             that servers read differently are refused.",
        ),
        key(
            "deny",
            Takes::Name(LONGEST_TEXT),
            "Refuse the request; the text tells the client why and what to do.",
        ),
        key(
            "allow",
            Takes::True,
            "Let the request through, past policy.bulk_cancel. It never lifts limits, nor the refusal of what is \
             ambiguous.",
        ),
        key(
            "bulk_cancel",
            Takes::SomeOf(BOUNDS),
            "Limits of its own for a bulk cancel; keys left out keep the value of policy.bulk_cancel.",
        ),
        key(
            "expires",
            Takes::Form("^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}.*(?:[Zz]|[+-][0-9]{2}.*)$"),
            "From this time on (RFC 3339, like 2026-12-01T00:00:00Z) the rule is skipped.",
        ),
        key(
            "mode",
            Takes::Word(const { &words(&MODES) }),
            "monitor: the rule never decides; what it would have done is recorded. Left out: enforce.",
        ),
    ],
    &["deny", "allow", "bulk_cancel"],
);
