//! Connections from clients: accepting, timing and draining them; the admin port.

mod activity;
pub mod admin;
mod client_ip;
mod connection;
mod drain;
mod in_flight;
mod io;
mod listener;
mod settings;
pub mod tls;
mod watch;

pub use client_ip::TrustedProxies;
pub use connection::Connections;
pub use drain::Drain;
pub use listener::{BindError, Listeners};
pub use settings::{Admin, Listen, Resources, Tls};
