//! What of a request's target a record may hold. Pure; what cannot be told apart safely is left out.

use std::borrow::Cow;
use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::qstash::operation::Operation;
use crate::qstash::parameters::FILTERS;
use crate::qstash::query;
use crate::qstash::selection::{LONGEST_PARAMETER, TOKEN_PARAMETER};

/// What stands in for what is left out.
pub(super) const HIDDEN: &str = "***";

/// The longest string of a request in a record, bytes.
const MAX_LENGTH: usize = 1024;

/// A name at least this long with nothing but padding for its value may be a token in the wrong place.
const TOKEN_LIKE_NAME: usize = 16;

/// The parameters of guarded operations whose values are shown, beside all filters.
const SHOWN: &[&str] = &[
    "messageIds",
    "dlqIds",
    "workflowRunIds",
    "fromDate",
    "toDate",
    "cursor",
    "count",
    "async",
];

/// Parameters whose values are URLs, with or without a scheme.
const URLS: &[&str] = &["url", "workflowUrl", "host"];

/// What stays as it is when a value has to be written anew.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b'/')
    .remove(b'*');

/// A target for a record: the path as sent, with what follows the port of a URL in it hidden; of the query the values
/// of guarded operations' parameters alone; user info cut from URLs; at most 1 KiB.
///
/// The whole query of an operation with a destination is that destination's, and hidden with it.
pub fn target(path_and_query: &str, operation: Operation) -> String {
    let (raw_path, raw_query) = match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    };
    let (mut shown, has_destination) = path(raw_path, operation);
    if let Some(raw_query) = raw_query {
        shown.push('?');
        for (index, raw) in raw_query.split('&').enumerate() {
            if index > 0 {
                shown.push('&');
            }
            pair(&mut shown, raw, has_destination);
        }
    }
    cut(&shown).into_owned()
}

/// A decoded parameter value for a record: user info cut from URLs, at most 1 KiB.
pub(super) fn value(name: &str, value: &str) -> String {
    cut(&safe_value(name, value)).into_owned()
}

/// A string of at most 1 KiB: what is longer is cut at a character, and its length stands behind it.
pub(super) fn cut(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_LENGTH {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(MAX_LENGTH);
    Cow::Owned(format!("{}…({} bytes)", &text[..end], text.len()))
}

/// Whether a record may hold a text in part alone: something is hidden in it, or its end is cut.
pub(super) fn is_partial(recorded: &str) -> bool {
    recorded.contains(HIDDEN) || is_cut(recorded)
}

/// Whether the end of a recorded text may be cut.
pub(super) fn is_cut(recorded: &str) -> bool {
    recorded.contains('…') && recorded.ends_with(" bytes)")
}

/// The path for a record, and whether it leads to a destination.
fn path(raw: &str, operation: Operation) -> (String, bool) {
    let leading = match operation {
        Operation::MessagesEnqueue => Some(3),
        _ if operation.takes_destination() => Some(2),
        _ => None,
    };
    let mut shown = String::with_capacity(raw.len());
    let mut at = 0;
    let mut seen = 0;
    for segment in raw.split('/') {
        if at > 0 {
            shown.push('/');
        }
        let decoded = decoded_fully(segment);
        if has_scheme(&decoded) {
            destination_url(&mut shown, &raw[at..]);
            return (shown, true);
        }
        if leading == Some(seen) && !segment.is_empty() {
            destination_name(&mut shown, &raw[at..]);
            return (shown, true);
        }
        let odd = decoded.contains(['/', '\\', '%', ';', '?', '#']) || matches!(&*decoded, "." | "..");
        if mentions_token(&decoded) || (leading.is_some() && odd) {
            shown.push_str(HIDDEN);
            return (shown, leading.is_some());
        }
        match segment.rsplit_once('@') {
            Some((user_info, host)) if user_info.contains(':') && !decoded_fully(host).contains('@') => {
                shown.push_str(host);
            }
            _ if decoded.contains('@') && decoded.contains(':') => shown.push_str(HIDDEN),
            _ => shown.push_str(segment),
        }
        at += segment.len() + 1;
        seen += usize::from(!segment.is_empty());
    }
    (shown, leading.is_some())
}

/// Whether a URL starts in this segment: `https:` in front of slashes, or encoded together with what follows.
fn has_scheme(segment: &str) -> bool {
    let web = |s: &str| {
        segment
            .trim_start()
            .get(..s.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(s))
    };
    segment.ends_with(':') || web("http:") || web("https:")
}

/// A destination with a scheme: that, the host and the port.
fn destination_url(shown: &mut String, raw: &str) {
    let Some((scheme, rest)) = raw
        .split_once(':')
        .filter(|(scheme, _)| scheme.bytes().all(|b| b.is_ascii_alphabetic()))
    else {
        shown.push_str(HIDDEN);
        return;
    };
    let authority = rest.trim_start_matches('/');
    let slashes = &rest[..rest.len() - authority.len()];
    match split_authority(authority) {
        Some((host, rest)) if !slashes.is_empty() => {
            _ = write!(shown, "{scheme}:{slashes}{host}");
            match rest {
                "" => {}
                "/" => shown.push('/'),
                _ => _ = write!(shown, "/{HIDDEN}"),
            }
        }
        _ => shown.push_str(HIDDEN),
    }
}

/// A destination without a scheme: the name of a URL group, where it can be one.
fn destination_name(shown: &mut String, raw: &str) {
    let (name, rest) = raw
        .split_once('/')
        .map_or((raw, None), |(name, rest)| (name, Some(rest)));
    let plain =
        name.len() <= LONGEST_PARAMETER && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    shown.push_str(if plain { name } else { HIDDEN });
    match rest {
        None => {}
        Some("") => shown.push('/'),
        Some(_) => _ = write!(shown, "/{HIDDEN}"),
    }
}

/// What follows a URL's slashes as host and port without user info, and the rest; `None` where the two cannot be told
/// apart for certain (a `/` in a password, a `\`, escapes).
fn split_authority(text: &str) -> Option<(&str, &str)> {
    let end = text.find(['/', '\\', '?', '#']).unwrap_or(text.len());
    let (authority, rest) = text.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    // An `@` behind a slash may still end user info; what stands before is a host only where it can be nothing else.
    let host_alone = authority.contains('.') && !authority.contains([':', '@']);
    let doubtful = decoded_fully(rest).contains('@') && !host_alone;
    (is_host_and_port(host) && !doubtful && !rest.starts_with('\\')).then_some((host, rest))
}

fn is_host_and_port(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let host_is_plain = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.bytes().all(|b| b.is_ascii_hexdigit() || b":.".contains(&b)),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)),
    };
    host_is_plain && port.is_none_or(|port| port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit()))
}

