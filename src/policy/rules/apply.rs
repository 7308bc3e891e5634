//! Rules tried on one request.

use std::borrow::Cow;
use std::cell::OnceCell;

use jiff::Timestamp;

use super::rule::{Action, Rule, RuleName, Rules};
use super::variables::{Facts, Variables};
use crate::policy::bounds::out_of_bounds;
use crate::policy::refusal::{Code, Refusal, Violation};
use crate::policy::settings::{BulkCancel, Mode};

/// What rules said of a request.
#[derive(Debug, Default)]
pub(in crate::policy) struct Applied<'r> {
    /// The rule that decided, and what it does.
    pub(in crate::policy) decided: Option<(RuleName, Effect<'r>)>,
    /// What the first monitored rule that would have refused would have said.
    pub(in crate::policy) rehearsed: Option<Refusal>,
}

/// What a rule that holds does to a request.
#[derive(Debug)]
pub(in crate::policy) enum Effect<'r> {
    /// It refuses, in these words.
    Deny(Cow<'r, str>),
    /// It lets it through.
    Allow,
    /// It holds it against these bounds.
    Limits(&'r BulkCancel),
}

impl Effect<'_> {
    /// What a request violates by it.
    pub(in crate::policy) fn violations(&self, facts: &Facts<'_>) -> Vec<Violation> {
        match self {
            Effect::Deny(message) => vec![Violation::new(Code::DeniedByRule, message.as_ref())],
            Effect::Allow => Vec::new(),
            Effect::Limits(own) => {
                let bounded =
                    |selection| out_of_bounds(own, facts.asked.operation, selection, facts.fills_missing_caps);
                facts.selection.map_or_else(Vec::new, bounded)
            }
        }
    }
}

/// What became of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Its name.
    pub rule: RuleName,
    /// Whether it decides, or only says what it would have done.
    pub mode: Mode,
    /// Whether it held, and why not.
    pub attempt: Attempt,
    /// `deny`, `allow` or `bulk_cancel`.
    pub action: &'static str,
}

/// Whether a rule held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It is for other operations.
    OtherOperation,
    /// It was over at this time.
    Expired(Timestamp),
    /// It is for other callers.
    OtherCaller,
    /// Its `when` does not hold.
    NotNow,
    /// Its `when` failed, for this reason: then it denies. No value of a request stands in it.
    Failed(String),
    /// Everything holds.
    Held,
}

impl Tried {
    /// Whether the rule had a word: it held, or it failed and so denies.
    pub fn matched(&self) -> bool {
        matches!(self.attempt, Attempt::Held | Attempt::Failed(_))
    }

    /// Why it did or did not match, in a few words.
    pub fn why(&self) -> String {
        let does = match (self.mode, self.action) {
            (Mode::Enforce, "deny") => "denies",
            (Mode::Enforce, "allow") => "allows",
            (Mode::Enforce, _) => "sets its own limits",
            (Mode::Monitor, "deny") => "would deny (mode: monitor)",
            (Mode::Monitor, "allow") => "would allow (mode: monitor)",
            (Mode::Monitor, _) => "would set its own limits (mode: monitor)",
        };
        match &self.attempt {
            Attempt::OtherOperation => "it is for other operations".to_owned(),
            Attempt::Expired(at) => format!("it expired at {at}"),
            Attempt::OtherCaller => "it is for other callers".to_owned(),
            Attempt::NotNow => "its `when` is false".to_owned(),
            Attempt::Failed(reason) if self.mode == Mode::Enforce => {
                format!("its `when` failed, so it denies: {reason}")
            }
            Attempt::Failed(reason) => format!("its `when` failed, so it would deny (mode: monitor): {reason}"),
            Attempt::Held => format!("it holds, and {does}"),
        }
    }
}

impl Rules {
    /// Tries the rules that name the operation. With `tried`, what became of each rule up to the one that decides is
    /// noted, also of those that name other operations.
    pub(in crate::policy) fn apply<'r>(&'r self, facts: &Facts<'_>, tried: Option<&mut Vec<Tried>>) -> Applied<'r> {
        let variables = OnceCell::new();
        let mut applied = Applied::default();
        match tried {
            None => {
                for rule in self.of(facts.asked.operation) {
                    if applied.is_decided_by(rule, &rule.attempt(facts, &variables), facts) {
                        break;
                    }
                }
            }
            Some(tried) => {
                for rule in self.iter() {
                    let attempt = rule.attempt(facts, &variables);
                    let decides = applied.is_decided_by(rule, &attempt, facts);
                    tried.push(Tried {
                        rule: rule.name.clone(),
                        mode: rule.mode,
                        attempt,
                        action: rule.action.as_str(),
                    });
                    if decides {
                        break;
                    }
                }
            }
        }
        applied
    }
}

impl Rule {
    fn attempt(&self, facts: &Facts<'_>, variables: &OnceCell<Variables>) -> Attempt {
        let context = facts.asked.context;
        if !self.operations.contains(&facts.asked.operation) {
            return Attempt::OtherOperation;
        }
        if let Some(expires) = self.expires.filter(|_| self.has_expired(context.time)) {
            return Attempt::Expired(expires);
        }
        if !self.is_for_caller(&context.caller.name) {
            return Attempt::OtherCaller;
        }
        let Some(when) = &self.when else { return Attempt::Held };
        match when.holds(variables.get_or_init(|| Variables::of(facts))) {
            Ok(true) => Attempt::Held,
            Ok(false) => Attempt::NotNow,
            Err(reason) => Attempt::Failed(reason),
        }
    }

    fn effect(&self, attempt: &Attempt) -> Option<Effect<'_>> {
        match attempt {
            Attempt::Held => Some(match &self.action {
                Action::Deny(message) => Effect::Deny(Cow::Borrowed(message)),
                Action::Allow => Effect::Allow,
                Action::BulkCancel(own) => Effect::Limits(own),
            }),
            Attempt::Failed(_) => Some(Effect::Deny(Cow::Borrowed(FAILED))),
            _ => None,
        }
    }
}

impl<'r> Applied<'r> {
    /// Takes in what a rule does; whether it decides.
    fn is_decided_by(&mut self, rule: &'r Rule, attempt: &Attempt, facts: &Facts<'_>) -> bool {
        let Some(effect) = rule.effect(attempt) else {
            return false;
        };
        if rule.mode == Mode::Enforce {
            self.decided = Some((rule.name.clone(), effect));
            return true;
        }
        if self.rehearsed.is_none() {
            let refusal = Refusal::of(effect.violations(facts));
            self.rehearsed = refusal.map(|refusal| refusal.by_rule(Some(rule.name.clone())));
        }
        false
    }
}

impl Action {
    /// The key that says it: `deny`, `allow` or `bulk_cancel`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Action::Deny(_) => "deny",
            Action::Allow => "allow",
            Action::BulkCancel(_) => "bulk_cancel",
        }
    }
}

/// What a client is told about a rule that failed; why it did is shown by `explain`.
const FAILED: &str =
    "A rule of the policy failed while it was evaluated, and so denies; tell whoever keeps the policy.";
