//! Records as a table for people.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::entry::Entry;

const COLUMNS: usize = 7;
const NAMES: [&str; COLUMNS] = ["TIME", "EVENT", "CALLER", "OPERATION", "RESULT", "GONE", "SELECTION"];
/// The widest that each column gets, characters.
const MAX_WIDTHS: [usize; COLUMNS] = [20, 14, 18, 20, 28, 9, 60];
/// The column with how many messages were cancelled: numbers stand to the right.
const GONE: usize = 5;
const LAST: usize = COLUMNS - 1;
/// What a line should not exceed, characters; the last column gives way, though not below [`MIN_LAST`].
const LINE: usize = 120;
const MIN_LAST: usize = 20;
/// How many rows decide how wide the columns are.
const WINDOW: usize = 500;

type Row = [String; COLUMNS];

/// Aligned columns, as wide as the first rows need.
#[derive(Debug)]
pub(super) struct Table {
    colour: bool,
    /// Each with the request to check it.
    waiting: Vec<(Row, Option<String>)>,
    widths: Option<[usize; COLUMNS]>,
}

impl Table {
    pub(super) fn new(colour: bool) -> Self {
        Table {
            colour,
            waiting: Vec::new(),
            widths: None,
        }
    }

    /// Adds a record, with the request that shows what became of it where that is uncertain.
    pub(super) fn add(&mut self, entry: &Entry, check: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
        self.waiting.push((row(entry), check.map(plain)));
        if self.widths.is_some() || self.waiting.len() >= WINDOW {
            self.flush(out)
        } else {
            Ok(())
        }
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let rows = std::mem::take(&mut self.waiting);
        if rows.is_empty() {
            return out.flush();
        }
        let (widths, begins) = match self.widths {
            Some(widths) => (widths, false),
            None => (widths(&rows), true),
        };
        self.widths = Some(widths);
        if begins {
            self.line(&NAMES.map(str::to_owned), &widths, Style::new().bold(), out)?;
        }
        for (row, check) in &rows {
            self.line(row, &widths, style(row), out)?;
            // In full, however long: it is there to be copied.
            if let Some(check) = check {
                writeln!(out, "  check: {check}")?;
            }
        }
        out.flush()
    }

    fn line(&self, row: &Row, widths: &[usize; COLUMNS], style: Style, out: &mut dyn Write) -> io::Result<()> {
        let mut line = String::new();
        for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
            if index > 0 {
                line.push_str("  ");
            }
            if index == 2 && is_of_guard(row) {
                // Nobody asked for it, so the words have the room of all columns.
                let room = LINE - line.chars().count();
                line.push_str(&fitted(&row[LAST], room));
                break;
            }
            let cell = fitted(cell, *width);
            let padding = " ".repeat(width - cell.chars().count());
            let (first, second) = if index == GONE {
                (padding, cell)
            } else {
                (cell, padding)
            };
            line.push_str(&first);
            line.push_str(&second);
        }
        let line = line.trim_end();
        if self.colour && style != Style::new() {
            writeln!(out, "{style}{line}{style:#}")
        } else {
            writeln!(out, "{line}")
        }
    }
}

fn row(entry: &Entry) -> Row {
    let text = |value: &Option<String>| value.as_deref().map(plain).unwrap_or_default();
    let summary = entry
        .selection_summary()
        .or_else(|| entry.detail.clone())
        .or_else(|| entry.error.clone())
        .or_else(|| entry.target.clone());
    let result = if entry.result.is_some() {
        &entry.result
    } else {
        &entry.decision
    };
    let result: Vec<String> = [result, &entry.code]
        .into_iter()
        .flatten()
        .map(|word| plain(word))
        .collect();
    [
        seconds(&entry.time),
        plain(&entry.event),
        text(&entry.caller),
        text(&entry.operation),
        result.join(" "),
        entry
            .cancelled
            .or(entry.processed)
            .map(|count| count.to_string())
            .unwrap_or_default(),
        text(&summary),
    ]
}

/// Whether a row tells of the guard itself: it has neither caller nor result.
fn is_of_guard(row: &Row) -> bool {
    row[2..LAST].iter().all(String::is_empty)
}

/// A time without its fraction; one of another form as it is.
fn seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, fraction)) if fraction.ends_with('Z') => format!("{}Z", plain(seconds)),
        _ => plain(time),
    }
}

/// Without what could move the cursor of a terminal: records hold what clients sent.
pub(in crate::audit) fn plain(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            if is_unprintable(c) {
                c.escape_default().collect()
            } else {
                vec![c]
            }
        })
        .collect()
}

/// Control characters, and those that change the direction or hide text.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn widths(rows: &[(Row, Option<String>)]) -> [usize; COLUMNS] {
    let mut widths = NAMES.map(str::len);
    for (row, _) in rows {
        let own = if is_of_guard(row) { 2 } else { LAST };
        for ((width, cell), max) in widths.iter_mut().zip(&row[..own]).zip(MAX_WIDTHS) {
            *width = (*width).max(cell.chars().count().min(max));
        }
    }
    let others: usize = widths[..LAST].iter().map(|width| width + 2).sum();
    widths[LAST] = LINE.saturating_sub(others).max(MIN_LAST);
    widths
}

pub(super) fn fitted(cell: &str, width: usize) -> String {
    if cell.chars().count() <= width {
        return cell.to_owned();
    }
    cell.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

fn style(row: &Row) -> Style {
    let result = row[4].split(' ').next().unwrap_or_default();
    let colour = match (row[1].as_str(), result) {
        ("denied" | "policy_rejected", _) => AnsiColor::Red,
        ("cap_overrun", _) | (_, "uncertain") => AnsiColor::Magenta,
        (_, "would_deny") => AnsiColor::Yellow,
        ("outcome", "completed" | "accepted") => AnsiColor::Green,
        _ => return Style::new(),
    };
    colour.on_default()
}
