//! A mapping of the file, read key by key. What was never asked for is an unknown key.

use std::collections::HashMap;

use serde_yaml::Spanned;

use super::fault::{Fault, SHOWN};
use super::source::Place;
use super::tree::Node;
use super::value::{CONFIGURATION, Context, Value};
use super::{keys, secret, suggest};
use crate::qstash::selection::quoted;

/// A mapping that is being read.
pub(super) struct Section<'c> {
    context: &'c Context<'c>,
    path: String,
    entries: &'c [(Spanned<String>, Spanned<Node>)],
    /// Where it stands, for what is missing in an empty one.
    place: Place,
    /// What is wrong with it as a whole, said once its keys are known.
    not_a_mapping: Option<Value<'c>>,
    known: Vec<&'static str>,
}

impl<'c> Section<'c> {
    /// The whole file.
    pub(super) fn root(context: &'c Context<'c>, node: &'c Spanned<Node>) -> Self {
        Section::of(Value {
            context,
            path: String::new(),
            node,
            key: None,
        })
    }

    /// The mapping that a value is. Nothing at all is an empty one: whoever comments out every key means the defaults.
    pub(super) fn of(value: Value<'c>) -> Self {
        let (context, path, place) = (value.context, value.path.clone(), value.place());
        let (entries, not_a_mapping): (&[_], _) = match &value.node.value {
            Node::Mapping(entries) => (entries, None),
            Node::Null => (&[], None),
            _ => (&[], Some(value)),
        };
        let section = Section {
            context,
            path,
            entries,
            place,
            not_a_mapping,
            known: Vec::new(),
        };
        section.report_duplicates();
        section
    }

    /// The value of a key, where the file has it.
    pub(super) fn get(&mut self, name: &'static str) -> Option<Value<'c>> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        let (key, node) = self.entries.iter().find(|(key, _)| key.value == name)?;
        Some(Value {
            context: self.context,
            path: self.child(name),
            node,
            key: Some(Place::of(key)),
        })
    }

