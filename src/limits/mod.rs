//! Rate limits: how often, and how many messages.

mod limiter;
mod settings;

pub use limiter::{Charge, Key, Limiter, whole_seconds};
pub use settings::{AppliesTo, Limit, Per, Rate, Unit};
