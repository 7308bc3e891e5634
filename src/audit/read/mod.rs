//! Reading a trail: which files it has, what they say, whether they can be trusted.
//!
//! Everything is read as a stream; no file content makes it fail otherwise than with a sentence.

mod check;
mod checkpoints;
mod entry;
mod files;
mod lines;
pub mod plot;
mod records;
mod report;
mod settled;
pub mod show;
pub mod stats;
mod table;
mod verify;

pub use checkpoints::Checkpoints;
pub use entry::{Broken, Entry};
pub use files::{Chain, Inputs, ReadError, inputs};
pub(super) use records::Records;
pub use settled::settled;
pub use show::ShowError;
pub(super) use table::plain;
pub use verify::{Break, ChainReport, Open, Report, Verdict, verify, verify_signed};

#[cfg(test)]
mod tests;
