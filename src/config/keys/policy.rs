//! `policy`.

use super::{ANY, Key, Takes, key, section, words};
use crate::policy::{CapEnforcedBy, MAX_MESSAGE_IDS, Mode, OnMissingCap};
use crate::qstash::selection::{FILTERS, MESSAGE_FILTERS};

/// The words of `policy.mode`.
pub(in crate::config) const MODES: [(&str, Mode); 2] = [("enforce", Mode::Enforce), ("monitor", Mode::Monitor)];

/// The words of `policy.qstash_destinations`: whether they are allowed.
pub(in crate::config) const DESTINATIONS: [(&str, bool); 2] = [("deny", false), ("allow", true)];

/// The words of `policy.bulk_cancel.cap_enforced_by`.
pub(in crate::config) const CAP_ENFORCED_BY: [(&str, CapEnforcedBy); 3] = [
    ("qstash", CapEnforcedBy::Qstash),
    ("guard", CapEnforcedBy::Guard),
    ("auto", CapEnforcedBy::Auto),
];

/// The words of `policy.bulk_cancel.on_missing_cap`.
pub(in crate::config) const ON_MISSING_CAP: [(&str, OnMissingCap); 2] = [
    ("deny", OnMissingCap::Deny),
    ("apply_max_count", OnMissingCap::ApplyMaxCount),
];

const OF_MESSAGES: Takes = Takes::List(&Takes::Word(MESSAGE_FILTERS), ANY);
const OF_ALL: Takes = Takes::List(&Takes::Word(FILTERS), ANY);

pub(super) const POLICY: [Key; 5] = [
    key(
        "mode",
        Takes::Word(const { &words(&MODES) }),
        "enforce: violations are refused. monitor: they are recorded as would_deny, and the request goes on unchanged.",
    ),
    section(
        "bulk_cancel",
        BULK_CANCEL,
        "What bounds DELETE /v2/messages, which without a filter cancels every pending message of the account; and every \
         other bulk operation that policy.operations guards.",
    ),
    key(
        "operations",
        Takes::Treatments,
        "What happens to each operation, by name or glob: allow or deny, or guard for bulk operations. \
         messages.bulk_cancel is guarded and everything else allowed unless said otherwise here. A name beats a glob, a \
         longer glob a shorter one.",
    ),
    key(
        "qstash_destinations",
        Takes::Word(const { &words(&DESTINATIONS) }),
        "Publishing to QStash itself would make QStash send a request that the guard never sees.",
    ),
    key(
        "rules",
        Takes::List(&super::rules::RULE, 0..=super::rules::MOST_RULES),
        "Rules with conditions, tried first and in order: the first whose conditions all hold decides.",
    ),
];

/// Those of `bulk_cancel` that a rule may set for itself: its first six.
pub(super) const BOUNDS: &[Key] = BULK_CANCEL.split_at(6).0;

const BULK_CANCEL: &[Key] = &[
    key(
        "require_filter",
        Takes::Boolean,
        "Refuse a cancel that has neither ids nor a narrowing filter.",
    ),
    key(
        "require_cap",
        Takes::Boolean,
        "Refuse a cancel that is not by ids and has no count.",
    ),
    key(
        "max_count",
        Takes::Whole(1..=u64::MAX),
        "The largest count that is let through; from 1.",
    ),
    key(
        "max_message_ids",
        Takes::Whole(1..=MAX_MESSAGE_IDS as u64),
        "The most ids of one cancel; from 1 to 1000, which is all that QStash takes.",
    ),
    key(
        "allowed_filters",
        Takes::Either(&[Takes::Word(&["all"]), OF_ALL]),
        "The filters that may be used: all, or a list like [queueName, label]. Of another guarded operation, those of the \
         list that it has.",
    ),
    key(
        "narrowing_filters",
        OF_MESSAGES,
        "One of these makes a cancel of messages a filtered one. Dates never do, and callerIp only if it is named here: behind a \
         gateway it matches everything that went through.",
    ),
    key(
        "extra_parameters",
        Takes::List(&Takes::NewParameter, ANY),
        "Names of parameters that QStash has added since. They are let through, and narrow nothing.",
    ),
    key(
        "cap_enforced_by",
        Takes::Word(const { &words(&CAP_ENFORCED_BY) }),
        "Who sees to it that no more than count messages go: qstash, or the guard itself. auto: guard where the upstream \
         host is under upstash.io, else qstash.",
    ),
    key(
        "on_missing_cap",
        Takes::Word(const { &words(&ON_MISSING_CAP) }),
        "What happens to a cancel without count where require_cap asks for one: deny, or apply_max_count where the \
         guard enforces the cap.",
    ),
];
