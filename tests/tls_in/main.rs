//! TLS from clients: handshakes, certificates that are replaced while the guard runs, and callers known by their own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/mod.rs"]
mod support;

mod callers;
mod curl;
mod faults;
mod handshakes;
mod peer;
mod reload;

use std::path::Path;
use std::sync::Arc;

use rcgen::CertificateParams;
use support::tls::{Authority, Issued};
use support::{Folder, Guard};

/// A guard that speaks TLS as `localhost`, and the authority behind its certificate.
struct Secured {
    guard: Guard,
    authority: Authority,
    certificate: Issued,
}

/// The content of a certificate for these host names.
fn hosts(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

/// Puts a certificate and its key where [`TLS`] looks for them.
fn put(folder: &Folder, issued: &Issued) {
    folder.write("tls.crt", &issued.pem);
    folder.write("tls.key", &issued.key_pem);
}

/// Files in the folder of the guard, which it is started in.
const TLS: &str = "certificate: tls.crt, private_key: tls.key";

/// A guard before this upstream, with further keys of `listen.tls` and further sections, or keys of `listen` with two
/// spaces before them.
fn secured(upstream: &str, tls: &str, yaml: &str) -> Secured {
    secured_in(Arc::new(Folder::new()), upstream, tls, yaml)
}

fn secured_in(folder: Arc<Folder>, upstream: &str, tls: &str, yaml: &str) -> Secured {
    let authority = Authority::new("test roots");
    let certificate = authority.issue(&hosts(&["localhost"]));
    put(&folder, &certificate);
    let yaml = format!("listen:\n  tls: {{{TLS}{tls}}}\n{yaml}");
    let guard = Guard::start_in(folder, upstream, &yaml);
    Secured {
        guard,
        authority,
        certificate,
    }
}

/// A file of the folder that a guard was started in.
fn in_folder(guard: &Guard, name: &str) -> std::path::PathBuf {
    Path::new(guard.folder.path()).join(name)
}
