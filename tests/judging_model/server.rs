//! A lenient server, written from what Go's `net/url`, `path` and `encoding/json` and common routers and proxies do, and
//! from nothing of the guard's. Where servers differ there is a switch, and the readings of a request are what all
//! combinations of all switches make of it; combinations that come to the same are carried once.

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;

use super::case::Case;

/// What must not happen, as the guard's default policy has it.
const MOST: u64 = 100;

/// A bulk operation by `DELETE`, as far as servers know it.
#[derive(Debug)]
pub(crate) struct Api {
    /// What leads to it, behind the version.
    names: &'static [&'static str],
    ids: &'static str,
    narrowing: &'static [&'static str],
}

pub(crate) static MESSAGES: Api = Api {
    names: &["messages"],
    ids: "messageIds",
    narrowing: &[
        "topicName",
        "queueName",
        "url",
        "host",
        "path",
        "label",
        "flowControlKey",
        "scheduleId",
    ],
};

pub(crate) static DLQ: Api = Api {
    names: &["dlq"],
    ids: "dlqIds",
    narrowing: &[
        "messageId",
        "url",
        "topicName",
        "scheduleId",
        "queueName",
        "label",
        "flowControlKey",
    ],
};

pub(crate) static RUNS: Api = Api {
    names: &["workflows", "runs"],
    ids: "workflowRunIds",
    narrowing: &["label", "flowControlKey", "host", "path", "workflowUrl"],
};

/// A bulk operation as some server reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) ids: u64,
    pub(crate) narrowing: u64,
    pub(crate) count: Option<u64>,
}

impl Seen {
    /// What is wrong with it under the default policy.
    pub(crate) fn harm(self) -> Option<&'static str> {
        if self.ids > MOST {
            Some("more ids than allowed")
        } else if self.ids > 0 {
            None
        } else if self.narrowing == 0 {
            Some("unfiltered")
        } else if !self.count.is_some_and(|count| (1..=MOST).contains(&count)) {
            Some("uncapped")
        } else {
            None
        }
    }
}

/// Whether some server takes the request for its bulk operation.
pub(crate) fn is_bulk_cancel(case: &Case) -> bool {
    let deletes = case.method.eq_ignore_ascii_case("DELETE") || case.overridden;
    deletes && paths(&case.path).iter().any(|path| is_bulk(case.api, path))
}

/// What servers may take a bulk cancel's query and body for.
pub(crate) fn seen(case: &Case) -> Vec<Seen> {
    let queries = queries(case.api, case.query.as_deref().unwrap_or_default());
    // A server that cannot decode a body may go on without it.
    let bodies = if case.content_encoded {
        vec![Seen::default()]
    } else {
        bodies(case.api, &case.body)
    };
    let mut found = Vec::new();
    for &query in &queries {
        for &body in &bodies {
            let union = |count| Seen {
                ids: query.ids + body.ids,
                narrowing: query.narrowing + body.narrowing,
                count,
            };
            let has_query = has_parameters(case.query.as_deref().unwrap_or_default());
            let first = if case.body.is_empty() { query } else { body };
            let second = if has_query { query } else { body };
            let unions = [union(body.count.or(query.count)), union(query.count.or(body.count))];
            for seen in [first, second].into_iter().chain(unions) {
                add(&mut found, seen);
            }
        }
    }
    found
}

/// Whether a query holds anything but the credential.
fn has_parameters(query: &[u8]) -> bool {
    let name = |pair: &[u8]| unescape(until(pair, b"="));
    query
        .split(|&byte| byte == b'&')
        .any(|pair| !matches!(name(pair).as_slice(), b"" | b"qstash_token"))
}

/// The text before the first of these bytes.
fn until<'a>(text: &'a [u8], ends: &[u8]) -> &'a [u8] {
    &text[..text.iter().position(|byte| ends.contains(byte)).unwrap_or(text.len())]
}

fn add<T: PartialEq>(found: &mut Vec<T>, item: T) {
    if !found.contains(&item) {
        found.push(item);
    }
}

// ---- Paths

type Step = fn(&[u8]) -> Vec<u8>;

