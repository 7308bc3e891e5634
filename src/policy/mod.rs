//! What the guard allows. Pure: a request's parts and a [`Policy`] in, a ruling out; no I/O, no async, no clock.

mod bounds;
mod callers;
mod caps;
mod certificate;
mod decide;
mod guarded_cap;
mod judge;
mod nearest;
mod permit;
pub mod refusal;
mod route;
pub mod rules;
mod ruling;
mod settings;
mod wording;

pub use callers::{Caller, Callers, stands_for_unnamed};
pub use caps::{Cap, Overrun, unenforceable};
pub use certificate::{CertificateName, is_of_a_certificate};
pub use decide::{Asked, Context, decide, malformed_selection, not_resolvable};
pub use guarded_cap::{CapEnforcedBy, Caps, GuardedCap, OnMissingCap};
pub use judge::{Judgement, Request, judge};
pub use permit::{Permit, Verdict};
pub use refusal::{Code, Refusal, Violation};
pub use route::{Route, Routed, route};
pub use rules::{RuleName, Rules, Tried};
pub use ruling::Ruling;
pub use settings::{BulkCancel, MAX_MESSAGE_IDS, Mode, Operations, OperationsFault, Policy, Treatment};
