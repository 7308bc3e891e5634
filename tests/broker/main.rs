//! Broker mode through the real binary: clients show keys, QStash gets the guard's token, and nobody else ever sees it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod faults;
mod file;
mod http2;
mod leaks;
mod offline;
mod places;
mod refused;
#[path = "../support/mod.rs"]
mod support;

use std::process::{Command, Output};

use qstash_guard::qstash::credential::TokenHash;
use support::upstream::RawRequest;
use support::{Guard, Upstream};

/// The guard's token, with everything that a token may have.
const TOKEN: &str = "eyJVc2VySUQiOiJhYmMifQ+/-._~Zm9vYmFy==";

/// The same in a query.
const ENCODED: &str = "eyJVc2VySUQiOiJhYmMifQ%2B%2F-._~Zm9vYmFy%3D%3D";

/// Billing's key.
const KEY: &str = "qg_LkjHgfDsaPoiUytRewqMnbVcxZ0123456789-_abcde";

/// The key that billing changes to.
const NEXT_KEY: &str = "qg_next_LkjHgfDsaPoiUytRewqMnbVcxZ0123456789ab";

fn hash(key: &str) -> String {
    TokenHash::of(key.as_bytes()).to_hex()
}

/// Broker mode with a token as `credentials` has it, and billing's two keys.
fn broker(token: &str) -> String {
    format!(
        "rate_limits: []\ncredentials: {{mode: broker, {token}}}\ncallers:\n  - {{name: billing, key_sha256: \"{}\"}}\n  \
         - {{name: billing, key_sha256: \"{}\"}}\n",
        hash(KEY),
        hash(NEXT_KEY)
    )
}

fn start(yaml: &str) -> (Upstream, Guard) {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let token = format!("token: \"{TOKEN}\"");
    let guard = Guard::start(&upstream.url(), &format!("{}{yaml}", broker(&token)));
    (upstream, guard)
}

fn bearer(key: &str) -> String {
    format!("Authorization: Bearer {key}")
}

/// Where the guard's token stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Header,
    Pair,
}

/// Where the token stands in what the upstream got: there once, and with it no key and no other credential.
#[track_caller]
fn place(got: &RawRequest) -> Place {
    let text = format!("{}{}", got.head, String::from_utf8_lossy(&got.body));
    for key in [KEY, NEXT_KEY] {
        assert!(!text.contains(key), "a key went on: {text}");
    }
    let shown = text.matches(TOKEN).count() + text.matches(ENCODED).count();
    assert_eq!(shown, 1, "the token, once: {text}");
    let pair = format!("qstash_token={ENCODED}");
    if got.target().ends_with(&pair) {
        assert!(got.header("authorization").is_empty(), "{text}");
        assert_eq!(text.matches("qstash_token").count(), 1, "{text}");
        Place::Pair
    } else {
        assert_eq!(got.header("authorization"), [format!("Bearer {TOKEN}")], "{text}");
        assert!(!text.contains("qstash_token"), "{text}");
        Place::Header
    }
}

/// Runs a command of the binary without an environment of its own.
fn qstash_guard(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qstash-guard"))
        .args(arguments)
        .env_remove("QSTASH_GUARD_CONFIG")
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap()
}

/// What a command says on both streams.
fn said(output: &Output) -> String {
    String::from_utf8([output.stdout.as_slice(), &output.stderr].concat()).unwrap()
}