/// What happens to a path on its way to a route; each line is a switch, `same` its off.
const STEPS: [&[Step]; 10] = [
    &[same, cut_parameters],
    &[same, turn_backslashes],
    &[same, merge_slashes, go_clean, rfc_clean],
    &[same, unescape],
    &[same, cut_query],
    &[same, turn_backslashes],
    &[same, cut_parameters],
    &[same, merge_slashes, go_clean, rfc_clean],
    &[same, unescape],
    &[
        same,
        turn_backslashes,
        cut_parameters,
        merge_slashes,
        go_clean,
        rfc_clean,
    ],
];

fn paths(raw: &[u8]) -> Vec<Vec<u8>> {
    let mut paths = vec![raw.to_vec()];
    for steps in STEPS {
        let mut after = Vec::new();
        for path in &paths {
            for step in steps {
                add(&mut after, step(path));
            }
        }
        paths = after;
    }
    paths
}

fn same(path: &[u8]) -> Vec<u8> {
    path.to_vec()
}

fn turn_backslashes(path: &[u8]) -> Vec<u8> {
    path.iter()
        .map(|&byte| if byte == b'\\' { b'/' } else { byte })
        .collect()
}

fn cut_parameters(path: &[u8]) -> Vec<u8> {
    let segments: Vec<&[u8]> = path
        .split(|&byte| byte == b'/')
        .map(|segment| until(segment, b";"))
        .collect();
    segments.join(&b'/')
}

fn cut_query(path: &[u8]) -> Vec<u8> {
    until(path, b"?#").to_vec()
}

fn merge_slashes(path: &[u8]) -> Vec<u8> {
    let mut merged = path.to_vec();
    merged.dedup_by(|byte, before| *byte == b'/' && *before == b'/');
    merged
}

