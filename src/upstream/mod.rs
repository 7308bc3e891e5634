//! The one upstream: connections to it, and what is sent over them.

mod settings;

pub use settings::{Origin, Scheme, Settings};
