//! How a head was spelled: its field lines as they were sent, and the writing of fields after their model.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The field lines of a head, and the reason phrase of an answer, as they were sent. Their names are tokens: whoever
/// makes this has parsed them.
#[derive(Clone, Debug, Default)]
pub struct Spelling {
    lines: Bytes,
    reason: Option<Bytes>,
}

impl Spelling {
    pub(super) fn new(lines: Bytes, reason: Option<Bytes>) -> Self {
        Spelling { lines, reason }
    }

    /// The words behind an answer's status, which may be empty (RFC 9112 section 4).
    pub fn reason(&self) -> Option<&[u8]> {
        self.reason.as_deref()
    }

    /// Leaves the words to whoever writes the status.
    pub fn forget_reason(&mut self) {
        self.reason = None;
    }

    /// The names of the fields, in order.
    fn names(&self) -> impl Iterator<Item = &[u8]> {
        Names(&self.lines)
    }
}

struct Names<'a>(&'a [u8]);

impl<'a> Iterator for Names<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let colon = memchr::memchr(b':', self.0)?;
        let name = &self.0[..colon];
        let rest = &self.0[colon..];
        self.0 = memchr::memchr(b'\n', rest).map_or(&[], |end| &rest[end + 1..]);
        Some(name)
    }
}

/// Writes fields: those that were sent in the order and the spelling in which they were, the others behind them.
pub(super) fn write_fields(headers: &HeaderMap, spelling: Option<&Spelling>, out: &mut Vec<u8>) {
    let Some(spelling) = spelling else {
        for (name, value) in headers {
            write_field(name.as_str().as_bytes(), value, out);
        }
        return;
    };
    // The map has one entry a name and gives them in the order of their arrival, unless some were removed or came twice.
    // As long as both go side by side, nothing has to be looked up; and lines that say what they said are copied as they
    // are, several at once.
    let lines = &spelling.lines[..];
    let (mut copied, mut at, mut written) = (0, 0, 0);
    for (name, value) in headers {
        let name = name.as_str().as_bytes();
        let behind = at + name.len();
        let in_step =
            lines.get(at..behind).is_some_and(|spelled| is_name(spelled, name)) && lines[behind..].starts_with(b":");
        if !in_step {
            break;
        }
        let said = behind + 2;
        let end = said + value.len();
        if is_at(value, lines, said) && lines[behind..said] == *b": " && lines[end..].starts_with(b"\r\n") {
            at = end + 2;
        } else {
            out.extend_from_slice(&lines[copied..at]);
            write_field(&lines[at..behind], value, out);
            at = memchr::memchr(b'\n', &lines[behind..]).map_or(lines.len(), |end| behind + end + 1);
            copied = at;
        }
        written += 1;
    }
    out.extend_from_slice(&lines[copied..at]);
    if written < headers.len() {
        write_out_of_step(headers, spelling, written, out);
    }
}

/// Whether these are the same name, of which the second is in lower case.
fn is_name(spelled: &[u8], name: &[u8]) -> bool {
    // Without an early end it is done many bytes at a time.
    let differ = |differ, (a, b): (&u8, &u8)| differ | (a.to_ascii_lowercase() ^ b);
    spelled.iter().zip(name).fold(0, differ) == 0
}

/// Whether a value is the very bytes that lie there.
fn is_at(value: &HeaderValue, lines: &[u8], at: usize) -> bool {
    let there = lines.get(at..at + value.len());
    !value.is_empty() && there.is_some_and(|there| std::ptr::eq(there, value.as_bytes()))
}

