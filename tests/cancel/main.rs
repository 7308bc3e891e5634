//! Bulk cancels through the real binary: what is refused never reaches the upstream, what goes on arrives unchanged, and
//! each leaves exactly its records.

mod allowed;
mod bodies;
mod denied;
mod monitor;
mod operations;
mod sister;
mod sister_spellings;
mod spellings;
#[path = "../support/mod.rs"]
mod support;

use support::{Answer, Guard, Upstream, request};

/// No limits: these tests are about what the policy says.
const UNLIMITED: &str = "rate_limits: []\n";

const TOKEN: &str = "Authorization: Bearer secret-of-the-tests";

/// The answer to most cancels here.
const CANCELLED: &str = r#"{"cancelled":1}"#;

fn start(yaml: &str) -> (Upstream, Guard) {
    let upstream = Upstream::json(CANCELLED);
    let guard = Guard::start(&upstream.url(), &format!("{UNLIMITED}{yaml}"));
    (upstream, guard)
}

fn delete(guard: &Guard, target: &str) -> Answer {
    request(guard.address, "DELETE", target, &[TOKEN], b"")
}
