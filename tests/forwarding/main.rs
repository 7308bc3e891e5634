//! What goes through the guard, and how: bytes in, bytes out, connections, and what happens when one side fails.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod connections;
mod failures;
mod framing;
mod headers;
mod http2;
mod malformed;
mod prefix;
mod proxies;
mod streaming;
mod targets;
mod timeouts;
mod tls;
