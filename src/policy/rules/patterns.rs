//! Regular expressions in conditions. They are compiled once, at load: the interpreter would do so at every evaluation.

use std::any::Any;

use cel::common::types::{CelBool, CelString, STRING_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::context::VariableResolver;
use cel::{Env, ExecutionError};
use regex::{Regex, RegexBuilder};

/// A compiled pattern of more bytes is refused: how long a match takes grows with it.
const LARGEST: usize = 64 << 10;

/// A compiled pattern of more bytes is heavy.
const LIGHT: usize = 16 << 10;

/// What the names of patterns begin with; no name that is written in CEL does.
const PREFIX: &str = "@pattern";

const TYPE: Type = Type::new_unspecified_type(PREFIX);

static PATTERN: Type = TYPE;

/// The patterns of one condition.
#[derive(Debug, Default)]
pub(super) struct Patterns(Vec<Pattern>);

#[derive(Clone, Debug)]
struct Pattern(Regex);

/// How long a pattern may take for each byte of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// About as long as other functions.
    Light,
    /// Some dozens of times that, at worst.
    Heavy,
}

impl Patterns {
    /// Compiles a pattern; gives the variable that stands for it from then on, and what it weighs.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub(super) fn add(&mut self, pattern: &str) -> Result<(String, Weight), String> {
        let within = |limit| RegexBuilder::new(pattern).size_limit(limit).build();
        let light = within(LIGHT).map(|compiled| (compiled, Weight::Light));
        let compiled = light.or_else(|_| within(LARGEST).map(|compiled| (compiled, Weight::Heavy)));
        let (compiled, weight) = compiled.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "it repeats too much, and would take too long to match".to_owned(),
            error => {
                // The last line of the report is its message.
                let report = error.to_string();
                let last = report.lines().last().unwrap_or_default();
                last.trim_start_matches("error: ").to_owned()
            }
        })?;
        self.0.push(Pattern(compiled));
        Ok((format!("{PREFIX}{}", self.0.len() - 1), weight))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl VariableResolver for Patterns {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let place: usize = variable.strip_prefix(PREFIX)?.parse().ok()?;
        self.0.get(place).map(|pattern| CowVal::Borrowed(pattern))
    }
}

impl StaticVal for Pattern {}

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        &PATTERN
    }

    fn cel_type() -> &'static Type {
        &PATTERN
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }
}

/// Adds `matches`, as a function and as a method of strings.
pub(super) fn declare(env: &mut Env) -> Result<(), cel::DeclarationError> {
    env.add_overload("matches", "matches_pattern", vec![STRING_TYPE, TYPE], matches)?;
    env.add_member_overload("matches", "string_matches_pattern", STRING_TYPE, vec![TYPE], matches)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "functions of the interpreter have this signature"
)]
fn matches<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [text, pattern] = arguments.as_slice() else {
        return Err(ExecutionError::invalid_argument_count(2, arguments.len()));
    };
    match (text.downcast_ref::<CelString>(), pattern.downcast_ref::<Pattern>()) {
        (Some(text), Some(Pattern(pattern))) => Ok(CowVal::owned(CelBool::from(pattern.is_match(text.inner())))),
        _ => Err(ExecutionError::missing_argument_or_target()),
    }
}
