//! Connections from clients: accepting, timing and draining them; the admin port.

mod activity;
pub mod admin;
mod connection;
mod io;
mod listener;
mod settings;

pub use connection::Connections;
pub use listener::{BindError, Listeners};
pub use settings::{Admin, Listen, Resources};
