//! `credentials` and `callers`.

use super::rules::LONGEST_NAME;
use super::{FILE, Key, Takes, key, needed, words};
use crate::layers::{CredentialMode, HeaderForwardToken, QueryToken};

/// The words of `credentials.query_token`.
pub(in crate::config) const QUERY_TOKEN: [(&str, QueryToken); 2] =
    [("move", QueryToken::Move), ("reject", QueryToken::Reject)];

/// The words of `credentials.header_forward_token`.
pub(in crate::config) const HEADER_FORWARD_TOKEN: [(&str, HeaderForwardToken); 3] = [
    ("keep", HeaderForwardToken::Keep),
    ("move", HeaderForwardToken::Move),
    ("reject", HeaderForwardToken::Reject),
];

/// The words of `credentials.mode`.
pub(in crate::config) const MODE: [(&str, CredentialMode); 2] = [
    ("passthrough", CredentialMode::Passthrough),
    ("broker", CredentialMode::Broker),
];

/// SHA-256 in hexadecimal.
const HASH: Takes = Takes::Form("^[0-9A-Fa-f]{64}$");

pub(super) const CREDENTIALS: [Key; 5] = [
    key(
        "query_token",
        Takes::Word(const { &words(&QUERY_TOKEN) }),
        "A token in the query (qstash_token=...) ends up in access logs. move: it becomes the Authorization header. \
         reject: the request is refused.",
    ),
    key(
        "header_forward_token",
        Takes::Word(const { &words(&HEADER_FORWARD_TOKEN) }),
        "The same where the request asks QStash to send its headers on to the destination (Upstash-Header-Forward), \
         which may then see the Authorization header. keep: the token stays in the query.",
    ),
    key(
        "mode",
        Takes::Word(const { &words(&MODE) }),
        "passthrough: clients bring their own QStash token. broker: the guard holds it, and clients show a key of `callers` \
         in its place; whoever shows none gets 401.",
    ),
    key(
        "token",
        Takes::Either(&[Takes::Text, Takes::Null]),
        "For broker: the QStash token. Take it from the environment, like ${QSTASH_TOKEN}.",
    ),
    key(
        "token_file",
        FILE,
        "For broker: a file with the QStash token, read again when it changes.",
    ),
];

pub(super) const CALLER: Takes = Takes::Mapping(
    &[
        needed(
            "name",
            Takes::Name(LONGEST_NAME),
            "The name that rules, limits, metrics and the trail call this caller by. Two entries may have one name: while a \
             key is changed, the old one and the new one.",
        ),
        key(
            "key_sha256",
            HASH,
            "For broker: the SHA-256 of the caller's guard key, in hexadecimal. `qstash-guard key` makes both.",
        ),
        key(
            "token_sha256",
            HASH,
            "For passthrough: the SHA-256 of the caller's QStash token, in hexadecimal.",
        ),
    ],
    &["key_sha256", "token_sha256"],
);
