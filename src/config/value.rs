//! A value of the file, and what is collected while values are read.

use std::cell::RefCell;
use std::ops::Range;

use jiff::Timestamp;
use serde_yaml::Spanned;

use super::environment::{self, Lookup};
use super::fault::{Fault, SHOWN, Warning};
use super::scalar;
use super::source::{Place, Source};
use super::tree::Node;
use crate::qstash::selection::quoted;

/// What every part of the tree is read with, and where what is wrong is collected.
pub(super) struct Context<'a> {
    /// What the file is, for a sentence about its keys.
    pub(super) of: &'static str,
    pub(super) source: &'a Source,
    pub(super) lookup: Lookup<'a>,
    pub(super) faults: RefCell<Vec<Fault>>,
    pub(super) warnings: RefCell<Vec<Warning>>,
    /// What is worth knowing from a time on.
    pub(super) later: RefCell<Vec<(Timestamp, Warning)>>,
    pub(super) secrets: RefCell<Vec<Range<usize>>>,
    /// The keys that name files, and where those names stand.
    pub(super) files: RefCell<Vec<(String, Place)>>,
}

/// What most files are.
pub(super) const CONFIGURATION: &str = "the configuration";

impl<'a> Context<'a> {
    pub(super) fn new(source: &'a Source, lookup: Lookup<'a>) -> Self {
        let (faults, warnings, later, secrets, files) = Default::default();
        Context {
            of: CONFIGURATION,
            source,
            lookup,
            faults,
            warnings,
            later,
            secrets,
            files,
        }
    }

    /// Keeps every scalar under a node out of what is shown.
    pub(super) fn hide(&self, node: &Spanned<Node>) {
        match &node.value {
            Node::Sequence(items) => items.iter().for_each(|item| self.hide(item)),
            Node::Mapping(entries) => entries.iter().for_each(|(_, value)| self.hide(value)),
            Node::Null | Node::Bool(_) => {}
            Node::Integer(_) | Node::Float | Node::String(_) => {
                for place in [Place::of(node), Place::of_definition(node)] {
                    // `${NAME}` shows nothing, and is what an operator has to see.
                    let written = self.source.slice(place).trim_end();
                    let text = written.trim_matches(['"', '\'']);
                    let variable = text.starts_with("${") && text.find('}') == Some(text.len() - 1);
                    if !variable || text.contains(":-") {
                        // A block ends behind the indentation of what comes next.
                        self.secrets.borrow_mut().push(place.start..place.start + written.len());
                    }
                }
            }
        }
    }

    /// Whether there are more faults than are shown: then nothing is gained by finding out what was meant by another.
    pub(super) fn is_full(&self) -> bool {
        self.faults.borrow().len() >= SHOWN
    }

    fn is_hidden(&self, place: Place) -> bool {
        self.secrets
            .borrow()
            .iter()
            .any(|secret| secret.start < place.end && place.start < secret.end)
    }
}

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Value<'c> {
    pub(super) context: &'c Context<'c>,
    /// The keys that lead to it: `policy.bulk_cancel.max_count`.
    pub(super) path: String,
    pub(super) node: &'c Spanned<Node>,
    /// Where its key stands; an item of a list has none.
    pub(super) key: Option<Place>,
}

impl<'c> Value<'c> {
    /// Where a fault of the value points: at the value where it is a scalar, at its key where it is more than that.
    pub(super) fn place(&self) -> Place {
        let place = Place::of(self.node);
        match (&self.node.value, self.key) {
            (Node::Sequence(_) | Node::Mapping(_), Some(key)) => key,
            (_, Some(key)) if place.is_empty() => key,
            _ => place,
        }
    }

    /// Reports a fault.
    pub(super) fn fault(&self, message: impl Into<String>) {
        self.context.faults.borrow_mut().push(Fault::new(self.place(), message));
    }

    /// Reports a fault that points at another place than the value's.
    pub(super) fn fault_at(&self, place: Place, message: impl Into<String>) {
        self.context.faults.borrow_mut().push(Fault::new(place, message));
    }

    /// Reports a fault of a part of the value's text, in bytes of it; where the part cannot be told from how the value is
    /// written, of the value.
    pub(super) fn fault_within(&self, text: &str, part: Range<usize>, message: impl Into<String>) {
        let place = Place::of(self.node);
        let written = self.context.source.slice(place);
        match scalar::within(written.trim_end(), text, part) {
            Some(part) => {
                let (start, end) = (place.start + part.start, place.start + part.end);
                self.fault_at(Place { start, end }, message);
            }
            None => self.fault(message),
        }
    }

