//! The destination that a publish, enqueue, schedule or trigger names in its path.

use std::net::{IpAddr, Ipv6Addr};

use super::operation::{Operation, Verb};
use super::target::{Segments, Target, first_segment};

/// Whether the request is for a destination that is QStash itself: the upstream's host, `qstash.upstash.io` or
/// `qstash-*.upstash.io`, letter case and a trailing dot ignored, under any reading of the path. Such a message would
/// make QStash send a request to itself that the guard never sees. So is a host in other characters than ASCII that may be
/// one of them. Allocates no more than [`Target::read`].
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

/// Whether a host is the upstream's or one of QStash's own; an address may be written in other ways.
pub fn is_qstash_host(host: &[u8], upstream_host: &str) -> bool {
    if !host.is_ascii() {
        return may_be_qstash(host, upstream_host);
    }
    let host = host.strip_suffix(b".").unwrap_or(host);
    let upstream_host = upstream_host.strip_suffix('.').unwrap_or(upstream_host);
    let ends_with = |suffix: &[u8]| host.len() > suffix.len() && tail(host, suffix.len()).eq_ignore_ascii_case(suffix);
    let starts_with = |prefix: &[u8]| host.len() > prefix.len() && host[..prefix.len()].eq_ignore_ascii_case(prefix);
    let is_upstreams_address = || address(host).is_some_and(|host| Some(host) == address(upstream_host.as_bytes()));
    host.eq_ignore_ascii_case(upstream_host.as_bytes())
        || host.eq_ignore_ascii_case(QSTASH.as_bytes())
        || (starts_with(REGION.as_bytes()) && ends_with(UPSTASH.as_bytes()))
        || is_upstreams_address()
}

/// Whether the rules for international names (UTS #46) may make one of those hosts of this one, as they make a dot of `。`
/// and nothing of a soft hyphen: what they map to ASCII, or may, counts as any text. Never more than what its ends in ASCII
/// allow, so that few other hosts are taken for one.
fn may_be_qstash(host: &[u8], upstream_host: &str) -> bool {
    let Ok(host) = str::from_utf8(host) else { return false };
    let mut foreign = host.char_indices().filter(|(_, c)| !c.is_ascii());
    let Some((first, c)) = foreign.next() else { return false };
    let (last, end) = foreign.clone().next_back().unwrap_or((first, c));
    if stays_foreign(c) || foreign.any(|(_, c)| stays_foreign(c)) {
        return false;
    }
    let before = host[..first].to_ascii_lowercase();
    let after = host[last + end.len_utf8()..].to_ascii_lowercase();
    let after = after.strip_suffix('.').unwrap_or(&after);
    let upstream_host = upstream_host
        .strip_suffix('.')
        .unwrap_or(upstream_host)
        .to_ascii_lowercase();
    let is_within = |name: &str| name.starts_with(&*before) && name.ends_with(after);
    let is_region = (before.starts_with(REGION) || REGION.starts_with(&*before))
        && (after.ends_with(UPSTASH) || UPSTASH.ends_with(after));
    is_region || is_within(QSTASH) || is_within(&upstream_host)
}

/// Letters of some alphabets of which no rule makes ASCII: enough to tell most international names.
fn stays_foreign(c: char) -> bool {
    matches!(c,
        'à'..='ö' | 'ø'..='ÿ' | 'À'..='Ö' | 'Ø'..='Þ' // Latin with marks; `ß` may be `ss`
        | 'Ѐ'..='ӿ' // Cyrillic
        | 'ء'..='ي' // Arabic
        | 'ぁ'..='ゖ' | 'ァ'..='ヺ' // Kana
        | '一'..='鿿' // Han
        | '가'..='힣' // Hangul
    )
}

/// An IP address, which may stand in brackets; one of IPv4 is the same in IPv6.
fn address(host: &[u8]) -> Option<IpAddr> {
    let host = str::from_utf8(host).ok()?;
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let address = match bracketed {
        Some(address) => address.parse().map(|address: Ipv6Addr| IpAddr::V6(address)),
        None => host.parse(),
    };
    address.ok().map(|address| address.to_canonical())
}

const QSTASH: &str = "qstash.upstash.io";
/// What the hosts of regions begin with.
const REGION: &str = "qstash-";
/// What they end with.
const UPSTASH: &str = ".upstash.io";

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