    /// The value of a key as `parse` reads it, or its default. A fault is reported, and the default stands in.
    pub(super) fn value<T>(
        &mut self,
        name: &'static str,
        default: T,
        parse: impl FnOnce(&Value<'c>) -> Result<T, String>,
    ) -> T {
        let Some(value) = self.get(name) else { return default };
        parse(&value).unwrap_or_else(|message| {
            value.fault(message);
            default
        })
    }

    /// The value of a key that must be there; `example` shows one.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        example: &str,
        parse: impl FnOnce(&Value<'c>) -> Result<T, String>,
    ) -> Option<T> {
        if let Some(value) = self.get(name) {
            return parse(&value).map_err(|message| value.fault(message)).ok();
        }
        // A misspelt key is told of as that alone.
        let near = |key: &str| !self.known.contains(&key) && suggest::nearest(key, [name]).is_some();
        if self.not_a_mapping.is_none() && !self.entries.iter().any(|(key, _)| near(&key.value)) {
            let first = self.entries.first().map(|(key, _)| Place::of(key));
            let message = format!("`{}` has no `{name}`; add one, like `{example}`", self.path);
            self.context
                .faults
                .borrow_mut()
                .push(Fault::new(first.unwrap_or(self.place), message));
        }
        None
    }

    /// A section within this one.
    pub(super) fn section(&mut self, name: &'static str) -> Section<'c> {
        match self.get(name) {
            Some(value) => Section::of(value),
            None => Section {
                context: self.context,
                path: self.child(name),
                entries: &[],
                place: self.place,
                not_a_mapping: None,
                known: Vec::new(),
            },
        }
    }

    /// Reports a fault of the section as a whole: at its first key, or where it stands.
    pub(super) fn fault(&self, place: Place, message: impl Into<String>) {
        if self.not_a_mapping.is_none() {
            let first = self.entries.first().map(|(key, _)| Place::of(key));
            let fault = Fault::new(first.unwrap_or(place), message);
            self.context.faults.borrow_mut().push(fault);
        }
    }

    /// Every key and value, for a section whose keys are names of the operator's choice or patterns.
    pub(super) fn free_entries(&self) -> impl Iterator<Item = (&'c str, Place, Value<'c>)> {
        self.entries.iter().map(|(key, node)| {
            let value = Value {
                context: self.context,
                path: self.child(&key.value),
                node,
                key: Some(Place::of(key)),
            };
            (key.value.as_str(), Place::of(key), value)
        })
    }

    /// Reports what is no mapping; for a section with free entries, in the place of [`Section::finish`].
    pub(super) fn finish_free(self, expected: &str) {
        if let Some(value) = &self.not_a_mapping {
            value.fault(value.wrong_kind(expected));
        }
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self) {
        if let Some(value) = &self.not_a_mapping {
            let keys = self.keys();
            let what = if self.path.is_empty() {
                "the file".to_owned()
            } else {
                format!("`{}`", self.path)
            };
            // `mode:monitor` is text.
            let first = match &value.node.value {
                Node::String(text) => text.split_once(':').map(|(key, _)| key.trim()),
                _ => None,
            };
            let hint = match first.filter(|key| self.known.contains(key)) {
                Some(key) => format!("; write a space behind the `:` of `{key}`"),
                None => String::new(),
            };
            value.fault(format!(
                "{what} is {}; it takes the keys {keys}{hint}",
                value.node.value.kind()
            ));
        }
        let near_secrets = ["credentials", "callers"]
            .iter()
            .any(|section| self.path.starts_with(section));
        let unknown = self.entries.iter();
        let unknown = unknown.filter(|(key, _)| !self.known.contains(&key.value.as_str()));
        for (index, (key, node)) in unknown.enumerate() {
            if near_secrets || secret::is_suspect(&key.value) {
                self.context.hide(node);
            }
            self.context
                .faults
                .borrow_mut()
                .push(Fault::new(Place::of(key), self.unknown(&key.value, index < SHOWN)));
        }
    }

    /// What is wrong with an unknown key. To find out what was meant takes a while, and is of no use where it is not
    /// shown.
    fn unknown(&self, key: &str, is_shown: bool) -> String {
        if key == "<<" {
            return "merge keys (`<<`) are not taken; write the keys out".to_owned();
        }
        let of = if self.path.is_empty() {
            format!("of {}", self.context.of)
        } else {
            format!("of {}", self.path)
        };
        let known = quoted(key);
        if !is_shown {
            return format!("{known} is not a key {of}");
        }
        if let Some(near) = suggest::nearest(key, self.known.iter().copied()) {
            return format!("{known} is not a key {of}; did you mean `{near}`?");
        }
        if let Some(section) = suggest::elsewhere(key).filter(|_| self.context.of == CONFIGURATION) {
            return format!("{known} is not a key {of}; it belongs to {section}");
        }
        format!("{known} is not a key {of}; its keys are {}", self.keys())
    }

    /// The keys that it takes, in the order of the shipped file.
    fn keys(&self) -> String {
        let mut keys = self.known.clone();
        let place = |name: &&str| keys::of(&self.path).iter().position(|key| key.name == *name);
        keys.sort_by_key(|name| place(name).unwrap_or(usize::MAX));
        suggest::list(&keys)
    }

    fn report_duplicates(&self) {
        let mut firsts = HashMap::new();
        for (key, node) in self.entries {
            let first = *firsts.entry(key.value.as_str()).or_insert(key);
            if !std::ptr::eq(first, key) {
                let what = match node.value {
                    Node::Mapping(_) => "write all its keys under one of them",
                    _ => "keep one of them",
                };
                let message = format!("{} is given twice; {what}", quoted(&self.child(&key.value)));
                let fault = Fault::new(Place::of(key), message).and(Place::of(first), "first given here");
                self.context.faults.borrow_mut().push(fault);
            }
        }
    }

    fn child(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }
}
