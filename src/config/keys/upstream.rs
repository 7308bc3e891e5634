//! `upstream`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{FILE, Key, TIMEOUT, Takes, key};
use crate::config::values::LONGEST;

/// QStash answers a cancel by filter within a minute; the guard must not give up before.
pub(in crate::config) const RESPONSE: RangeInclusive<Duration> = Duration::from_secs(75)..=LONGEST;

/// Scheme, host, port and plain segments.
const URL: &str = "^[Hh][Tt][Tt][Pp][Ss]?://(?:[A-Za-z0-9._~-]+|\\[[0-9A-Fa-f:.]+\\])(?::[0-9]+)?\
                   (?:/(?!\\.\\.?(?:/|$))[A-Za-z0-9._~-]+)*/*$";

pub(super) const UPSTREAM: [Key; 5] = [
    key(
        "url",
        Takes::Form(URL),
        "http or https; a path is put before every path. Take the URL of your region (like \
         https://qstash-us-east-1.upstash.io).",
    ),
    key(
        "ca_file",
        FILE,
        "More root certificates to trust, as a PEM file; for rate_limit_store too.",
    ),
    key("connect_timeout", TIMEOUT, "How long TCP and TLS together may take."),
    key(
        "response_timeout",
        Takes::Duration(RESPONSE),
        "From the end of the request to the head of the answer. At least 75s: QStash may take a minute to answer a \
         cancel by filter, and goes on with it after a client has given up.",
    ),
    key("idle_timeout", TIMEOUT, "How long a pooled connection is kept unused."),
];
