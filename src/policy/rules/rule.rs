//! Rules as they are configured.

use std::sync::Arc;

use jiff::Timestamp;

use super::condition::Condition;
use super::variables::PATH;
use crate::policy::settings::{BulkCancel, Mode, glob};
use crate::qstash::operation::Operation;

/// The name of a rule, as answers, records and logs hold it.
pub type RuleName = Arc<str>;

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, unique among rules.
    pub name: RuleName,
    /// Whom it is for: names or globs (`*` stands for any text) of callers; `None` for everybody.
    pub callers: Option<Vec<String>>,
    /// The operations that it is for.
    pub operations: Vec<Operation>,
    /// What must hold besides; `None` where nothing must.
    pub when: Option<Condition>,
    /// What it does.
    pub action: Action,
    /// From then on it is skipped.
    pub expires: Option<Timestamp>,
    /// Under [`Mode::Monitor`] it decides nothing: what it would have refused is recorded.
    pub mode: Mode,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It refuses, in these words.
    Deny(String),
    /// It lets the request through, whatever bounds a bulk cancel.
    Allow,
    /// It sets bounds of its own, complete: what the rule leaves out is the policy's.
    BulkCancel(Box<BulkCancel>),
}

impl Rule {
    /// Whether it is for a caller of this name.
    pub fn is_for_caller(&self, name: &str) -> bool {
        self.callers
            .as_ref()
            .is_none_or(|callers| callers.iter().any(|pattern| glob(pattern, name)))
    }

    /// Whether a pattern of `callers` matches a caller's name.
    pub fn matches_caller(pattern: &str, name: &str) -> bool {
        glob(pattern, name)
    }

    /// Whether it may refuse a request: by its action, or because its condition fails.
    fn may_refuse(&self) -> bool {
        self.mode == Mode::Enforce && (matches!(self.action, Action::Deny(_)) || self.when.is_some())
    }

    /// Whether it decides by the path: then its operations are read from a path in one way only.
    fn reads_path(&self) -> bool {
        self.mode == Mode::Enforce && self.when.as_ref().is_some_and(|when| when.uses(PATH))
    }

    /// Whether it is over at this time.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// All rules in order, and which of them name which operation: an operation that none names costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    in_order: Vec<Rule>,
    /// By [`Operation::index`], the places of the rules that name it; empty without rules.
    by_operation: Vec<Vec<usize>>,
    /// By [`Operation::index`], whether one of those may refuse; empty without rules.
    refusing: Vec<bool>,
    /// By [`Operation::index`], whether one of those looks at the path; empty without rules.
    reading_path: Vec<bool>,
}

impl Rules {
    /// Rules in this order.
    pub fn new(rules: Vec<Rule>) -> Self {
        if rules.is_empty() {
            return Rules::default();
        }
        let naming = |operation: &Operation| {
            let named = rules.iter().enumerate();
            let named = named.filter(|(_, rule)| rule.operations.contains(operation));
            named.map(|(place, _)| place).collect()
        };
        let any = |holds: fn(&Rule) -> bool| -> Vec<bool> {
            let holds_for = |operation: &Operation| {
                let mut naming = rules.iter().filter(|rule| rule.operations.contains(operation));
                naming.any(&holds)
            };
            Operation::ALL.iter().map(holds_for).collect()
        };
        Rules {
            refusing: any(Rule::may_refuse),
            reading_path: any(Rule::reads_path),
            by_operation: Operation::ALL.iter().map(naming).collect(),
            in_order: rules,
        }
    }

    /// Whether any rule names the operation.
    pub fn concern(&self, operation: Operation) -> bool {
        !self.places(operation).is_empty()
    }

    /// Whether a rule may refuse the operation: then no second reading of a path may lead to it.
    pub fn may_refuse(&self, operation: Operation) -> bool {
        self.refusing.get(operation.index()).copied().unwrap_or_default()
    }

    /// Whether a rule decides the operation by its path: then an odd path to it is none that a rule can be held against.
    pub fn look_at_path(&self, operation: Operation) -> bool {
        self.reading_path.get(operation.index()).copied().unwrap_or_default()
    }

    /// The rules that name an operation, in order.
    pub fn of(&self, operation: Operation) -> impl Iterator<Item = &Rule> {
        self.places(operation).iter().map(|place| &self.in_order[*place])
    }

    /// Every rule in order.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.in_order.iter()
    }

    fn places(&self, operation: Operation) -> &[usize] {
        self.by_operation.get(operation.index()).map_or(&[], Vec::as_slice)
    }
}
