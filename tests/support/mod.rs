//! What the black-box tests share: a real guard process, an upstream that records raw bytes, a client that writes them.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each test binary uses its own part"
)]
#![allow(
    clippy::unwrap_used,
    clippy::format_push_string,
    clippy::large_stack_arrays,
    reason = "a test may panic, and takes the short way"
)]

pub mod check;
pub mod client;
pub mod folder;
pub mod gate;
pub mod guard;
pub mod simulator;
pub mod tls;
pub mod upstream;
pub mod wait;

pub use check::{assert_denied, assert_forwarded, redacted, refusal};
pub use client::{Answer, Client, request};
pub use folder::Folder;
pub use gate::Gate;
pub use guard::Guard;
pub use simulator::Simulator;
pub use upstream::{Connection, PATIENCE, RawRequest, Upstream};
