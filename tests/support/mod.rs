//! What the black-box tests share: a real guard process, an upstream that records raw bytes, a client that writes them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each test binary uses its own part"
)]

pub mod client;
pub mod folder;
pub mod guard;
pub mod tls;
pub mod upstream;
pub mod wait;

pub use client::{Answer, Client, request};
pub use folder::Folder;
pub use guard::Guard;
pub use upstream::{Connection, PATIENCE, RawRequest, Upstream};
