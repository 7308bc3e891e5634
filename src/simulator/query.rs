//! A URL query, read as Go's `url.ParseQuery` reads it.

/// The pairs of a query that survived parsing, in order.
#[derive(Default)]
pub(super) struct Query {
    raw: String,
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Pairs that hold `;` or a bad escape are dropped in silence, as Go does when only `URL.Query()` is asked.
    pub(super) fn parse(raw: &str) -> Self {
        let pairs = raw.split('&').filter_map(pair).collect();
        Self {
            raw: raw.to_owned(),
            pairs,
        }
    }

    /// The values under exactly this name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The settings of a message that ride in the query, such as `upstash-delay`, named in lower case.
    pub(super) fn settings(&self) -> impl Iterator<Item = (String, String)> {
        self.pairs
            .iter()
            .map(|(key, value)| (key.to_ascii_lowercase(), value.clone()))
            .filter(|(key, _)| key.starts_with("upstash-"))
    }

    /// What is left for a destination after QStash took out its own pairs; order and bytes as they came.
    pub(super) fn for_destination(&self) -> String {
        let kept: Vec<&str> = self.raw.split('&').filter(|text| !is_own(text)).collect();
        kept.join("&")
    }
}

/// Decodes `%XX`, and `+` as a space where `plus` says so. `None` on a bad escape; bytes that are no UTF-8 are replaced.
pub(super) fn unescape(text: &str, plus: bool) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            b'+' if plus => b' ',
            other => other,
        });
    }
    Some(String::from_utf8_lossy(&decoded).into_owned())
}

fn pair(text: &str) -> Option<(String, String)> {
    if text.is_empty() || text.contains(';') {
        return None;
    }
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    Some((unescape(key, true)?, unescape(value, true)?))
}

fn is_own(text: &str) -> bool {
    let key = text.split('=').next().unwrap_or_default();
    let key = unescape(key, true).unwrap_or_default().to_ascii_lowercase();
    key == "qstash_token" || key.starts_with("upstash-")
}

fn hex(digit: u8) -> Option<u8> {
    // to_digit(16) is below 16.
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_go_does() {
        for (raw, expected) in [
            ("label=a", vec!["a"]),
            ("label=a&label=b+c", vec!["a", "b c"]),
            ("l%61bel=%41", vec!["A"]),
            ("label=a;b", vec![]),
            ("label=%zz&label=x", vec!["x"]),
            ("label=%4", vec![]),
            ("label", vec![""]),
            ("Label=a", vec![]),
            ("&&label=a=b", vec!["a=b"]),
        ] {
            assert_eq!(Query::parse(raw).all("label").collect::<Vec<_>>(), expected, "{raw:?}");
        }
    }

    #[test]
    fn a_destination_keeps_its_own_pairs() {
        let query = Query::parse("x=%31&Upstash-Delay=1s&qstash_token=t&y;z&x=2");
        assert_eq!(query.for_destination(), "x=%31&y;z&x=2");
        assert_eq!(
            query.settings().collect::<Vec<_>>(),
            [("upstash-delay".into(), "1s".into())]
        );
    }
}
