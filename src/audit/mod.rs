//! The audit trail: what happened, in an order that cannot be rearranged unseen.
//!
//! One JSON object a line ([`Record`]), each with the hash of the line before it ([`chain`]). [`Trail`] is the handle of
//! the one thread that writes; [`read`] shows and verifies what was written, [`replay`] decides it again.

pub mod chain;
mod event;
mod file;
mod names;
pub mod read;
mod record;
pub mod redact;
pub mod replay;
#[cfg(test)]
mod samples;
mod selection;
mod settings;
mod tail;
mod trail;
mod writer;

pub use event::{Decision, Event, Outcome};
pub use file::{OpenError, SetAside};
pub use record::Record;
pub use selection::SelectionRecord;
pub use settings::{Durability, Keep, OnFailure, Recorded, Settings, Sink};
pub use trail::{Committed, Observe, Opened, StartFault, Trail, TrailError};
