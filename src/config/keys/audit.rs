//! `audit`.

use std::ops::RangeInclusive;

use super::{FILE, Key, TIMEOUT, Takes, key, section, words};
use crate::audit::{Durability, OnFailure, Recorded};

/// The bytes of a file of the trail.
pub(in crate::config) const FILE_SIZE: RangeInclusive<u64> = 1..=(1 << 40);

/// How many rotated files are kept.
pub(in crate::config) const FILES: RangeInclusive<u64> = 1..=1_000_000;

/// The words of `audit.durability`.
pub(in crate::config) const DURABILITY: [(&str, Durability); 2] =
    [("sync", Durability::Sync), ("buffered", Durability::Buffered)];

/// The words of `audit.on_failure`.
pub(in crate::config) const ON_FAILURE: [(&str, OnFailure); 2] =
    [("deny", OnFailure::Deny), ("allow", OnFailure::Allow)];

/// The words of `audit.record`.
pub(in crate::config) const RECORD: [(&str, Recorded); 2] = [("guarded", Recorded::Guarded), ("all", Recorded::All)];

pub(super) const AUDIT: [Key; 8] = [
    key(
        "path",
        FILE,
        "A file, whose folder is made; \"-\" (in quotes) for standard output; null for no trail.",
    ),
    key(
        "durability",
        Takes::Word(const { &words(&DURABILITY) }),
        "sync: a guarded request goes on once its record is on disk. buffered: once the operating system has it.",
    ),
    key("write_timeout", TIMEOUT, "A write that takes longer counts as failed."),
    key(
        "on_failure",
        Takes::Word(const { &words(&ON_FAILURE) }),
        "While records cannot be written, guarded requests are refused (deny) or go on unrecorded (allow).",
    ),
    key(
        "record",
        Takes::Word(const { &words(&RECORD) }),
        "guarded: guarded and refused requests leave a record. all: every request does.",
    ),
    section(
        "rotate",
        &ROTATE,
        "When a file of the trail is set aside, and what becomes of it.",
    ),
    key(
        "follow_bulk_actions",
        Takes::Boolean,
        "Ask QStash, for an hour at most, how many messages an asynchronous cancel took, and record it.",
    ),
    key(
        "signing_key_file",
        FILE,
        "An ed25519 key (PKCS#8, PEM) that signs checkpoints of the trail, for audit verify --public-key.",
    ),
];

const ROTATE: [Key; 3] = [
    key(
        "max_size",
        Takes::Size(FILE_SIZE),
        "A file is set aside before it grows past this.",
    ),
    key(
        "keep",
        Takes::Either(&[Takes::Word(&["all"]), Takes::Whole(FILES)]),
        "all, or how many files set aside are kept; the oldest go, which is recorded.",
    ),
    key(
        "compress",
        Takes::Boolean,
        "Compress files that were set aside, with gzip (.jsonl.gz).",
    ),
];
