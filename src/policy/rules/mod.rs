//! Rules: who may do what, and when, beyond the policy's own bounds. Tried in order; the first that holds decides.

mod apply;
mod check;
mod condition;
mod cost;
mod functions;
mod names;
mod patterns;
mod places;
mod rule;
mod scope;
mod trial;
mod variables;

pub(super) use apply::{Applied, Effect};
pub use apply::{Attempt, Tried};
pub use condition::{Condition, ConditionFault, LONGEST_CONDITION};
pub use rule::{Action, Rule, RuleName, Rules};
pub(super) use variables::Facts;