/// The same where `in_step` fields were written and the next is another: each line is looked up.
fn write_out_of_step(headers: &HeaderMap, spelling: &Spelling, in_step: usize, out: &mut Vec<u8>) {
    // How many lines with a name were passed.
    let mut passed = HeaderMap::<usize>::with_capacity(headers.keys_len());
    let mut written = in_step;
    for (at, spelled) in spelling.names().enumerate() {
        let Ok(name) = HeaderName::from_bytes(spelled) else {
            continue;
        };
        let Some(value) = headers
            .get_all(&name)
            .iter()
            .nth(passed.get(&name).copied().unwrap_or(0))
        else {
            continue;
        };
        *passed.entry(name).or_insert(0) += 1;
        if at >= in_step {
            write_field(spelled, value, out);
            written += 1;
        }
    }
    if written == headers.len() {
        return;
    }
    for name in headers.keys() {
        for value in headers
            .get_all(name)
            .iter()
            .skip(passed.get(name).copied().unwrap_or(0))
        {
            write_field(name.as_str().as_bytes(), value, out);
        }
    }
}

pub(super) fn write_field(name: &[u8], value: &HeaderValue, out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(if value.is_empty() { b":" } else { b": " });
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Whether one of the fields with this name lists the token.
pub(super) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    lines
        .flat_map(|line| line.split(|&byte| byte == b','))
        .any(|listed| listed.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::super::head::take_request;
    use super::*;

    fn written(lines: &str, change: impl FnOnce(&mut HeaderMap)) -> String {
        let mut input = BytesMut::from(format!("GET / HTTP/1.1\r\n{lines}\r\n").as_str());
        let head = take_request(&mut input, 1000).unwrap().unwrap();
        let (mut headers, spelling) = (head.parts.headers, head.spelling);
        change(&mut headers);
        let mut out = Vec::new();
        write_fields(&headers, Some(&spelling), &mut out);
        String::from_utf8(out).unwrap().replace('\r', "")
    }

    const LINES: &str = "Host: a\r\nx-ONE:1\r\nX-Two: 2\r\nx-one: 3\r\nX-Three: 4\r\n";

    #[test]
    fn fields_are_written_in_their_order_and_spelling() {
        assert_eq!(
            written(LINES, |_| ()),
            "Host: a\nx-ONE: 1\nX-Two: 2\nx-one: 3\nX-Three: 4\n"
        );
    }

    #[test]
    fn what_was_removed_moves_nothing_else() {
        assert_eq!(
            written(LINES, |headers| drop(headers.remove("host"))),
            "x-ONE: 1\nX-Two: 2\nx-one: 3\nX-Three: 4\n"
        );
        assert_eq!(
            written(LINES, |headers| drop(headers.remove("x-one"))),
            "Host: a\nX-Two: 2\nX-Three: 4\n"
        );
    }

    #[test]
    fn what_was_replaced_keeps_its_place_and_what_was_added_comes_last() {
        let change = |headers: &mut HeaderMap| {
            headers.insert("host", HeaderValue::from_static("b"));
            headers.insert("x-one", HeaderValue::from_static("5"));
            headers.append("x-two", HeaderValue::from_static("6"));
            headers.insert("x-new", HeaderValue::from_static("7"));
        };
        assert_eq!(
            written(LINES, change),
            "Host: b\nx-ONE: 5\nX-Two: 2\nX-Three: 4\nx-two: 6\nx-new: 7\n"
        );
    }

    #[test]
    fn a_line_is_written_as_it_should_be_whatever_ended_it() {
        let lines = "X-A: 1\r\nX-B: 2\nX-C: 3  \r\nX-D:\t4\r\nX-E:\r\nX-F:  \r\nX-G: 5\r\n";
        assert_eq!(
            written(lines, |_| ()),
            "X-A: 1\nX-B: 2\nX-C: 3\nX-D: 4\nX-E:\nX-F:\nX-G: 5\n"
        );
        assert_eq!(written("X-A: 1\r\n", HeaderMap::clear), "");
        assert_eq!(written("", |_| ()), "");
    }

    #[test]
    fn each_of_several_fields_keeps_its_own_spelling() {
        let lines = "x-a: 1\r\nb: 2\r\nX-A: 3\r\nB: 4\r\n";
        assert_eq!(written(lines, |_| ()), "x-a: 1\nb: 2\nX-A: 3\nB: 4\n");
    }
}
