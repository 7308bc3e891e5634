//! Credentials through the real binary: a query token moves byte-exactly, or is refused, and no token is ever found
//! where it does not belong.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::format_collect,
    clippy::naive_bytecount,
    clippy::needless_for_each,
    reason = "a test may panic, and takes the short way"
)]

mod leaks;
mod moves;
mod refused;
#[path = "../support/mod.rs"]
mod support;

use sha2::{Digest, Sha256};
use support::{Guard, Upstream};

/// A token as QStash gives them: base64 of JSON, with padding.
const TOKEN: &str = "eyJVc2VySUQiOiJhYmMiLCJQYXNzd29yZCI6IjAxMjMifQ==";

fn start(yaml: &str) -> (Upstream, Guard) {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let guard = Guard::start(&upstream.url(), &format!("rate_limits: []\n{yaml}"));
    (upstream, guard)
}

/// The caller of records that show this token.
fn caller(token: &str) -> String {
    let digest: Vec<String> = Sha256::digest(token)
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("token:{}", digest.concat())
}

/// Every byte as `%` and two lower-case digits.
fn percent_encoded(text: &str) -> String {
    let bytes: Vec<String> = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    bytes.concat()
}
