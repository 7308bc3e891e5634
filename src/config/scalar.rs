//! Where a part of a value stands in the file: values are written plainly or in quotes.

use std::ops::Range;

/// The bytes of a scalar as written that hold this part of its value. `None` where the way from one to the other is not
/// plain: folded over several lines, or with escapes that stand for other characters.
pub(super) fn within(written: &str, value: &str, part: Range<usize>) -> Option<Range<usize>> {
    in_block(written, value, &part).or_else(|| in_line(written, value, &part))
}

/// In a literal block, whose lines are those of the value behind their indentation.
fn in_block(written: &str, value: &str, part: &Range<usize>) -> Option<Range<usize>> {
    let (mut written_start, mut value_start) = (0, 0);
    let mut lines = written.split_inclusive('\n');
    let mut found = None;
    for line in value.trim_end().split('\n') {
        let written_line = lines.next()?;
        let plain = written_line.trim_end_matches(['\n', '\r']);
        let indentation = plain.strip_suffix(line)?;
        if !indentation.bytes().all(|byte| byte == b' ') {
            return None;
        }
        let within = value_start..=value_start + line.len();
        if within.contains(&part.start) && found.is_none() {
            let shift = |at: usize| written_start + indentation.len() + (at.min(*within.end()) - value_start);
            found = Some(shift(part.start)..shift(part.end));
        }
        written_start += written_line.len();
        value_start += line.len() + 1;
    }
    found.filter(|_| value.contains('\n'))
}

fn in_line(written: &str, value: &str, part: &Range<usize>) -> Option<Range<usize>> {
    let mut decoded = String::with_capacity(value.len());
    // For each byte of the value, the byte where it is written.
    let mut offsets = Vec::with_capacity(value.len() + 1);
    let quote = written.chars().next().filter(|first| matches!(first, '\'' | '"'));
    let body = match quote {
        Some(_) => written.get(1..written.len().checked_sub(1)?)?,
        None => written,
    };
    let first = usize::from(quote.is_some());
    let mut characters = body.char_indices();
    while let Some((at, character)) = characters.next() {
        let (at, character) = match (quote, character) {
            (_, '\n' | '\r') => return None,
            (Some('\''), '\'') => characters.next()?,
            (Some('"'), '\\') => characters.next().filter(|(_, c)| matches!(c, '"' | '\\' | '/'))?,
            _ => (at, character),
        };
        offsets.extend((0..character.len_utf8()).map(|byte| first + at + byte));
        decoded.push(character);
    }
    if decoded != value {
        return None;
    }
    offsets.push(first + body.len());
    let start = *offsets.get(part.start)?;
    let end = if part.end > part.start {
        *offsets.get(part.end - 1)? + 1
    } else {
        start
    };
    Some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_however_the_value_is_written() {
        let value = r#"a == "ü" && b'c'"#;
        let plain = value;
        let single = r#"'a == "ü" && b''c'''"#;
        let double = r#""a == \"ü\" && b'c'""#;
        for written in [plain, single, double] {
            for of in ["a", "==", "ü", "&&"] {
                let start = value.find(of).expect("a part");
                let found = within(written, value, start..start + of.len()).map(|range| &written[range]);
                assert_eq!(found, Some(of), "{written}");
            }
        }
        let end = within(single, value, value.len()..value.len());
        assert_eq!(end, Some(single.len() - 1..single.len() - 1));
    }

    #[test]
    fn a_part_is_found_in_a_literal_block() {
        let written = "a == 1 &&\n      b == 2\n";
        let value = "a == 1 &&\nb == 2\n";
        let find = |of: &str| {
            let start = value.find(of).expect("a part");
            within(written, value, start..start + of.len()).map(|range| &written[range])
        };
        for of in ["a", "== 1", "b", "2"] {
            assert_eq!(find(of), Some(of));
        }
        assert_eq!(find("1 &&\nb"), Some("1 &&"), "no further than the line");
    }

    #[test]
    fn what_is_written_otherwise_is_not_guessed_at() {
        assert_eq!(within("a\n  b", "a b", 0..1), None, "folded");
        assert_eq!(within(r#""\x61 b""#, "a b", 0..1), None, "escaped");
        assert_eq!(within("*alias", "a b", 0..1), None);
        assert_eq!(within("'", "", 0..0), None);
        assert_eq!(within("", "", 0..0), Some(0..0));
        assert_eq!(within("ab", "ab", 1..9), None);
    }
}
