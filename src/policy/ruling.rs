//! The policy's word on one request.

use super::guarded_cap::GuardedCap;
use super::permit::Verdict;
use super::refusal::Refusal;
use super::rules::RuleName;
use crate::qstash::selection::Kind;

/// What is decided about a request, limits on rates left out, and what decided.
#[derive(Debug)]
pub struct Ruling {
    /// Whether it may go on.
    pub verdict: Verdict,
    /// The kind of a guarded request's selection, under the limits that it was held against.
    pub kind: Option<Kind>,
    /// The cap that the guard itself enforces, where it does. If the cancel is allowed, the request does not go on: what
    /// it selects is listed, and cancelled by ids.
    pub cap: Option<GuardedCap>,
    /// The rule that decided, if one did: also where it let the request through.
    pub rule: Option<RuleName>,
    /// What the first rule of `mode: monitor` that would have refused would have said. It decides nothing.
    pub rehearsed: Option<Refusal>,
}

impl Ruling {
    /// A verdict that no rule had a part in.
    pub fn without_rules(verdict: Verdict) -> Self {
        Ruling {
            verdict,
            kind: None,
            cap: None,
            rule: None,
            rehearsed: None,
        }
    }
}
