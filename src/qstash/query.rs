//! A query taken apart strictly: nothing is dropped or repaired.
//!
//! Form decoders differ: Go's drops a pair with a `;` or a bad escape without a word, others repair it. A pair that
//! decoders may treat differently is a [`Fault`] here.

use super::oddity::hex;

/// A decoded pair of a query.
#[derive(Debug, PartialEq, Eq)]
pub struct Pair {
    /// The name, decoded; may be empty.
    pub name: String,
    /// The value, decoded, `+` read as a space; empty where there is no `=`.
    pub value: String,
}

/// Why a pair cannot be read in one way only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `%` without two hexadecimal digits.
    MalformedEscape,
    /// A raw `;`, which some servers take for a separator.
    Semicolon,
    /// A control character after decoding.
    ControlCharacter,
    /// Bytes that are not UTF-8 after decoding.
    NotUtf8,
}

impl Fault {
    /// One sentence for the client.
    pub const fn message(self) -> &'static str {
        match self {
            Fault::MalformedEscape => {
                "The query has a `%` that two hexadecimal digits do not follow; write a literal % as %25."
            }
            Fault::Semicolon => "The query has a raw `;`, which some servers drop with its pair; write it as %3B.",
            Fault::ControlCharacter => "The query has a control character in a name or value; leave it out.",
            Fault::NotUtf8 => "The query has bytes that are not UTF-8 after decoding; encode the text as UTF-8.",
        }
    }
}

/// The pairs of a raw query (without `?`), split at `&`; empty pairs are nothing.
pub fn pairs(query: &[u8]) -> impl Iterator<Item = Result<Pair, Fault>> {
    raw_pairs(query).map(|(_, pair)| {
        let (name, value) = split(pair);
        Ok(Pair {
            name: decode(name)?,
            value: decode(value)?,
        })
    })
}

/// The pairs as they are written, each with its offset in the query; empty ones left out.
pub fn raw_pairs(query: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut offset = 0;
    query
        .split(|&b| b == b'&')
        .map(move |pair| {
            let start = offset;
            offset += pair.len() + 1;
            (start, pair)
        })
        .filter(|(_, pair)| !pair.is_empty())
}

/// A pair split at its first `=`.
pub fn split(pair: &[u8]) -> (&[u8], &[u8]) {
    match pair.iter().position(|&b| b == b'=') {
        Some(at) => (&pair[..at], &pair[at + 1..]),
        None => (pair, b""),
    }
}

/// Whether a raw name is `wanted` once percent-decoded; allocates nothing.
pub fn is_named(raw: &[u8], wanted: &[u8], ignore_case: bool) -> bool {
    let mut rest = raw;
    let mut expected = wanted.iter();
    while let [first, tail @ ..] = rest {
        let (byte, behind) = match (first, tail) {
            (b'%', [high, low, behind @ ..]) => match hex(*high).zip(hex(*low)) {
                Some((high, low)) => (high << 4 | low, behind),
                None => return false,
            },
            _ => (*first, tail),
        };
        let matches = expected
            .next()
            .is_some_and(|e| *e == byte || (ignore_case && e.eq_ignore_ascii_case(&byte)));
        if !matches {
            return false;
        }
        rest = behind;
    }
    expected.next().is_none()
}

/// Percent-decodes bytes; `None` where an escape is malformed. `+` stays.
pub fn percent_decoded(raw: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            out.push(*first);
            continue;
        }
        let [high, low, behind @ ..] = tail else { return None };
        out.push(hex(*high)? << 4 | hex(*low)?);
        rest = behind;
    }
    Some(out)
}

fn decode(raw: &[u8]) -> Result<String, Fault> {
    if raw.contains(&b';') {
        return Err(Fault::Semicolon);
    }
    let spaced: Vec<u8> = raw.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
    let bytes = percent_decoded(&spaced).ok_or(Fault::MalformedEscape)?;
    let text = String::from_utf8(bytes).map_err(|_| Fault::NotUtf8)?;
    if text.chars().any(char::is_control) {
        Err(Fault::ControlCharacter)
    } else {
        Ok(text)
    }
}
