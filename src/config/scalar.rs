//! Where a part of a value stands in the file: values are written plainly or in quotes.

use std::ops::Range;

/// The bytes of a scalar as written that hold this part of its value. `None` where the way from one to the other is not
/// plain: with escapes that stand for other characters, or in quotes over several lines.
pub(super) fn within(written: &str, value: &str, part: Range<usize>) -> Option<Range<usize>> {
    in_line(written, value, &part).or_else(|| in_lines(written, value, &part))
}

/// Over several lines, each behind its indentation. Between two of them the value has other white space: newlines in a
/// literal block, mostly spaces in a folded one. A part reaches no further than the line it begins in; one that begins
/// between lines is at the end of the line before.
fn in_lines(written: &str, value: &str, part: &Range<usize>) -> Option<Range<usize>> {
    let is_space = |c: char| matches!(c, ' ' | '\n');
    let (mut written_start, mut value_end) = (0, 0);
    let mut found = None;
    for line in written.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']).trim_start_matches(' ');
        if !content.is_empty() {
            let rest = &value[value_end..];
            let value_start = value_end + rest.len() - rest.trim_start_matches(is_space).len();
            if !value[value_start..].starts_with(content) {
                return None;
            }
            value_end = value_start + content.len();
            let begins = line.find(content).map(|at| written_start + at)?;
            if found.is_none() || part.start >= value_start {
                let shift = |at: usize| begins + at.clamp(value_start, value_end) - value_start;
                found = Some(shift(part.start)..shift(part.end.max(part.start)));
            }
        }
        written_start += line.len();
    }
    let is_whole = value[value_end..].chars().all(is_space) && part.end <= value.len();
    found.filter(|_| is_whole)
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
    fn a_part_is_found_behind_empty_lines_and_in_a_folded_block() {
        let cases = [
            ("a == 1 &&\n      b == 2\n", "\na == 1 &&\nb == 2\n"),
            ("a == 1 &&\n      b == 2\n", "a == 1 && b == 2\n"),
            ("a == 1 &&\r\n\r\n      b == 2", "a == 1 &&\nb == 2"),
            ("a == 1 &&\n        b == 2 ||\n      c", "a == 1 &&\n  b == 2 ||\nc"),
            ("a == 1 && 'x'\n  &&\n   b == 2", "a == 1 && 'x' && b == 2"),
        ];
        for (written, value) in cases {
            for of in ["a", "== 1", "b", "b == 2", "2"] {
                let start = value.find(of).expect("a part");
                let found = within(written, value, start..start + of.len());
                let at = written.find(of).expect("a part");
                assert_eq!(found, Some(at..at + of.len()), "{of} in {written:?}");
            }
            let start = value.find("1 &&").expect("a part");
            let found = within(written, value, start..value.len()).map(|range| &written[range]);
            assert_eq!(
                found,
                written.lines().next().map(|line| &line[5..]),
                "no further than the line"
            );
        }
        let end = within("a ==\n  1", "a == 1\n", 7..7);
        assert_eq!(end, Some(8..8), "behind the last line");
    }

    #[test]
    fn what_is_written_otherwise_is_not_guessed_at() {
        assert_eq!(within("'a\n  b'", "a b", 0..1), None, "in quotes over two lines");
        assert_eq!(within("a\n  b", "a c", 0..1), None, "another text");
        assert_eq!(within(r#""\x61 b""#, "a b", 0..1), None, "escaped");
        assert_eq!(within("*alias", "a b", 0..1), None);
        assert_eq!(within("'", "", 0..0), None);
        assert_eq!(within("", "", 0..0), Some(0..0));
        assert_eq!(within("ab", "ab", 1..9), None);
    }
}
