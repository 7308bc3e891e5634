//! `listen`, `admin`, `resources` and `log`.

use std::ops::RangeInclusive;
use std::time::Duration;

use tracing::Level;

use super::{ANY, FILE, Key, TIMEOUT, Takes, key, needed, words};
use crate::config::values::LONGEST;
use crate::telemetry::Format;

/// Connections at once.
pub(in crate::config) const CONNECTIONS: RangeInclusive<u64> = 1..=1_000_000;

/// The bytes of a request's head. With less, hyper cannot read an ordinary request.
pub(in crate::config) const HEAD: RangeInclusive<u64> = (8 << 10)..=(1 << 20);

/// The bytes of an inspected body, which is held whole.
pub(in crate::config) const INSPECTED_BODY: RangeInclusive<u64> = 1..=(64 << 20);

/// How long readiness fails before connections are refused.
pub(in crate::config) const DELAY: RangeInclusive<Duration> = Duration::ZERO..=LONGEST;

/// The words of `log.level`.
pub(in crate::config) const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];

/// The words of `log.format`.
pub(in crate::config) const FORMATS: [(&str, Format); 3] =
    [("auto", Format::Auto), ("text", Format::Text), ("json", Format::Json)];

const NETWORK: Takes = Takes::Form("^[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?$");

const TLS: [Key; 3] = [
    needed(
        "certificate",
        Takes::Text,
        "The certificate and what signed it, a PEM file.",
    ),
    needed("private_key", Takes::Text, "The key of the certificate, a PEM file."),
    key(
        "client_ca",
        FILE,
        "Clients must show a certificate that one of these roots has signed, a PEM file; the name in it is the caller.",
    ),
];

pub(super) const LISTEN: [Key; 5] = [
    key(
        "address",
        Takes::Address,
        "IP address and port. Beside the application, keep it on loopback; port 0 takes a free one.",
    ),
    key(
        "path_prefix",
        Takes::Form("^(?:/[A-Za-z0-9._~-]+)*$"),
        "Serve only this prefix, and cut it off before a request is judged and sent on.",
    ),
    key(
        "tls",
        Takes::Either(&[Takes::Mapping(&TLS, &[]), Takes::Null]),
        "Certificate and key for TLS to clients; read again when the files change.",
    ),
    key(
        "trusted_proxies",
        Takes::List(&NETWORK, ANY),
        "Networks (CIDR) whose X-Forwarded-For entry is believed: the client is then the rightmost entry that is not \
         one of them, for the trail and for limits alone.",
    ),
    key(
        "idle_timeout",
        TIMEOUT,
        "How long a kept-alive connection may stay unused.",
    ),
];

pub(super) const ADMIN: [Key; 2] = [
    key(
        "address",
        Takes::Address,
        "IP address and port of /healthz /readyz /metrics /audit.",
    ),
    key(
        "token_file",
        FILE,
        "A file with the bearer token that /audit asks for. Where the address is not loopback, /audit is 404 without one.",
    ),
];

pub(super) const RESOURCES: [Key; 7] = [
    key(
        "max_connections",
        Takes::Whole(CONNECTIONS),
        "Connections served at once; further ones wait.",
    ),
    key(
        "max_inspected_body",
        Takes::Size(INSPECTED_BODY),
        "A guarded request's body is read to judge it, up to here; a larger one is refused.",
    ),
    key(
        "header_read_timeout",
        TIMEOUT,
        "From the first byte of a request's head to its last.",
    ),
    key("body_idle_timeout", TIMEOUT, "How long a body may stand still."),
    key(
        "max_header_bytes",
        Takes::Size(HEAD),
        "The most bytes of a request's head; at least 8KiB.",
    ),
    key(
        "shutdown_delay",
        Takes::Duration(DELAY),
        "At shutdown, how long readiness already fails while connections are still accepted. Behind a load balancer, \
         give it the time that the balancer takes to notice.",
    ),
    key(
        "shutdown_grace",
        TIMEOUT,
        "At shutdown, how long requests in flight may take to finish.",
    ),
];

pub(super) const LOG: [Key; 2] = [
    key(
        "level",
        Takes::Word(const { &words(&LEVELS) }),
        "Lines of this level and of those before it are written.",
    ),
    key(
        "format",
        Takes::Word(const { &words(&FORMATS) }),
        "auto: text on a terminal, JSON otherwise.",
    ),
];
