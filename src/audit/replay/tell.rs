//! What a replay found, as people and programs read it.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use serde_json::Value;

use super::{Change, Ruled, Totals};
use crate::audit::read::plain;

/// How changes and totals are written.
#[derive(Clone, Copy, Debug)]
pub enum Tell {
    /// For people: a line each.
    Text,
    /// JSON Lines: an object for each change, one with the totals at the end.
    Json,
}

/// What totals are told with.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The name of the candidate's file.
    pub name: &'a str,
    /// The digest of its policy.
    pub policy: &'a str,
}

impl Tell {
    /// Writes one change.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn change(self, change: &Change<'_>, out: &mut dyn Write) -> io::Result<()> {
        let Change { entry, before, after } = change;
        match self {
            Tell::Json => line(
                out,
                &JsonChange {
                    seq: entry.seq,
                    time: &entry.time,
                    request_id: entry.request_id.as_deref(),
                    caller: entry.caller.as_deref(),
                    operation: entry.operation.as_deref(),
                    selection: entry.selection.as_ref(),
                    before: before.into(),
                    after: after.into(),
                },
            ),
            Tell::Text => {
                let colour = if after.refused {
                    AnsiColor::Red
                } else {
                    AnsiColor::Green
                };
                let style = Style::new().fg_color(Some(colour.into()));
                let word = |text: &Option<String>| plain(text.as_deref().unwrap_or("-"));
                let summary = entry
                    .selection_summary()
                    .map_or_else(|| word(&entry.target), |summary| plain(&summary));
                writeln!(
                    out,
                    "{}  {}  {}  {}  {} → {style}{}{style:#}",
                    plain(&entry.time),
                    word(&entry.caller),
                    word(&entry.operation),
                    shortened(&summary),
                    words(before),
                    words(after)
                )
            }
        }
    }

    /// Writes the totals.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn totals(self, totals: &Totals, told: Told<'_>, out: &mut dyn Write) -> io::Result<()> {
        if let Tell::Json = self {
            return line(out, &JsonTotals::new(totals, told));
        }
        if totals.changed() {
            writeln!(out)?;
        }
        writeln!(
            out,
            "{} guarded requests under {} (policy {})",
            totals.requests(),
            told.name,
            told.policy
        )?;
        writeln!(out, "  {:>7}  as before", totals.unchanged)?;
        writeln!(out, "  {:>7}  would be refused that passed", totals.now_refused)?;
        writeln!(out, "  {:>7}  would pass that were refused", totals.now_pass)?;
        for (doubt, number) in &totals.undecided {
            writeln!(out, "  {number:>7}  could not be decided again: {doubt}")?;
        }
        if totals.suppressed_denials > 0 {
            writeln!(
                out,
                "  {:>7}  more were refused and not recorded one by one; they are not decided again",
                totals.suppressed_denials
            )?;
        }
        if totals.limits_counted {
            writeln!(
                out,
                "rate limits were counted by the recorded times, from full buckets at each start of a guard"
            )?;
        }
        if !totals.limits_left_out.is_empty() {
            writeln!(
                out,
                "left out, since they count requests that leave no record: {}",
                plain(&totals.limits_left_out.join(", "))
            )?;
        }
        Ok(())
    }
}

fn line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// A decision in a few words: `deny denied_by_rule (rule billing)`.
fn words(ruled: &Ruled) -> String {
    let mut words = vec![decision(ruled).to_owned()];
    words.extend(ruled.code.as_deref().map(plain));
    words.extend(ruled.rule.as_deref().map(|rule| format!("(rule {})", plain(rule))));
    words.extend(ruled.limit.as_deref().map(|limit| format!("(limit {})", plain(limit))));
    words.join(" ")
}

const fn decision(ruled: &Ruled) -> &'static str {
    match ruled {
        Ruled { refused: true, .. } => "deny",
        Ruled { would_deny: true, .. } => "would_deny",
        _ => "allow",
    }
}

/// A selection may be as long as a request.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The longest selection in a line, characters.
const LONGEST: usize = 100;

#[derive(Serialize)]
struct JsonChange<'a> {
    seq: u64,
    time: &'a str,
    request_id: Option<&'a str>,
    caller: Option<&'a str>,
    operation: Option<&'a str>,
    selection: Option<&'a Value>,
    before: JsonRuled<'a>,
    after: JsonRuled<'a>,
}

#[derive(Serialize)]
struct JsonRuled<'a> {
    decision: &'static str,
    code: Option<&'a str>,
    rule: Option<&'a str>,
    limit: Option<&'a str>,
}

impl<'a> From<&'a Ruled> for JsonRuled<'a> {
    fn from(ruled: &'a Ruled) -> Self {
        JsonRuled {
            decision: decision(ruled),
            code: ruled.code.as_deref(),
            rule: ruled.rule.as_deref(),
            limit: ruled.limit.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct JsonTotals<'a> {
    config: &'a str,
    policy: &'a str,
    requests: u64,
    unchanged: u64,
    now_refused: u64,
    now_pass: u64,
    undecided: Vec<JsonDoubt>,
    suppressed_denials: u64,
    limits_left_out: &'a [String],
}

#[derive(Serialize)]
struct JsonDoubt {
    reason: &'static str,
    number: u64,
}

impl<'a> JsonTotals<'a> {
    fn new(totals: &'a Totals, told: Told<'a>) -> Self {
        let undecided = totals.undecided.iter().map(|(doubt, number)| JsonDoubt {
            reason: doubt.as_str(),
            number: *number,
        });
        JsonTotals {
            config: told.name,
            policy: told.policy,
            requests: totals.requests(),
            unchanged: totals.unchanged,
            now_refused: totals.now_refused,
            now_pass: totals.now_pass,
            undecided: undecided.collect(),
            suppressed_denials: totals.suppressed_denials,
            limits_left_out: &totals.limits_left_out,
        }
    }
}
