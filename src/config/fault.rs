//! What is wrong with a configuration, as data and as people read it.

use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};

use super::excerpt;
use super::source::{Place, Source};

/// So many faults are shown; more of them say nothing new.
pub(super) const SHOWN: usize = 50;

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Fault {
    message: String,
    place: Option<Place>,
    /// A second place that belongs to it, and what is there.
    also: Option<(Place, &'static str)>,
}

impl Fault {
    /// A fault of a place.
    pub(super) fn new(place: Place, message: impl Into<String>) -> Self {
        Fault {
            message: message.into(),
            place: Some(place),
            also: None,
        }
    }

    /// A fault of the file as a whole.
    pub(super) fn of_file(message: impl Into<String>) -> Self {
        Fault {
            message: message.into(),
            place: None,
            also: None,
        }
    }

    /// Shows a second place.
    pub(super) fn and(mut self, place: Place, label: &'static str) -> Self {
        self.also = Some((place, label));
        self
    }

    /// What is wrong and what to write, in one sentence. Never holds a credential.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Everything that is wrong with a configuration, in the order of the file.
#[derive(Clone, Debug)]
pub struct Faults {
    source: Source,
    faults: Vec<Fault>,
}

impl Faults {
    /// Sorts faults by place.
    pub(super) fn new(source: Source, mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| fault.place);
        Faults { source, faults }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.faults.len()
    }

    /// Never: no fault is no [`Faults`].
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// The file that they are in.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// All of them with file, line, column, the line and a caret, an empty line between two.
    pub fn render(&self, colour: bool) -> String {
        let mut out = String::new();
        for (index, fault) in self.faults.iter().take(SHOWN).enumerate() {
            if index > 0 {
                out.push('\n');
            }
            let report = Report {
                severity: Severity::Error,
                message: &fault.message,
                place: fault.place,
            };
            report.write(
                &mut out,
                &self.source,
                fault.also,
                Palette::new(colour, Severity::Error),
            );
        }
        if let Some(more) = self.faults.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            let _ = writeln!(out, "\n… and {more} more");
        }
        out
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Faults {}

/// Something valid that an operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub(super) message: String,
    pub(super) place: Option<Place>,
}

impl Warning {
    /// What to know, in one sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The warning without its place, where that is in no file.
    pub(super) fn without_place(self) -> Self {
        Warning { place: None, ..self }
    }

    /// The warning with the line that causes it, where the file has one.
    pub fn render(&self, source: &Source, colour: bool) -> String {
        let mut out = String::new();
        let report = Report {
            severity: Severity::Warning,
            message: &self.message,
            place: self.place,
        };
        report.write(&mut out, source, None, Palette::new(colour, Severity::Warning));
        out
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[derive(Clone, Copy)]
enum Severity {
    Error,
    Warning,
}

/// The styles of a report; all plain without colour.
#[derive(Clone, Copy, Default)]
pub(super) struct Palette {
    pub(super) severity: Style,
    pub(super) title: Style,
    pub(super) frame: Style,
}

impl Palette {
    fn new(colour: bool, severity: Severity) -> Self {
        if !colour {
            return Palette::default();
        }
        let severity = match severity {
            Severity::Error => AnsiColor::BrightRed,
            Severity::Warning => AnsiColor::BrightYellow,
        };
        Palette {
            severity: severity.on_default().bold(),
            title: Style::new().bold(),
            frame: AnsiColor::BrightBlue.on_default().bold(),
        }
    }
}

struct Report<'a> {
    severity: Severity,
    message: &'a str,
    place: Option<Place>,
}

impl Report<'_> {
    fn write(&self, out: &mut String, source: &Source, also: Option<(Place, &'static str)>, palette: Palette) {
        let Palette { severity, title, .. } = palette;
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let _ = writeln!(out, "{severity}{word}{severity:#}{title}: {}{title:#}", self.message);
        if let Some(place) = self.place {
            excerpt::write(out, source, place, also, palette);
        }
    }
}
