//! Logs and metrics.

mod settings;

pub use settings::{Format, Log};
