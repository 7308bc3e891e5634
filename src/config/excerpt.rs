//! The line of a place with a caret under it, fit to be printed: nothing hidden shown, nothing that a terminal obeys.

use std::fmt::Write as _;
use std::ops::Range;

use super::fault::Palette;
use super::secret;
use super::source::{Place, Source};

/// Longer lines are cropped around the caret.
const WIDTH: usize = 100;

/// Writes where a place is and what stands there; a second place that belongs to it comes in the order of the file.
pub(super) fn write(
    out: &mut String,
    source: &Source,
    place: Place,
    also: Option<(Place, &'static str)>,
    palette: Palette,
) {
    let (line, column) = source.line_and_column(place.start);
    let mut marks = vec![(place, '^', "")];
    if let Some((other, label)) = also {
        marks.push((other, '-', label));
        marks.sort_by_key(|(place, ..)| *place);
    }
    let numbers: Vec<usize> = marks
        .iter()
        .map(|(place, ..)| source.line_and_column(place.start).0)
        .collect();
    let gutter = numbers.iter().max().map_or(1, |line| line.to_string().len());
    let frame = palette.frame;
    let _ = writeln!(
        out,
        "{:gutter$}{frame}-->{frame:#} {}:{line}:{column}",
        "",
        source.name()
    );
    let _ = writeln!(out, "{:gutter$} {frame}|{frame:#}", "");
    let mut last = None;
    for ((place, mark, label), number) in marks.into_iter().zip(numbers) {
        if last.is_some_and(|last| number > last + 1) {
            let _ = writeln!(out, "{frame}...{frame:#}");
        }
        last = Some(number);
        let (text, indent, length) = Shown::new(source, place).cropped();
        let style = if mark == '^' { palette.severity } else { palette.frame };
        let _ = writeln!(out, "{frame}{number:>gutter$} |{frame:#} {text}");
        let marks = mark.to_string().repeat(length);
        let label = if label.is_empty() {
            String::new()
        } else {
            format!(" {label}")
        };
        let _ = writeln!(
            out,
            "{:gutter$} {frame}|{frame:#} {:indent$}{style}{marks}{label}{style:#}",
            "", ""
        );
    }
}

/// A line as it is shown.
struct Shown {
    /// Each character's text and width in columns of a terminal.
    cells: Vec<(String, usize)>,
    /// The marked ones.
    marked: Range<usize>,
}

impl Shown {
    fn new(source: &Source, place: Place) -> Self {
        let line = source.line(place.start);
        let mut hidden = secret::in_line(source.text(), line.clone());
        hidden.extend_from_slice(source.hidden());
        let mut cells = Vec::new();
        let mut marked: Option<Range<usize>> = None;
        let mut masked = false;
        for (offset, character) in source.text()[line.clone()].char_indices() {
            let byte = line.start + offset;
            let cell = cells.len();
            if hidden.iter().any(|range| range.contains(&byte)) {
                if !std::mem::replace(&mut masked, true) {
                    cells.push(("***".to_owned(), 3));
                }
            } else {
                masked = false;
                cells.push(visible(character));
            }
            if (place.start..place.end.max(place.start + 1)).contains(&byte) {
                let start = marked.map_or(cell.min(cells.len() - 1), |range| range.start);
                marked = Some(start..cells.len());
            }
        }
        // A place at the end of a line: the caret stands behind its last character.
        let end = cells.len();
        Shown {
            cells,
            marked: marked.unwrap_or(end..end),
        }
    }

    /// The text, the columns before the marks, and how many marks.
    fn cropped(self) -> (String, usize, usize) {
        let width = |range: Range<usize>| self.cells[range].iter().map(|(_, width)| width).sum::<usize>();
        let Range { start, end } = self.marked;
        let total = self.cells.len();
        let (mut from, mut to) = (0, total);
        if width(0..total) > WIDTH {
            from = start;
            while from > 0 && width(from - 1..start) <= WIDTH / 3 {
                from -= 1;
            }
            to = from;
            while to < total && width(from..to + 1) <= WIDTH {
                to += 1;
            }
        }
        let mut text: String = self.cells[from..to].iter().map(|(text, _)| text.as_str()).collect();
        let mut indent = width(from..start.min(to));
        if from > 0 {
            text.insert(0, '…');
            indent += 1;
        }
        if to < total {
            text.push('…');
        }
        (text, indent, width(start.min(to)..end.min(to)).max(1))
    }
}

/// A character as it may be printed, and its columns. A tab is four spaces; what a terminal would obey, and what turns
/// the direction of text, is shown as a replacement character.
fn visible(character: char) -> (String, usize) {
    match character {
        '\t' => ("    ".to_owned(), 4),
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => {
            ("\u{fffd}".to_owned(), 1)
        }
        control if control.is_control() => ("\u{fffd}".to_owned(), 1),
        // Combining marks and variation selectors.
        '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' => (character.to_string(), 0),
        // East Asian wide and fullwidth blocks, and pictographs (Unicode Standard Annex 11).
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => (character.to_string(), 2),
        _ => (character.to_string(), 1),
    }
}
