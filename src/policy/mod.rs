//! What the guard allows. Pure: a request's parts and a [`Policy`] in, a verdict out; no I/O, no async, no clock.

mod decide;
mod judge;
mod permit;
pub mod refusal;
mod route;
mod rules;

pub use decide::{bulk_cancel, malformed_selection};
pub use judge::{Judgement, Request, judge};
pub use permit::{Permit, Verdict};
pub use refusal::{Code, Refusal, Violation};
pub use route::{Route, Routed, route};
pub use rules::{BulkCancel, MAX_MESSAGE_IDS, Mode, Operations, OperationsFault, Policy, Treatment};
