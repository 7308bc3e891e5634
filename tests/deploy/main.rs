//! What lies in deploy/ works: configurations, the image's command line, queries of the dashboard and the alert rules.
//! `deploy/check` lints the rest.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod collected;
mod container;
mod gateway;
mod policies;
mod promql;
mod queries;
mod shown;
#[path = "../support/mod.rs"]
mod support;

/// A file below deploy/.
fn deployed(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
