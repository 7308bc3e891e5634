//! The cases of [`caps`](super::caps) as a table: QStash's generations one below the other, the modes side by side.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::caps::{Came, MATCHES, TARGET};
use super::client::Answer;
use super::tell::{Teller, colour};
use crate::audit::read::Entry;
use crate::simulator::CountHandling;

/// How wide the column of names is, and each of the two others, in characters.
const NAME: usize = 12;
const COLUMN: usize = 37;

impl<W: Write> Teller<W> {
    /// Shows the cases: whether each came as it should.
    pub(super) fn caps(&mut self, cases: &[Came]) -> io::Result<bool> {
        let (bold, dim) = (Style::new().bold(), Style::new().dimmed());
        writeln!(
            self.out,
            "{bold}One capped cancel, before and since September 2026{bold:#}\n  DELETE {TARGET}    ({MATCHES} messages have the \
             label)"
        )?;
        for pair in cases.chunks(2) {
            let title = match pair.first().map(|came| came.case.qstash) {
                Some(CountHandling::Honoured) => "QStash before September 2026 honours count",
                Some(CountHandling::Ignored) | None => "QStash since September 2026 ignores count",
            };
            writeln!(self.out, "\n  {bold}{title}{bold:#}")?;
            self.row("", pair, |came| {
                plain(format!("cap_enforced_by: {}", came.case.enforced_by))
            })?;
            self.row("answer", pair, |came| plain(answered(&came.attempts[0].0)))?;
            self.row("really gone", pair, gone)?;
            self.row("once more", pair, |came| {
                let (answer, gone) = &came.attempts[1];
                plain(format!("{}; {gone} gone", answered(answer)))
            })?;
            let lines = pair.iter().map(|came| came.trail.len()).max().unwrap_or_default();
            for line in 0..lines {
                let name = if line == 0 { "the trail" } else { "" };
                self.row(name, pair, |came| {
                    (came.trail.get(line).map(recorded).unwrap_or_default(), dim)
                })?;
            }
        }
        writeln!(self.out)?;
        let bad = colour(AnsiColor::Red);
        for came in cases.iter().filter(|came| !came.as_expected()) {
            let (count, enforced_by) = (came.case.count(), came.case.enforced_by);
            let expected = came.expected();
            writeln!(
                self.out,
                "{bad}✗{bad:#} count {count}, cap_enforced_by {enforced_by}: expected {expected}"
            )?;
        }
        Ok(cases.iter().all(Came::as_expected))
    }

    fn row(&mut self, name: &str, pair: &[Came], cell: impl Fn(&Came) -> (String, Style)) -> io::Result<()> {
        let dim = Style::new().dimmed();
        write!(self.out, "    {dim}{name:<NAME$}{dim:#}")?;
        let cells: Vec<(String, Style)> = pair.iter().map(cell).collect();
        // Nothing trails: what stands last in its row isn't padded.
        let used = cells
            .iter()
            .rposition(|(text, _)| !text.is_empty())
            .map_or(0, |last| last + 1);
        for (index, (text, style)) in cells.iter().take(used).enumerate() {
            let width = if index + 1 == used { 0 } else { COLUMN };
            let padding = width.saturating_sub(text.chars().count());
            write!(self.out, "  {style}{text}{style:#}{:padding$}", "")?;
        }
        writeln!(self.out)
    }
}

fn plain(text: String) -> (String, Style) {
    (text, Style::new())
}

/// How many went, and whether that was the cap, and as expected.
fn gone(came: &Came) -> (String, Style) {
    let gone = came.attempts[0].1;
    let of = format!("{gone} of {MATCHES}");
    if !came.as_expected() {
        (format!("✗ {of}"), colour(AnsiColor::Red))
    } else if gone == MATCHES {
        (format!("! {of}: the cap capped nothing"), colour(AnsiColor::Yellow))
    } else {
        (format!("✓ {of}"), colour(AnsiColor::Green))
    }
}

fn answered(answer: &Answer) -> String {
    match (&answer.code, answer.cancelled) {
        (Some(code), _) => format!("{} {code}", answer.status),
        (None, Some(cancelled)) => format!("{}, {cancelled} cancelled", answer.status),
        (None, None) => answer.status.to_string(),
    }
}

/// A record in a few words.
fn recorded(entry: &Entry) -> String {
    let words = [
        Some(entry.event.clone()),
        entry.code.clone(),
        intended(entry).filter(|_| entry.event == "intent"),
        entry.result.clone(),
        entry.cancelled.map(|cancelled| format!("{cancelled} gone")),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// The selection in a few words; where the guard has listed what it selects, with the number of ids first.
fn intended(entry: &Entry) -> Option<String> {
    let summary = entry.selection_summary()?;
    let total = entry
        .selection
        .as_ref()?
        .get("ids_total")
        .and_then(serde_json::Value::as_u64);
    let listed = total.and_then(|total| {
        let rest = summary.strip_prefix(&format!("filter {total} "))?;
        Some(format!("{total} ids of {rest}"))
    });
    Some(listed.unwrap_or(summary))
}
