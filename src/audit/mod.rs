//! The audit trail: what happened, in an order that cannot be rearranged unseen.
//!
//! One JSON object a line ([`Record`]), each with the hash of the line before it ([`chain`]). [`Trail`] is the handle of
//! the one thread that writes; [`read`] shows and verifies what was written, [`replay`] decides it again. Beside the
//! writer, `keeper` compresses what was rotated, and [`signing`] signs heads of the chain.

pub mod chain;
mod compress;
mod event;
mod file;
mod keeper;
mod names;
pub mod read;
mod record;
pub mod redact;
pub mod replay;
mod rotated;
#[cfg(test)]
mod samples;
mod selection;
mod settings;
pub mod signing;
mod tail;
mod text;
mod trail;
mod writer;

pub use event::{Decision, Event, Outcome};
pub use file::{OpenError, SetAside};
pub use record::Record;
pub use selection::SelectionRecord;
pub use settings::{Durability, Keep, OnFailure, Recorded, Settings, Sink};
pub use trail::{Committed, Observe, Opened, StartFault, Trail, TrailError};
