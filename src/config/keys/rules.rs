//! An item of `policy.rules`.

use super::policy::{BULK_CANCEL, MODES};
use super::{ANY, Takes, key, needed, section, words};

const CALLERS: Takes = Takes::List(&Takes::Text, ANY);

const OPERATIONS: Takes = Takes::List(&Takes::Operation, ANY);

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
            "A condition in CEL over caller, client, request, operation and cancel; left out: always.",
        ),
        key(
            "deny",
            Takes::Text,
            "Refuse the request; the text tells the client why and what to do.",
        ),
        key(
            "allow",
            Takes::Boolean,
            "true: let the request through, past policy.bulk_cancel. It never lifts limits, nor the refusal of what is \
             ambiguous.",
        ),
        section(
            "bulk_cancel",
            &BULK_CANCEL,
            "Limits of its own for a bulk cancel; keys left out keep the value of policy.bulk_cancel.",
        ),
        key(
            "expires",
            Takes::Form(
                "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\\.[0-9]+)?)?(?:[Zz]|[+-][0-9]{2}:?[0-9]{2})$",
            ),
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
