//! The `when` of a rule: an expression in CEL, compiled once.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cel::common::ast::{Expr, LiteralValue};
use cel::common::types::CelBool;
use cel::{Context, ExecutionError, IdedExpr, ParseError, Value};

use super::check::{Checked, check};
use super::cost::{Amount, MOST_STEPS_OF_A_REQUEST};
use super::patterns::Patterns;
use super::trial;
use super::variables::{ENVIRONMENT, FILTERS, IDS, METHOD, PATH, Variables};
use crate::qstash::operation::Operation;

/// The longest expression, in bytes. The parser and the interpreter recurse, so that this bounds the stack they take.
pub const LONGEST_CONDITION: usize = 2048;

/// The most values of filters that a condition is evaluated over: a client could fill a head with tens of thousands.
/// Ids are as many at most, see [`MAX_MESSAGE_IDS`](crate::policy::MAX_MESSAGE_IDS).
const MOST_FILTER_VALUES: usize = 1000;

/// The longest text of a request that a condition is evaluated over, in bytes: how long many functions take grows with it.
const LONGEST_TEXT: usize = 4096;

/// A condition that was compiled, its names checked and tried out.
#[derive(Clone)]
pub struct Condition {
    text: Arc<str>,
    expression: Arc<IdedExpr>,
    patterns: Arc<Patterns>,
    uses: Arc<BTreeSet<String>>,
    steps: Amount,
}

/// What is wrong with a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionFault {
    /// What is wrong and what to write.
    pub message: String,
    /// Where, in bytes of the expression.
    pub place: Range<usize>,
}

impl Condition {
    /// Compiles an expression, checks the names in it, and tries it out on a sample of requests for each of these
    /// operations. `guarded` tells whether the policy guards one: then it has a selection.
    ///
    /// # Errors
    /// What is wrong: of syntax and of names everything, of the trial the first.
    pub fn compile(
        text: &str,
        operations: &[Operation],
        guarded: impl Fn(Operation) -> bool,
    ) -> Result<Self, Vec<ConditionFault>> {
        if text.trim().is_empty() {
            return Err(vec![ConditionFault {
                message: "the condition is empty; write one, or leave `when` out for a rule that always holds".into(),
                place: 0..text.len(),
            }]);
        }
        if text.len() > LONGEST_CONDITION {
            return Err(vec![ConditionFault {
                message: format!(
                    "the condition has {} bytes, and at most {LONGEST_CONDITION} are taken; split the rule",
                    text.len()
                ),
                place: 0..text.len(),
            }]);
        }
        // A defect of the parser must not end a guard that only reads its configuration again.
        let parsed = catch_unwind(|| ENVIRONMENT.compile(text)).map_err(|_| {
            vec![ConditionFault {
                message: "the condition cannot be parsed".to_owned(),
                place: 0..text.len(),
            }]
        })?;
        let program = parsed.map_err(|errors| syntax(text, &errors.errors))?;
        let Checked {
            expression,
            patterns,
            places,
            uses,
            steps,
        } = check(text, &program)?;
        let condition = Condition {
            text: text.into(),
            expression: Arc::new(expression),
            patterns: Arc::new(patterns),
            uses: Arc::new(uses),
            steps,
        };
        match trial::run(&condition, operations, guarded) {
            None => Ok(condition),
            Some(failure) => Err(vec![ConditionFault {
                message: failure.message,
                place: failure
                    .at
                    .and_then(|id| places.get(&id).cloned())
                    .unwrap_or(0..text.len()),
            }]),
        }
    }

    /// The expression as it is written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it looks at a variable or at members of it, however that is spelt: `request.path`, `cancel.filters`.
    pub fn uses(&self, variable: &str) -> bool {
        self.uses.iter().any(|used| {
            let behind = used.strip_prefix(variable);
            behind.is_some_and(|behind| behind.is_empty() || behind.starts_with('.'))
        })
    }

    /// Whether it is `true`, and so holds for every request.
    pub fn is_always(&self) -> bool {
        matches!(&self.expression.expr, Expr::Literal(LiteralValue::Boolean(truth)) if *truth.inner())
    }

    /// Whether it holds for a request.
    ///
    /// # Errors
    /// Why it cannot be told. No value of the request stands in it.
    pub(super) fn holds(&self, variables: &Variables) -> Result<bool, String> {
        if variables.filter_values > MOST_FILTER_VALUES {
            return Err(format!(
                "the request has more than {MOST_FILTER_VALUES} values of filters"
            ));
        }
        let too_long =
            |length: usize, names: [&str; 2]| length > LONGEST_TEXT && names.iter().any(|name| self.uses(name));
        if too_long(variables.longest_value, [IDS, FILTERS]) || too_long(variables.longest_of_head, [PATH, METHOD]) {
            return Err(format!("a text of the request has more than {LONGEST_TEXT} bytes"));
        }
        let steps = self.steps.at(variables.longest_list as u64);
        let steps = variables.steps.get().saturating_add(steps);
        if steps > MOST_STEPS_OF_A_REQUEST {
            return Err("the rules would take too long over so many ids or values of filters".to_owned());
        }
        variables.steps.set(steps);
        // The interpreter is not known to panic. Should it, the rule has failed, and not the guard.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.evaluate(&self.expression, variables)));
        match outcome {
            Ok(Ok(holds)) => Ok(holds),
            Ok(Err(Failure::NotBoolean(is))) => Err(not_boolean(&is)),
            Ok(Err(Failure::Error(error))) => Err(reason(&error)),
            Err(_) => Err("the interpreter failed".to_owned()),
        }
    }

