//! The audit trail: what happened, in an order that cannot be rearranged unseen.

mod settings;

pub use settings::{Durability, Keep, OnFailure, Recorded, Settings, Sink};
