//! The destination that a publish, enqueue, schedule or trigger names in its path.

use super::operation::{Operation, Verb};
use super::segments::{Segments, first_segment};
use super::target::Target;

/// Whether the request is for a destination that is QStash itself: the upstream's host, `qstash.upstash.io` or
/// `qstash-*.upstash.io`, letter case and a trailing dot ignored, under any reading of the path. Such a message would
/// make QStash send a request to itself that the guard never sees. Allocates no more than [`Target::read`].
pub fn is_qstash(target: &Target<'_>, verb: Verb, upstream_host: &str) -> bool {
    let names_qstash = |url: &[u8]| host(url).is_some_and(|host| is_qstash_host(host, upstream_host));
    verb == Verb::Post
        && target.any_reading(|path| {
            let operation = Operation::of(verb, &Segments::of(path));
            // A queue's name may be empty where `//` is not collapsed, so an enqueue's destination is looked for in
            // both places.
            operation.takes_destination()
                && (names_qstash(behind_segments(path, 2))
                    || (operation == Operation::MessagesEnqueue && names_qstash(behind_segments(path, 3))))
        })
}

/// Whether a destination's host has anything but ASCII in it: what that means goes by rules for international names, under
/// which `。` is a dot and some characters are nothing.
pub fn has_foreign_host(target: &Target<'_>) -> bool {
    target.any_reading(|path| {
        (2..=3).any(|count| host(behind_segments(path, count)).is_some_and(|host| !host.is_ascii()))
    })
}

/// Whether a host is the upstream's or one of QStash's own.
pub fn is_qstash_host(host: &[u8], upstream_host: &str) -> bool {
    let host = host.strip_suffix(b".").unwrap_or(host);
    let upstream_host = upstream_host.strip_suffix('.').unwrap_or(upstream_host);
    let ends_with = |suffix: &[u8]| host.len() > suffix.len() && tail(host, suffix.len()).eq_ignore_ascii_case(suffix);
    let starts_with = |prefix: &[u8]| host.len() > prefix.len() && host[..prefix.len()].eq_ignore_ascii_case(prefix);
    host.eq_ignore_ascii_case(upstream_host.as_bytes())
        || host.eq_ignore_ascii_case(b"qstash.upstash.io")
        || (starts_with(b"qstash-") && ends_with(b".upstash.io"))
}

/// Whether a host is the hosted service's: under upstash.io, letter case and a trailing dot ignored.
pub fn is_hosted(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "upstash.io" || host.ends_with(".upstash.io")
}

/// What stands behind the first `count` non-empty segments and the slashes after them.
fn behind_segments(path: &[u8], count: usize) -> &[u8] {
    let mut rest = path;
    for _ in 0..count {
        rest = first_segment(rest).1;
    }
    let start = rest.iter().position(|&byte| byte != b'/').unwrap_or(rest.len());
    &rest[start..]
}

/// The host of an http or https URL, read leniently: any number of slashes, user info and port cut.
fn host(url: &[u8]) -> Option<&[u8]> {
    let colon = url.iter().position(|&b| b == b':')?;
    let scheme = url[..colon].trim_ascii();
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return None;
    }
    let rest = &url[colon + 1..];
    let start = rest.iter().position(|b| *b != b'/')?;
    let rest = &rest[start..];
    let end = rest
        .iter()
        .position(|b| matches!(b, b'/' | b'?' | b'#'))
        .unwrap_or(rest.len());
    let authority = &rest[..end];
    let host = match authority.iter().rposition(|&b| b == b'@') {
        Some(at) => &authority[at + 1..],
        None => authority,
    };
    let host = match host.iter().rposition(|&b| b == b':') {
        Some(colon) if host[colon + 1..].iter().all(u8::is_ascii_digit) => &host[..colon],
        _ => host,
    };
    Some(host.trim_ascii())
}

fn tail(bytes: &[u8], len: usize) -> &[u8] {
    &bytes[bytes.len() - len..]
}
