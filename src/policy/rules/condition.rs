//! The `when` of a rule: an expression in CEL, compiled once.

use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cel::common::types::CelBool;
use cel::{ExecutionError, IdedExpr, Value};

use super::variables::{ENVIRONMENT, Variables};

/// The longest expression, in bytes.
pub const LONGEST_CONDITION: usize = 2048;

/// A condition that was compiled, its names checked and tried out.
#[derive(Clone)]
pub struct Condition {
    text: Arc<str>,
    expression: Arc<IdedExpr>,
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
    /// Compiles an expression.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn compile(text: &str) -> Result<Self, Vec<ConditionFault>> {
        let program = ENVIRONMENT.compile(text).map_err(|errors| {
            vec![ConditionFault {
                message: errors.to_string(),
                place: 0..text.len(),
            }]
        })?;
        Ok(Condition {
            text: text.into(),
            expression: Arc::new(program.expression().clone()),
        })
    }

    /// The expression as it is written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it holds for a request.
    ///
    /// # Errors
    /// Why it cannot be told. No value of the request stands in it.
    pub(super) fn holds(&self, variables: &Variables) -> Result<bool, String> {
        // The interpreter is not known to panic. Should it, the rule has failed, and not the guard.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            match Value::resolve_val(&self.expression, &variables.context) {
                Ok(value) => match value.downcast_ref::<CelBool>() {
                    Some(holds) => Ok(*holds.inner()),
                    None => Err(format!("it is a {} and not true or false", value.get_type().name())),
                },
                Err(error) => Err(reason(&error)),
            }
        }));
        outcome.unwrap_or_else(|_| Err("the interpreter failed".to_owned()))
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({:?})", self.text)
    }
}

/// An error without the values that are in it: they may be anything that a client sent.
pub(super) fn reason(error: &ExecutionError) -> String {
    error.to_string()
}
