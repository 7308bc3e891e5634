//! qstash-guard.
pub mod simulator;
