//! Sums as tables for people, with bars by day.

use std::cmp::Reverse;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::stats::{Stats, Sums, Tally};
use super::table::{fitted, plain};

/// How many callers and codes are shown: those with the most requests.
const SHOWN: usize = 20;

/// The widest that the first column gets, characters.
const WIDEST: usize = 40;

/// The length of the longest bar, characters.
const BAR: u64 = 40;

const COLUMNS: [&str; 5] = ["ALLOWED", "WOULD DENY", "DENIED", "CANCELLED", "UNCERTAIN"];

/// What a bar is made of, one for each of the first three columns; told apart without colour too.
const PARTS: [(char, AnsiColor); 3] = [('█', AnsiColor::Green), ('▓', AnsiColor::Yellow), ('░', AnsiColor::Red)];

/// Writes sums as tables; with `bars`, a bar beside each day.
///
/// # Errors
/// The output cannot be written.
pub fn write(stats: &Stats, bars: bool, out: &mut dyn Write) -> io::Result<()> {
    let (Some(first), Some(last)) = (&stats.first, &stats.last) else {
        return writeln!(out, "no records");
    };
    writeln!(
        out,
        "{} records from {} to {}",
        stats.records,
        plain(first),
        plain(last)
    )?;
    if stats.suppressed_denials > 0 {
        writeln!(
            out,
            "{} more denials were answered and not recorded one by one",
            stats.suppressed_denials
        )?;
    }
    table("CALLER", &most(&stats.callers), 0, out)?;
    if !stats.codes.rows.is_empty() {
        table("CODE", &most(&stats.codes), 0, out)?;
    }
    let mut days: Vec<_> = stats.days.rows.iter().map(|(day, sums)| (plain(day), *sums)).collect();
    days.extend(stats.days.others.map(|others| ("others".to_owned(), others)));
    let longest = days.iter().map(|(_, sums)| sums.requests()).max().unwrap_or_default();
    days.push(("total".to_owned(), stats.total));
    table("DAY", &days, if bars { longest } else { 0 }, out)?;
    if bars {
        let [allowed, would, denied] = PARTS.map(|part| bar_of(part, 1));
        writeln!(out, "\n{allowed} allowed  {would} would deny  {denied} denied")?;
    }
    Ok(())
}

/// The rows with the most requests, and the rest in one.
fn most(tally: &Tally) -> Vec<(String, Sums)> {
    let mut rows: Vec<_> = tally.rows.iter().map(|(word, sums)| (plain(word), *sums)).collect();
    // Stable: those with equal numbers stay in the order of their names.
    rows.sort_by_key(|(_, sums)| Reverse(sums.requests()));
    let rest = rows.split_off(rows.len().min(SHOWN));
    let mut others = tally.others;
    for (_, sums) in &rest {
        others.get_or_insert_default().add(*sums);
    }
    rows.extend(others.map(|others| ("others".to_owned(), others)));
    rows
}

