//! The text of a configuration, and places in it.

use std::ops::Range;

/// A configuration file as it was read.
#[derive(Clone, Debug)]
pub struct Source {
    name: String,
    text: String,
    /// Bytes that may hold a credential, and are never shown.
    secrets: Vec<Range<usize>>,
}

/// A piece of the text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The first byte.
    pub(super) start: usize,
    /// Behind the last one.
    pub(super) end: usize,
}

impl Place {
    /// The place of a node: where an alias stands, not where it points to.
    pub(super) fn of<T>(node: &serde_yaml::Spanned<T>) -> Self {
        Place::at(node.referenced)
    }

    /// The place where a node is defined: behind an alias, where its anchor stands.
    pub(super) fn of_definition<T>(node: &serde_yaml::Spanned<T>) -> Self {
        Place::at(node.defined)
    }

    /// A location of a node: the parser knows its bytes, since it was given a text.
    fn at(location: serde_yaml::Location) -> Self {
        let number = |value: Option<u64>| value.and_then(|v| usize::try_from(v).ok()).unwrap_or_default();
        let start = number(location.span().byte_offset());
        Place {
            start,
            end: start + number(location.span().byte_len()),
        }
    }

    /// The character at a line and column, both from 1: all that the parser says of what is no YAML.
    pub(super) fn at_line(text: &str, line: u64, column: u64) -> Self {
        let lines = text.split_inclusive('\n').map(str::len);
        let before: usize = lines
            .take(usize::try_from(line.saturating_sub(1)).unwrap_or_default())
            .sum();
        let columns = usize::try_from(column.saturating_sub(1)).unwrap_or_default();
        let within: usize = text[before..].chars().take(columns).map(char::len_utf8).sum();
        Place {
            start: before + within,
            end: before + within,
        }
    }

    /// Whether nothing stands there.
    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }
}

impl Source {
    /// A text and the name that faults call it by. A byte order mark is cut off: it is not part of the YAML.
    pub fn new(name: &str, text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Source {
            name: name.to_owned(),
            text: text.to_owned(),
            secrets: Vec::new(),
        }
    }

    /// The name of the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Keeps these pieces out of everything that is shown.
    pub(super) fn hide(&mut self, secrets: Vec<Range<usize>>) {
        self.secrets.extend(secrets);
    }

    /// The pieces that are not shown.
    pub(super) fn hidden(&self) -> &[Range<usize>] {
        &self.secrets
    }

    /// What stands at a place; nothing where the place is none of this text.
    pub(super) fn slice(&self, place: Place) -> &str {
        self.text.get(place.start..place.end).unwrap_or_default()
    }

    /// Line and column of a byte, both from 1, the column in characters.
    pub fn line_and_column(&self, byte: usize) -> (usize, usize) {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }

    /// The bytes of the line that holds a byte, without its end of line.
    pub(super) fn line(&self, byte: usize) -> Range<usize> {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let rest = &self.text[start..];
        let line = rest.split('\n').next().unwrap_or_default();
        start..start + line.strip_suffix('\r').unwrap_or(line).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_characters() {
        let source = Source::new("a", "\u{feff}é: ü\r\nb\n");
        assert_eq!(source.text().len(), 10);
        assert_eq!(source.line_and_column(4), (1, 4));
        assert_eq!(source.line_and_column(8), (2, 1));
        assert_eq!(source.line(4), 0..6);
        assert_eq!(source.line(10), 10..10);
        assert_eq!(Place::at_line(source.text(), 1, 4).start, 4);
        assert_eq!(Place::at_line(source.text(), 2, 2).start, 9);
        assert_eq!(Place::at_line(source.text(), 99, 99).start, 10);
    }
}
