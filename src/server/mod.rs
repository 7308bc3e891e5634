//! Connections from clients: accepting, timing and draining them; the admin port.

mod settings;

pub use settings::{Admin, Listen, Resources};