/// Go's `path.Clean` of a rooted path.
fn go_clean(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in path.split(|&byte| byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    [b"/".as_slice(), &kept.join(&b'/')].concat()
}

/// RFC 3986 section 5.2.4, in which an empty segment is one.
fn rfc_clean(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in path.strip_prefix(b"/").unwrap_or(path).split(|&byte| byte == b'/') {
        match segment {
            b"." => {}
            b".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    [b"/".as_slice(), &kept.join(&b'/')].concat()
}

/// One layer undone; what is no escape stays.
fn unescape(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut at = 0;
    while at < path.len() {
        if let Some(byte) = escape_at(path, at) {
            out.push(byte);
            at += 3;
        } else {
            out.push(path[at]);
            at += 1;
        }
    }
    out
}

fn escape_at(text: &[u8], at: usize) -> Option<u8> {
    let digits = text.get(at + 1..at + 3).filter(|_| text[at] == b'%')?;
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()
}

/// Whether a router takes the path for the operation's: letters of any case, slashes before, between and behind; an id
/// that is empty or blank is none.
fn is_bulk(api: &Api, path: &[u8]) -> bool {
    let segments: Vec<String> = path
        .split(|&byte| byte == b'/')
        .map(|segment| String::from_utf8_lossy(segment).replace('ſ', "s").to_lowercase())
        .collect();
    let mut from_name = segments.iter().skip_while(|segment| segment.is_empty());
    let Some(version) = from_name.next() else { return false };
    let is_version = version
        .strip_prefix('v')
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|digit| digit.is_ascii_digit()));
    if !is_version {
        return false;
    }
    for known in api.names {
        if from_name
            .find(|segment| !segment.is_empty())
            .is_none_or(|name| name != known)
        {
            return false;
        }
    }
    from_name.next().is_none_or(|id| id.trim().is_empty())
}

// ---- Parameters

#[derive(Clone, Copy)]
struct Names {
    any_case: bool,
    commas: bool,
}

const NAMES: [Names; 4] = [
    Names {
        any_case: false,
        commas: false,
    },
    Names {
        any_case: false,
        commas: true,
    },
    Names {
        any_case: true,
        commas: false,
    },
    Names {
        any_case: true,
        commas: true,
    },
];

impl Names {
    fn is(self, name: &str, known: &str) -> bool {
        name == known || (self.any_case && name.eq_ignore_ascii_case(known))
    }

    /// How much a filter's text narrows.
    fn narrowing(self, api: &Api, name: &str, text: &str) -> u64 {
        let Some(known) = api.narrowing.iter().find(|known| self.is(name, known)) else {
            return 0;
        };
        let values = self.values(text);
        if *known != "workflowUrl" {
            return values;
        }
        // A prefix: of several, the widest counts.
        let wide = |url: &str| {
            let behind_scheme = url.split_once("://").map_or("", |(_, behind)| behind);
            let path = behind_scheme.split_once('/').map_or("", |(_, path)| path);
            path.trim_matches('/').is_empty()
        };
        let mut urls: Vec<&str> = if self.commas {
            text.split(',').collect()
        } else {
            vec![text]
        };
        urls.retain(|url| !url.trim().is_empty());
        if urls.into_iter().any(wide) { 0 } else { values }
    }

    /// How many values a text holds, empty ones being none.
    fn values(self, text: &str) -> u64 {
        if self.commas {
            text.split(',').map(|value| u64::from(!value.trim().is_empty())).sum()
        } else {
            u64::from(!text.trim().is_empty())
        }
    }
}

/// `url.ParseQuery`, before and since Go 1.17, and a parser that repairs.
fn queries(api: &Api, query: &[u8]) -> Vec<Seen> {
    let mut found = Vec::new();
    let has = |byte: u8| query.contains(&byte);
    let pairs = |separators: &'static [u8]| query.split(move |byte| separators.contains(byte));
    let mut splits: Vec<Vec<&[u8]>> = vec![pairs(b"&").collect()];
    if has(b';') {
        splits.push(pairs(b"&").filter(|pair| !pair.contains(&b';')).collect());
        splits.push(pairs(b"&;").collect());
    }
    for pairs in splits {
        for repairs in [false, true] {
            let decoded: Vec<(String, String)> = pairs.iter().filter_map(|pair| decoded_pair(pair, repairs)).collect();
            for names in NAMES {
                add(&mut found, from_pairs(api, names, &decoded));
            }
            if !has(b'%') {
                break; // Nothing to repair.
            }
        }
    }
    found
}

fn decoded_pair(pair: &[u8], repairs: bool) -> Option<(String, String)> {
    let mut halves = pair.splitn(2, |&byte| byte == b'=');
    let mut decode = || {
        let half = halves.next().unwrap_or_default();
        let malformed = (0..half.len()).any(|at| half[at] == b'%' && escape_at(half, at).is_none());
        let spaced: Vec<u8> = half
            .iter()
            .map(|&byte| if byte == b'+' { b' ' } else { byte })
            .collect();
        (repairs || !malformed).then(|| String::from_utf8_lossy(&unescape(&spaced)).into_owned())
    };
    Some((decode()?, decode()?))
}

fn from_pairs(api: &Api, names: Names, pairs: &[(String, String)]) -> Seen {
    let mut seen = Seen::default();
    for (name, value) in pairs {
        if names.is(name, api.ids) {
            seen.ids += names.values(value);
        } else if names.is(name, "count") {
            // `strconv.Atoi`; what it refuses is as good as absent.
            seen.count = value.parse::<i64>().ok().and_then(|count| u64::try_from(count).ok());
        } else {
            seen.narrowing += names.narrowing(api, name, value);
        }
    }
    seen
}

/// `encoding/json`: a key of any case, the last one wins, and nothing behind the first document is looked at.
fn bodies(api: &Api, body: &[u8]) -> Vec<Seen> {
    let mut found = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(body);
    let Ok(fields) = reader.deserialize_map(Fields) else {
        return vec![Seen::default()];
    };
    for names in NAMES {
        for last_wins in [true, false] {
            add(&mut found, from_fields(api, names, last_wins, &fields));
        }
    }
    found
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(String, Value)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(fields)
    }
}

fn from_fields(api: &Api, names: Names, last_wins: bool, fields: &[(String, Value)]) -> Seen {
    let value = |known: &str| {
        let mut values = fields
            .iter()
            .filter(|(name, _)| names.is(name, known))
            .map(|(_, value)| value);
        if last_wins { values.next_back() } else { values.next() }
    };
    let texts = |known: &str| match value(known) {
        Some(Value::String(text)) => vec![text.as_str()],
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let narrowing = |known: &str| {
        texts(known)
            .into_iter()
            .map(|text| names.narrowing(api, known, text))
            .sum::<u64>()
    };
    Seen {
        ids: texts(api.ids).into_iter().map(|text| names.values(text)).sum(),
        narrowing: api.narrowing.iter().map(|known| narrowing(known)).sum(),
        count: value("count").and_then(Value::as_u64),
    }
}
