//! Logs and metrics.

pub mod logs;
mod metrics;
mod settings;

pub use metrics::Metrics;
pub use settings::{Format, Log};
