//! A ruling that lets a request through, and what of it is recorded.

use super::exchange::{Reply, note_refusal};
use crate::audit::{Decision, Record};
use crate::policy::{Permit, Refusal, RuleName, Ruling, Verdict};

/// A request that may go on.
pub(super) struct Permitted {
    /// That it may.
    pub(super) permit: Permit,
    /// What its records say.
    pub(super) noted: Noted,
    /// Whether limits were charged for it: not for what `policy.mode: monitor` alone lets through.
    pub(super) charged: bool,
}

/// What records and metrics say of a request that goes on.
pub(super) struct Noted {
    /// The rule that let it through.
    rule: Option<RuleName>,
    /// What would have been refused: by the policy under `mode: monitor`, else by a rule of that mode.
    pub(super) would_deny: Option<Refusal>,
}

impl Permitted {
    /// Takes a ruling apart.
    ///
    /// # Errors
    /// The refusal, where it is one.
    pub(super) fn of(ruling: Ruling) -> Result<Self, Refusal> {
        let (permit, would_deny, charged) = match ruling.verdict {
            Verdict::Allow(permit) => (permit, ruling.rehearsed, true),
            Verdict::WouldDeny(permit, refusal) => (permit, Some(refusal), false),
            Verdict::Deny(refusal) => return Err(refusal),
        };
        Ok(Permitted {
            permit,
            noted: Noted {
                rule: ruling.rule,
                would_deny,
            },
            charged,
        })
    }
}

impl Noted {
    /// Notes it in a record of the request.
    pub(super) fn note_in(&self, record: &mut Record) {
        record.rule = self.rule.as_ref().map(ToString::to_string);
        record.decision = Some(Decision::Allow);
        if let Some(refusal) = &self.would_deny {
            record.decision = Some(Decision::WouldDeny);
            note_refusal(record, refusal);
        }
    }

    /// Notes it on the answer, for metrics and logs.
    pub(super) fn note_on(self, reply: &mut Reply) {
        reply.rule = self.rule;
        if let Some(refusal) = self.would_deny {
            reply.decision = Decision::WouldDeny;
            reply.rule = refusal.rule().cloned();
            reply.refusal = Some(Box::new(refusal));
        }
    }
}
