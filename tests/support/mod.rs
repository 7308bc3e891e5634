//! What the black-box tests share: a real guard process, an upstream that records raw bytes, a client that writes them.
#![expect(
    clippy::allow_attributes,
    reason = "whether something is used differs from binary to binary"
)]
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each test binary uses its own part"
)]

pub mod check;
pub mod client;
pub mod folder;
pub mod gate;
pub mod guard;
pub mod upstream;

pub use check::{assert_denied, assert_forwarded, redacted, refusal};
pub use client::{Answer, Client, request};
pub use folder::Folder;
pub use gate::Gate;
pub use guard::Guard;
pub use upstream::{Connection, PATIENCE, RawRequest, Upstream};
