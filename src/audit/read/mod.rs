//! Reading a trail: which files it has, what they say, whether they can be trusted.
//!
//! Everything is read as a stream; no file content makes it fail otherwise than with a sentence.

mod check;
mod entry;
mod files;
mod lines;
pub mod show;
mod table;
mod verify;

pub use entry::Entry;
pub use files::{Chain, Inputs, ReadError, inputs};
pub use verify::{Break, ChainReport, Open, Report, Verdict, verify};

#[cfg(test)]
mod tests;