/// Writes rows below a line of names; bars where `longest`, the number of requests of the longest bar, is not 0.
fn table(name: &str, rows: &[(String, Sums)], longest: u64, out: &mut dyn Write) -> io::Result<()> {
    let words = rows.iter().map(|(word, _)| word.chars().count());
    let width = words.max().unwrap_or_default().clamp(name.len(), WIDEST);
    let numbers = |sums: &Sums| {
        [
            sums.allowed,
            sums.would_deny,
            sums.denied,
            sums.cancelled,
            sums.uncertain,
        ]
    };
    let mut widths = COLUMNS.map(str::len);
    for (_, sums) in rows {
        for (width, number) in widths.iter_mut().zip(numbers(sums)) {
            *width = (*width).max(number.to_string().len());
        }
    }
    let bold = Style::new().bold();
    write!(out, "\n{bold}{name:width$}")?;
    for (name, width) in COLUMNS.iter().zip(widths) {
        write!(out, "  {name:>width$}")?;
    }
    writeln!(out, "{bold:#}")?;
    for (at, (word, sums)) in rows.iter().enumerate() {
        write!(out, "{:width$}", fitted(word, width))?;
        for (number, width) in numbers(sums).iter().zip(widths) {
            write!(out, "  {number:>width$}")?;
        }
        // The last row is the total of all bars.
        if longest > 0 && at + 1 < rows.len() {
            write!(out, "  {}", bar(sums, longest))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// The requests of a day as a bar; what is there at all has at least one character.
fn bar(sums: &Sums, longest: u64) -> String {
    let lengths = [sums.allowed, sums.would_deny, sums.denied].map(|number| {
        let length = u128::from(number) * u128::from(BAR) / u128::from(longest.max(1));
        u64::try_from(length).unwrap_or(BAR).max(u64::from(number > 0))
    });
    PARTS
        .into_iter()
        .zip(lengths)
        .filter(|(_, length)| *length > 0)
        .map(|(part, length)| bar_of(part, length))
        .collect()
}

fn bar_of((part, colour): (char, AnsiColor), length: u64) -> String {
    let style = colour.on_default();
    format!(
        "{style}{}{style:#}",
        part.to_string().repeat(usize::try_from(length).unwrap_or_default())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats() -> Stats {
        let sums = |allowed, would_deny, denied, cancelled, uncertain| Sums {
            allowed,
            denied,
            would_deny,
            cancelled,
            uncertain,
        };
        let tally = |rows: &[(&str, Sums)], others| Tally {
            rows: rows.iter().map(|(word, sums)| ((*word).to_owned(), *sums)).collect(),
            others,
        };
        Stats {
            records: 2049,
            first: Some("2026-11-22T00:00:01.000000Z".to_owned()),
            last: Some("2026-11-24T17:15:00.000000Z".to_owned()),
            total: sums(901, 20, 103, 12_345_678, 2),
            suppressed_denials: 1234,
            callers: tally(
                &[
                    ("billing", sums(1, 0, 100, 3, 0)),
                    ("ops\u{1b}[2J", sums(900, 20, 2, 12_345_675, 2)),
                ],
                Some(sums(0, 0, 1, 0, 0)),
            ),
            codes: tally(&[("unfiltered_cancel", sums(0, 20, 103, 0, 0))], None),
            days: tally(
                &[
                    ("2026-11-22", sums(400, 0, 3, 0, 0)),
                    ("2026-11-23", sums(501, 20, 99, 12_345_678, 2)),
                    ("2026-11-24", sums(0, 0, 1, 0, 0)),
                ],
                None,
            ),
        }
    }

    fn written(stats: &Stats, bars: bool) -> String {
        let mut out = anstream::StripStream::new(Vec::new());
        write(stats, bars, &mut out).expect("written");
        String::from_utf8(out.into_inner()).expect("text")
    }

    #[test]
    fn sums_as_people_read_them() {
        insta::assert_snapshot!("bars", written(&stats(), true));
        let plain = written(&stats(), false);
        assert!(!plain.contains('█') && plain.ends_with("2\n"), "{plain}");
        assert_eq!(written(&Stats::default(), true), "no records\n");
    }

    #[test]
    fn rows_beyond_those_shown_are_summed() {
        let rows = (1..=SHOWN as u64 + 5).map(|denied| {
            let sums = Sums {
                denied,
                ..Sums::default()
            };
            (format!("caller-{denied:02}"), sums)
        });
        let tally = Tally {
            rows: rows.collect(),
            others: None,
        };
        let shown = most(&tally);
        assert_eq!(shown.len(), SHOWN + 1);
        assert_eq!(shown[0].0, "caller-25");
        assert_eq!(
            (shown[SHOWN].0.as_str(), shown[SHOWN].1.denied),
            ("others", 1 + 2 + 3 + 4 + 5)
        );
    }
}
