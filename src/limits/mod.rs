//! Rate limits: how often, and how many messages.

mod settings;

pub use settings::{AppliesTo, Limit, Per, Rate, Unit};
