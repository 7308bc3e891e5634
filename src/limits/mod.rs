//! Rate limits: how often, and how many messages.

mod kept;
mod limiter;
mod settings;
mod shared;
pub mod store;

pub use limiter::{Charge, Key, Limiter, whole_seconds};
pub use settings::{AppliesTo, Limit, OnError, Per, Rate, Unit};
pub use store::{Store, StoreSettings};