fn pair(shown: &mut String, raw: &str, of_destination: bool) {
    let known = |name: &str| {
        SHOWN
            .iter()
            .chain(FILTERS)
            .copied()
            .find(|shown| query::is_named(name.as_bytes(), shown.as_bytes(), false))
    };
    let Some((name, value)) = raw.split_once('=') else {
        shown.push_str(if raw.is_empty() || known(raw).is_some() {
            raw
        } else {
            HIDDEN
        });
        return;
    };
    if let Some(known) = known(name).filter(|_| !of_destination) {
        _ = write!(shown, "{name}={}", raw_value(known, value));
        return;
    }
    let plain = name.len() <= LONGEST_PARAMETER
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.%[]".contains(&b));
    let token_like = name.len() >= TOKEN_LIKE_NAME && value.bytes().all(|b| b == b'=');
    let shown_name = if plain && !token_like { name } else { HIDDEN };
    _ = write!(shown, "{shown_name}={HIDDEN}");
}

/// The value of a known parameter as sent, where that is safe.
fn raw_value<'v>(name: &str, raw: &'v str) -> Cow<'v, str> {
    if mentions_token(&decoded_fully(raw)) {
        return Cow::Borrowed(HIDDEN);
    }
    if let Some((before, _)) = raw.split_once(';') {
        return Cow::Owned(format!("{};{HIDDEN}", raw_value(name, before)));
    }
    let spaced = raw.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8_lossy();
    let values: Vec<Cow<'_, str>> = decoded.split(',').map(|value| safe_value(name, value)).collect();
    if values.iter().all(|value| matches!(value, Cow::Borrowed(_))) {
        return Cow::Borrowed(raw);
    }
    let encoded: Vec<String> = values
        .iter()
        .map(|v| utf8_percent_encode(v, IN_QUERY).to_string())
        .collect();
    Cow::Owned(encoded.join(","))
}

/// A decoded value without user info; borrowed where nothing had to go.
fn safe_value<'v>(name: &str, value: &'v str) -> Cow<'v, str> {
    let decoded = decoded_fully(value);
    if mentions_token(&decoded) {
        return Cow::Owned(HIDDEN.to_owned());
    }
    let is_url = URLS.contains(&name) || decoded.contains("//");
    if !is_url || !decoded.contains('@') {
        return Cow::Borrowed(value);
    }
    let (scheme, behind) = match value.find("//") {
        Some(at) => value.split_at(at + 2),
        None => ("", value),
    };
    let scheme_is_plain = scheme
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b":/+-.".contains(&b));
    match split_authority(behind) {
        Some((host, rest)) if scheme_is_plain && !decoded_fully(rest).contains('@') => {
            Cow::Owned(format!("{scheme}{host}{rest}"))
        }
        Some((host, _)) if scheme_is_plain => Cow::Owned(format!("{scheme}{host}/{HIDDEN}")),
        _ => Cow::Owned(HIDDEN.to_owned()),
    }
}

fn mentions_token(decoded: &str) -> bool {
    decoded.to_ascii_lowercase().contains(TOKEN_PARAMETER)
}

/// Percent-decoded until nothing changes, in one pass; malformed escapes stay.
fn decoded_fully(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        out.push(byte);
        while let [.., b'%', high, low] = out.as_slice() {
            let (Some(high), Some(low)) = (digit(*high), digit(*low)) else {
                break;
            };
            out.truncate(out.len() - 3);
            out.push(high << 4 | low);
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
#[path = "redact_tests.rs"]
mod tests;
