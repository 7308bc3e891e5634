//! What the demo prints.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;

use anstyle::{AnsiColor, Style};

use super::steps::{Expected, Step, TokenIn};
use crate::audit::read;
use crate::audit::read::show::{Filter, Options, Show};

/// What a step met.
pub(super) struct Met {
    pub(super) status: u16,
    /// The guard's code; `None` where QStash answered.
    pub(super) code: Option<String>,
    /// The sentence of a refusal.
    pub(super) error: Option<String>,
    /// How many of its requests QStash got.
    pub(super) passed: u64,
}

impl Met {
    pub(super) fn is(&self, expected: Expected) -> bool {
        match expected {
            Expected::Passes(status) => self.code.is_none() && self.status == status,
            Expected::Refused(code) | Expected::RefusedInTheEnd(code) => self.code.as_deref() == Some(code),
        }
    }
}

/// Writes the demo's report.
pub(super) struct Teller<W: Write> {
    pub(super) out: W,
}

impl<W: Write> Teller<W> {
    pub(super) fn new(out: W) -> Self {
        Teller { out }
    }

    pub(super) fn begin(&mut self, messages: usize, upstream: SocketAddr, guard: SocketAddr) -> io::Result<()> {
        let bold = Style::new().bold();
        writeln!(
            self.out,
            "{bold}A QStash in memory with {messages} pending messages, and a guard before it{bold:#}"
        )?;
        writeln!(
            self.out,
            "  client  →  guard {guard}  →  simulator {upstream}    (no account, no network)\n"
        )
    }

    pub(super) fn step(&mut self, number: usize, step: &Step, met: &Met, pending: usize, ok: bool) -> io::Result<()> {
        let (bold, dim) = (Style::new().bold(), Style::new().dimmed());
        let (good, bad) = (colour(AnsiColor::Green), colour(AnsiColor::Red));
        let came = match &met.code {
            Some(code) => format!("{} {code}", met.status),
            None => format!("{} from QStash", met.status),
        };
        let expected = match step.expected {
            Expected::Passes(status) => format!("{status} from QStash"),
            Expected::Refused(code) => format!("{code}, and QStash gets nothing"),
            Expected::RefusedInTheEnd(code) => format!("{code} after a few"),
        };
        let mark = if ok {
            format!("{good}✓{good:#}")
        } else {
            format!("{bad}✗{bad:#}")
        };
        let query = if step.token == TokenIn::Query {
            "?qstash_token=…"
        } else {
            ""
        };
        let body = if step.body.is_empty() {
            String::new()
        } else {
            format!("  {}", step.body)
        };
        writeln!(self.out, "{number:>3}  {bold}{}{bold:#}", step.story)?;
        writeln!(self.out, "     {} {}{query}{body}", step.method, step.target)?;
        writeln!(self.out, "     {dim}expected{dim:#}  {expected}")?;
        let passed = match step.expected {
            Expected::RefusedInTheEnd(_) => format!(" after {} that passed", met.passed),
            Expected::Passes(_) | Expected::Refused(_) => String::new(),
        };
        writeln!(
            self.out,
            "     {dim}came{dim:#}    {mark} {came}{passed}  {dim}({pending} messages pending){dim:#}"
        )?;
        if let (Some(_), Some(error)) = (&met.code, &met.error) {
            for line in wrapped(error, WIDTH) {
                writeln!(self.out, "               {dim}{line}{dim:#}")?;
            }
        }
        writeln!(self.out)
    }

    /// Shows the trail and verifies it: whether it is intact.
    pub(super) fn trail(&mut self, folder: &Path) -> io::Result<bool> {
        let bold = Style::new().bold();
        let inputs = read::inputs(&[folder.to_owned()]).map_err(io::Error::other)?;
        writeln!(
            self.out,
            "{bold}The trail that they left{bold:#}  (qstash-guard audit show)"
        )?;
        let options = Options {
            filter: Filter::default(),
            json: false,
            colour: true,
            follow: false,
        };
        Show::new(&inputs, options)
            .run(&mut self.out, &mut io::stderr())
            .map_err(io::Error::other)?;
        let report = read::verify(&inputs, None).map_err(io::Error::other)?;
        writeln!(
            self.out,
            "\n{bold}Its verification{bold:#}  (qstash-guard audit verify)\n{report}"
        )?;
        Ok(report.exit_code() == 0)
    }

    pub(super) fn end(&mut self, as_expected: bool) -> io::Result<()> {
        let (good, bad) = (colour(AnsiColor::Green), colour(AnsiColor::Red));
        if as_expected {
            writeln!(self.out, "{good}✓ Everything met what it should.{good:#}")
        } else {
            writeln!(
                self.out,
                "{bad}✗ Something did not meet what it should; see above.{bad:#}"
            )
        }
    }
}

/// A colour for what matters.
pub(super) fn colour(colour: AnsiColor) -> Style {
    Style::new().bold().fg_color(Some(colour.into()))
}

/// Text in lines of `width` characters at most, broken at spaces.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

const WIDTH: usize = 84;