    /// Evaluates the condition, or a part of it.
    pub(super) fn evaluate(&self, part: &IdedExpr, variables: &Variables) -> Result<bool, Failure> {
        if self.patterns.is_empty() {
            return truth(part, &variables.context);
        }
        let mut scope = variables.context.new_inner_scope();
        scope.set_variable_resolver(&*self.patterns);
        truth(part, &scope)
    }

    /// The compiled expression.
    pub(super) fn expression(&self) -> &IdedExpr {
        &self.expression
    }
}

fn truth(expression: &IdedExpr, context: &Context<'_, '_>) -> Result<bool, Failure> {
    let value = Value::resolve_val(expression, context).map_err(Failure::Error)?;
    match value.downcast_ref::<CelBool>() {
        Some(holds) => Ok(*holds.inner()),
        None => Err(Failure::NotBoolean(value.get_type().name().to_owned())),
    }
}

/// Why an expression has no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// It is a value of another type.
    NotBoolean(String),
    /// It raised an error.
    Error(ExecutionError),
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({:?})", self.text)
    }
}

pub(super) fn not_boolean(is: &str) -> String {
    format!("the condition is a value of type {is}, and not true or false")
}

/// An error in words, without the values that are in it: they may be anything that a client sent.
pub(super) fn reason(error: &ExecutionError) -> String {
    use ExecutionError as E;
    match error {
        E::NoSuchOverload(overload) => {
            let types: Vec<&str> = overload.argument_types().iter().map(|name| typed(name)).collect();
            format!(
                "`{}` does not take {}",
                written(overload.function()),
                types.join(" and ")
            )
        }
        E::UndeclaredReference(name) => format!("there is no `{name}`"),
        E::NoSuchKey(_) => "there is no such key".to_owned(),
        E::IndexOutOfBounds(_) => "an index is out of bounds".to_owned(),
        E::DivisionByZero(_) | E::RemainderByZero(_) => "a number is divided by zero".to_owned(),
        E::Overflow(..) => "a number is out of range".to_owned(),
        E::ValuesNotComparable(..) => "values of different types are compared".to_owned(),
        E::UnsupportedBinaryOperator(operator, ..) => {
            format!("`{}` is used on values that it does not take", written(operator))
        }
        E::FunctionError { function, .. } => format!("`{function}` does not take this value"),
        E::InvalidArgumentCount { expected, actual } => {
            format!("a function takes {expected} arguments, and {actual} are given")
        }
        _ => "a value is of a type that is not taken there".to_owned(),
    }
}

/// A type as an operator would call it.
fn typed(name: &str) -> &str {
    if name == "null_type" { "null" } else { name }
}

/// An operator as it is written: `_>_` is `>`.
fn written(function: &str) -> &str {
    match function {
        "_[_]" => "[]",
        "_?_:_" => "?:",
        "@in" => "in",
        "add" => "+",
        "sub" => "-",
        "mul" => "*",
        "div" => "/",
        "rem" => "%",
        name => name.trim_matches('_'),
    }
}

/// What the parser says, at the places it says it of.
fn syntax(text: &str, errors: &[ParseError]) -> Vec<ConditionFault> {
    let mut faults: Vec<ConditionFault> = errors
        .iter()
        .map(|error| {
            let at = byte_at(text, error.pos);
            let end = text[at..].chars().next().map_or(at, |next| at + next.len_utf8());
            let said = error.msg.trim_start_matches("Syntax error: ");
            // What could stand there instead is a list of every token.
            let said = said.split(" expecting {").next().unwrap_or(said);
            let said = match said {
                "mismatched input '<EOF>'" => "it ends too early".to_owned(),
                said if said.contains("Recursion limit") => "it nests too deeply".to_owned(),
                said => said.replace("'<EOF>'", "its end"),
            };
            ConditionFault {
                message: format!("the condition is not CEL: {}", said.trim_end_matches(['.', '!'])),
                place: at..end,
            }
        })
        .collect();
    // One slip makes the parser stumble more than once: the first complaint is the one that helps.
    faults.sort_by_key(|fault| fault.place.start);
    faults.truncate(1);
    faults
}

/// The byte at a line and column, both from 1, columns in characters.
fn byte_at(text: &str, (line, column): (isize, isize)) -> usize {
    let nth = |number: isize| usize::try_from(number - 1).unwrap_or(0);
    let before: usize = text.split_inclusive('\n').take(nth(line)).map(str::len).sum();
    let within = text[before..].chars().take(nth(column)).map(char::len_utf8);
    before + within.sum::<usize>()
}