    /// Reports what will be worth knowing from a time on.
    pub(super) fn warn_from(&self, time: Timestamp, message: impl Into<String>) {
        let warning = Warning {
            message: message.into(),
            place: Some(self.place()),
        };
        self.context.later.borrow_mut().push((time, warning));
    }

    /// Reports a fault that has a second place, that of another value.
    pub(super) fn fault_beside(&self, other: Place, label: &'static str, message: impl Into<String>) {
        self.context
            .faults
            .borrow_mut()
            .push(Fault::new(self.place(), message).and(other, label));
    }

    /// Reports what is valid and worth knowing.
    pub(super) fn warn(&self, message: impl Into<String>) {
        let warning = Warning {
            message: message.into(),
            place: Some(self.place()),
        };
        self.context.warnings.borrow_mut().push(warning);
    }

    /// Where the value itself stands.
    pub(super) fn own_place(&self) -> Place {
        Place::of(self.node)
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.node.value, Node::Null)
    }

    /// Whether nothing is written where the value would stand.
    pub(super) fn is_left_empty(&self) -> bool {
        self.is_null() && Place::of(self.node).is_empty()
    }

    /// What is written there, for a sentence that begins with it. Of what comes from the environment only the name is
    /// said, and of what may be a credential nothing.
    pub(super) fn written(&self) -> String {
        let place = Place::of_definition(self.node);
        let text = match &self.node.value {
            Node::String(text) => text.as_str(),
            _ => self.context.source.slice(place),
        };
        if self.context.is_hidden(place) {
            "this value".to_owned()
        } else if environment::is_substituted(text) {
            format!("the value of {}", quoted(text))
        } else if text.trim().is_empty() {
            "an empty value".to_owned()
        } else {
            quoted(text)
        }
    }

    /// The text of a scalar, the environment put in; `expected` says what would be right.
    pub(super) fn text(&self, expected: &str) -> Result<String, String> {
        match &self.node.value {
            Node::String(text) => environment::substitute(text, self.context.lookup),
            Node::Bool(_) | Node::Integer(_) | Node::Float => {
                Ok(self.context.source.slice(Place::of_definition(self.node)).to_owned())
            }
            Node::Null | Node::Sequence(_) | Node::Mapping(_) => Err(self.wrong_kind(expected)),
        }
    }

    /// A sentence for a value of the wrong kind.
    pub(super) fn wrong_kind(&self, expected: &str) -> String {
        let path = &self.path;
        match &self.node.value {
            Node::Null => format!("`{path}` has no value; write {expected}"),
            node => format!("`{path}` is {}; write {expected}", node.kind()),
        }
    }

    /// The items of a list; `expected` says what would be right.
    pub(super) fn items(&self, expected: &str) -> Result<Vec<Value<'c>>, String> {
        let Node::Sequence(items) = &self.node.value else {
            return Err(self.wrong_kind(expected));
        };
        let item = |(index, node): (usize, &'c Spanned<Node>)| Value {
            context: self.context,
            path: format!("{}[{index}]", self.path),
            node,
            key: None,
        };
        Ok(items.iter().enumerate().map(item).collect())
    }

    /// Each item of a list as `parse` reads it, the faulty ones reported and left out.
    pub(super) fn list<T>(
        &self,
        expected: &str,
        mut parse: impl FnMut(&Value<'c>) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let items = self.items(expected)?;
        Ok(items
            .iter()
            .filter_map(|item| parse(item).map_err(|message| item.fault(message)).ok())
            .collect())
    }

    /// Whether the value takes anything from the environment: then its text is not shown, and words for numbers are taken.
    pub(super) fn is_substituted(&self) -> bool {
        matches!(&self.node.value, Node::String(text) if environment::is_substituted(text))
    }

    /// Notes that the value names a file, whose faults point here.
    pub(super) fn names_a_file(&self) {
        self.context.files.borrow_mut().push((self.path.clone(), self.place()));
    }

    /// Keeps the value out of everything that is shown.
    pub(super) fn hide(&self) {
        self.context.hide(self.node);
    }
}
