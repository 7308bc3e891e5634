//! Which resource a path names.

use super::query::unescape;

/// A path, cleaned.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The cleaned segments. A URL group as a destination is a segment like any other.
    Path(Vec<String>),
    /// The segments before a destination that is a URL, and that URL as it came.
    Destination(Vec<String>, String),
}

impl Target {
    /// Reads a path: decoded, `//` collapsed, dot segments applied, a trailing slash dropped, but a URL destination left
    /// alone. `None` when it holds a bad escape.
    pub(super) fn read(path: &str) -> Option<Self> {
        let mut segments: Vec<String> = Vec::new();
        let mut rest = path;
        loop {
            rest = rest.trim_start_matches('/');
            if takes_destination(&segments)
                && let Some(url) = destination(rest)
            {
                return Some(Self::Destination(segments, url));
            }
            if rest.is_empty() {
                return Some(Self::Path(segments));
            }
            let (segment, tail) = rest.split_once('/').unwrap_or((rest, ""));
            // An escaped slash parts segments too, since the path is decoded before it is cleaned.
            for part in unescape(segment, false)?.split('/') {
                match part {
                    "" | "." => {}
                    ".." => drop(segments.pop()),
                    part => segments.push(part.to_owned()),
                }
            }
            rest = tail;
        }
    }
}

fn takes_destination(segments: &[String]) -> bool {
    match segments {
        [version, kind] => version == "v2" && (kind == "publish" || kind == "schedules"),
        [version, kind, _queue] => version == "v2" && kind == "enqueue",
        _ => false,
    }
}

/// The URL that a path ends in, raw as official clients send it or escaped as a whole.
fn destination(rest: &str) -> Option<String> {
    // One slash is enough to tell: intermediaries that collapse `//` leave `https:/host`.
    if starts_with_scheme(rest, "/") {
        return Some(rest.to_owned());
    }
    unescape(rest, false).filter(|decoded| starts_with_scheme(decoded, "//"))
}

fn starts_with_scheme(text: &str, slashes: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")) && rest.starts_with(slashes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_leniently_as_can_be() {
        for path in [
            "/v2/messages",
            "/v2/messages/",
            "/v2//messages//",
            "//v2/./messages",
            "/v2/%6dessages/",
            "/v2/messages/%2e",
            "/v2/messages/x/..",
            "/v2/messages/%2F",
            "/v2/publish/../messages",
            "/../v2/messages",
        ] {
            let expected = Target::Path(vec!["v2".into(), "messages".into()]);
            assert_eq!(Target::read(path), Some(expected), "{path}");
        }
        assert_eq!(Target::read("/v2/messages/%zz"), None);
        assert_eq!(
            Target::read("/v2/messages/%20"),
            Some(Target::Path(vec!["v2".into(), "messages".into(), " ".into()]))
        );
    }

    #[test]
    fn a_url_as_destination_is_kept() {
        for (path, head, url) in [
            (
                "/v2/publish/https://a.example//b/../c/",
                "publish",
                "https://a.example//b/../c/",
            ),
            ("/v2//publish//HTTP://a.example/%2e", "publish", "HTTP://a.example/%2e"),
            (
                "/v2/publish/https%3A%2F%2Fa.example%2Fx",
                "publish",
                "https://a.example/x",
            ),
            (
                "/v2/schedules/https://a.example/pause",
                "schedules",
                "https://a.example/pause",
            ),
        ] {
            let expected = Target::Destination(vec!["v2".into(), head.into()], url.into());
            assert_eq!(Target::read(path), Some(expected), "{path}");
        }
        assert_eq!(
            Target::read("/v2/enqueue/q/https://a.example/v2/messages/"),
            Some(Target::Destination(
                vec!["v2".into(), "enqueue".into(), "q".into()],
                "https://a.example/v2/messages/".into()
            ))
        );
    }
}
