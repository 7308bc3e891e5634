//! What tests met, as people read it.

use std::io::Write;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

use crate::cli::rehearse::Rehearsed;
use crate::config::{Expectation, PolicyTest};
use crate::policy::{Refusal, Rules};

/// A report that is being written. A closed pipe changes nothing about what passed, so that failed writes are passed over.
pub(super) struct Report<W: Write> {
    out: W,
    passed: usize,
    failed: usize,
}

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

impl<W: Write> Report<W> {
    pub(super) fn new(out: W) -> Self {
        Report {
            out,
            passed: 0,
            failed: 0,
        }
    }

    /// A file of tests, and what it tests.
    pub(super) fn file(&mut self, name: &str, config: &str, digest: &str) {
        if self.passed + self.failed > 0 {
            let _ = writeln!(self.out);
        }
        let bold = Style::new().bold();
        let _ = writeln!(self.out, "{bold}{name}{bold:#} tests {config} (policy {digest})");
    }

    /// One test: a line, and what differs where it fails.
    pub(super) fn test(&mut self, file: &str, test: &PolicyTest, met: &Rehearsed, rules: &Rules) {
        let differences = differences(&test.expect, met);
        if differences.is_empty() {
            self.passed += 1;
            let _ = writeln!(self.out, "  {GOOD}pass{GOOD:#}  {}", test.name);
            return;
        }
        self.failed += 1;
        let _ = writeln!(self.out, "  {BAD}FAIL{BAD:#}  {}  ({file}:{})", test.name, test.line);
        for Difference { what, expected, met } in &differences {
            let _ = writeln!(self.out, "        {GOOD}- expected {what:<8} {expected}{GOOD:#}");
            let _ = writeln!(self.out, "        {BAD}+ met      {what:<8} {met}{BAD:#}");
        }
        for violation in met.refusal.iter().flat_map(Refusal::violations) {
            let _ = writeln!(self.out, "          {}: {}", violation.code, violation.message);
        }
        if let Some(rule) = test.expect.rule.as_deref() {
            self.about_rule(rule, met, rules);
        }
    }

    /// Why an expected rule did not decide.
    fn about_rule(&mut self, rule: &str, met: &Rehearsed, rules: &Rules) {
        if met.rule.as_deref() == Some(rule) {
            return;
        }
        let tried = met.tried.iter().find(|tried| *tried.rule == *rule);
        let why = match tried {
            Some(tried) => tried.why(),
            None if rules.iter().all(|known| *known.name != *rule) => "the configuration has no such rule".to_owned(),
            None => "it was not tried".to_owned(),
        };
        let _ = writeln!(self.out, "          rule {rule}: {why}");
    }

    /// The rules of a configuration that never had a word.
    pub(super) fn unreached(&mut self, config: &str, several: bool, rules: &[String]) {
        if rules.is_empty() {
            return;
        }
        let of = if several {
            format!(" of {config}")
        } else {
            String::new()
        };
        let _ = writeln!(self.out, "\nrules{of} that no test reached: {}", rules.join(", "));
    }

    /// The numbers: 0 if all passed, 1 otherwise.
    pub(super) fn end(mut self) -> ExitCode {
        let style = if self.failed == 0 { GOOD } else { BAD };
        let (passed, failed) = (self.passed, self.failed);
        let _ = writeln!(self.out, "\n{style}{passed} passed, {failed} failed{style:#}");
        if failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

struct Difference {
    what: &'static str,
    expected: String,
    met: String,
}

fn differences(expect: &Expectation, met: &Rehearsed) -> Vec<Difference> {
    let none = || "none".to_owned();
    let code = met.refusal.as_ref().map(Refusal::code);
    [
        (
            "decision",
            expect.decision.map(|decision| decision.as_str().to_owned()),
            met.decision.as_str().to_owned(),
        ),
        (
            "code",
            expect.code.map(|code| code.to_string()),
            code.map_or_else(none, |code| code.to_string()),
        ),
        (
            "rule",
            expect.rule.clone(),
            met.rule.as_ref().map_or_else(none, ToString::to_string),
        ),
    ]
    .into_iter()
    .filter_map(|(what, expected, met)| {
        let expected = expected.filter(|expected| *expected != met)?;
        Some(Difference { what, expected, met })
    })
    .collect()
}
