//! `upstream`.

use std::time::Duration;

use http::Uri;

use crate::config::keys::upstream as keys;
use crate::config::section::Section;
use crate::config::value::Value;
use crate::config::values::{self, LONGEST, SHORTEST};
use crate::qstash::target::Target;
use crate::upstream::{Origin, Scheme, Settings};

pub(super) fn compile(mut section: Section<'_>) -> Settings {
    let default = Origin {
        scheme: Scheme::Https,
        host: "qstash.upstash.io".to_owned(),
        port: 443,
        prefix: String::new(),
    };
    let timeout = |value: &Value<'_>| values::duration(value, SHORTEST..=LONGEST);
    let settings = Settings {
        origin: section.value("url", default, origin),
        ca_file: section.value("ca_file", None, values::file),
        connect_timeout: section.value("connect_timeout", Duration::from_secs(5), timeout),
        response_timeout: section.value("response_timeout", Duration::from_mins(2), response_timeout),
        idle_timeout: section.value("idle_timeout", Duration::from_mins(1), timeout),
    };
    section.finish();
    settings
}

fn response_timeout(value: &Value<'_>) -> Result<Duration, String> {
    let timeout = values::duration(value, Duration::ZERO..=LONGEST)?;
    if timeout < *keys::RESPONSE.start() {
        return Err(format!(
            "{} is too short for upstream.response_timeout: QStash may take a minute to answer a cancel by filter, and \
             goes on with it after the guard has given up; write {} or more",
            value.written(),
            values::shown(*keys::RESPONSE.start())
        ));
    }
    Ok(timeout)
}

/// Whether a path ends within those of QStash's API: at the version, or behind it.
fn leads_into_the_api(path: &str) -> bool {
    path.match_indices('/').any(|(at, _)| {
        let target = Target::read(&path.as_bytes()[at..]);
        let segments = target.segments();
        (segments.len() == 1 && segments.starts_with_version()) || target.reaches(|_| true)
    })
}

fn origin(value: &Value<'_>) -> Result<Origin, String> {
    let text = value.text("a URL like `https://qstash.upstash.io`")?;
    // Said first: every other sentence shows what is written.
    if text.contains('@') {
        return Err(
            "upstream.url holds a user name or a password, which are not taken; write the URL without what \
                    stands before the `@`"
                .to_owned(),
        );
    }
    let wrong = |why: &str| Err(format!("{} {why}", value.written()));
    let like = "write it like `https://qstash.upstash.io`";
    if text.contains(['?', '#']) {
        return wrong(
            "has a query or a fragment, which upstream.url does not take; write scheme, host, port and path alone",
        );
    }
    let Ok(uri) = text.parse::<Uri>() else {
        return wrong(&format!("is not a URL for upstream.url; {like}"));
    };
    let scheme = match uri.scheme_str() {
        Some("http") => Scheme::Http,
        Some("https") => Scheme::Https,
        Some(_) => return wrong("is neither an http nor an https URL, which upstream.url must be"),
        None => return wrong(&format!("has no scheme or no host, which upstream.url needs; {like}")),
    };
    let host = uri
        .host()
        .unwrap_or_default()
        .trim_start_matches('[')
        .trim_end_matches(']');
    if host.is_empty() {
        return wrong(&format!("has no host, which upstream.url needs; {like}"));
    }
    let port = match (
        uri.authority()
            .and_then(|authority| authority.as_str().rsplit_once(':')),
        uri.port_u16(),
    ) {
        (_, Some(port)) if port > 0 => port,
        (Some((before, _)), _) if !before.is_empty() && uri.port().is_some() => {
            return wrong("has a port that is out of range for upstream.url; write from 1 to 65535");
        }
        _ if scheme == Scheme::Http => 80,
        _ => 443,
    };
    let prefix = uri.path().trim_end_matches('/');
    let plain = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'))
    };
    if !prefix.split('/').skip(1).all(plain) {
        return wrong(
            "has a path that can be read in more than one way; for upstream.url write plain segments of letters, \
                      digits and `-._~`",
        );
    }
    if leads_into_the_api(prefix) {
        return wrong(
            "has a path that is part of QStash's own, so that the rest of it would be judged as something else; for \
             upstream.url leave out what begins with the version (/v2)",
        );
    }
    Ok(Origin {
        scheme,
        host: host.to_ascii_lowercase(),
        port,
        prefix: prefix.to_owned(),
    })
}
