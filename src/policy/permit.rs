//! Proof that a request may go on.

use super::refusal::Refusal;
use super::settings::Mode;

/// Proof that the policy let a request through. Forwarding takes one, and only this module's functions make one, so a
/// path that forgets to ask does not compile.
#[derive(Debug)]
pub struct Permit(());

impl Permit {
    /// The permit for a part of what it was given for, where the guard sends a request in several.
    #[must_use]
    pub fn for_part(&self) -> Permit {
        Permit(())
    }
}

/// What the policy says of a request.
#[derive(Debug)]
pub enum Verdict {
    /// It may go on.
    Allow(Permit),
    /// It would have been refused, but the policy only monitors: it goes on, and this is recorded.
    WouldDeny(Permit, Refusal),
    /// It is refused.
    Deny(Refusal),
}

impl Verdict {
    /// Turns what there is to refuse into a verdict: the one place where a permit is made.
    pub(super) fn of(mode: Mode, refusal: Option<Refusal>) -> Self {
        match (refusal, mode) {
            (None, _) => Verdict::Allow(Permit(())),
            (Some(refusal), Mode::Monitor) => Verdict::WouldDeny(Permit(()), refusal),
            (Some(refusal), Mode::Enforce) => Verdict::Deny(refusal),
        }
    }

    /// The verdict with a limit's refusal taken into account, where it allowed so far.
    #[must_use]
    pub fn and(self, mode: Mode, later: Option<Refusal>) -> Self {
        match (self, later) {
            (Verdict::Allow(_), Some(refusal)) if mode == Mode::Enforce => Verdict::Deny(refusal),
            (Verdict::Allow(permit), Some(refusal)) => Verdict::WouldDeny(permit, refusal),
            (verdict, _) => verdict,
        }
    }
}
