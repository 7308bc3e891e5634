//! Certificates that are replaced while the guard runs.

use std::fs::File;
use std::process::Command;

use rustls::pki_types::CertificateDer;

use crate::peer::{Peer, refused, shown};
use crate::support::tls::{Authority, Issued};
use crate::support::wait::until;
use crate::support::{Folder, Gate, Guard, Upstream};
use crate::{Secured, hosts, put, secured, secured_in};

/// What new connections are shown.
fn presented(secured: &Secured) -> CertificateDer<'static> {
    shown(&Peer::of(&secured.authority).connect(secured.guard.address).unwrap())
}

fn another(secured: &Secured) -> Issued {
    secured.authority.issue(&hosts(&["localhost"]))
}

const LOADED: &str = "certificate loaded";
const REFUSED: &str = "the new certificate cannot be used; the one in force stays";

fn said(guard: &Guard, what: &str) -> usize {
    guard.log().matches(what).count()
}

#[test]
fn a_new_certificate_is_shown_and_what_is_in_flight_goes_on() {
    let gate = Gate::default();
    let passing = gate.clone();
    let upstream = Upstream::answering(move |request| {
        if request.target() == "/v2/slow" {
            passing.pass();
        }
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()
    });
    let secured = secured(&upstream.url(), "", "");
    let mut old = Peer::of(&secured.authority).connect(secured.guard.address).unwrap();
    old.send("GET /v2/slow HTTP/1.1\r\nHost: a\r\n\r\n");
    upstream.wait_for(1);
    let new = another(&secured);
    put(&secured.guard.folder, &new);
    until(|| presented(&secured), |shown| *shown == new.der);
    gate.open();
    assert_eq!(old.answer().text(), "ok");
    // The old connection is kept for more.
    assert_eq!(old.request("GET", "/v2/logs", &[], b"").text(), "ok");
    assert_eq!(said(&secured.guard, REFUSED), 0, "{}", secured.guard.log());
}

#[test]
fn a_certificate_without_its_key_waits_for_it() {
    let upstream = Upstream::json("{}");
    let secured = secured(&upstream.url(), "", "");
    let new = another(&secured);
    let folder = &secured.guard.folder;
    folder.write("tls.crt", &new.pem);
    until(|| said(&secured.guard, REFUSED), |times| *times > 0);
    assert_eq!(presented(&secured), secured.certificate.der);
    folder.write("tls.key", &new.key_pem);
    until(|| presented(&secured), |shown| *shown == new.der);
    // A file that is gone is said once, and changes nothing.
    std::fs::remove_file(folder.path().join("tls.key")).unwrap();
    until(|| said(&secured.guard, REFUSED), |times| *times > 1);
    assert_eq!(presented(&secured), new.der);
    assert!(
        secured
            .guard
            .log()
            .contains("listen.tls.private_key tls.key: there is no such file")
    );
    assert!(!secured.guard.log().contains("BEGIN"), "{}", secured.guard.log());
}

#[test]
fn sighup_reads_it_at_once() {
    let upstream = Upstream::json("{}");
    let secured = secured(&upstream.url(), "", "");
    // Nothing has changed, so that a look says nothing.
    secured.guard.signal("HUP");
    until(|| said(&secured.guard, LOADED), |times| *times == 1);
    secured.guard.folder.write("tls.crt", "-----BEGIN CERTIFICATE-----\n");
    secured.guard.signal("HUP");
    until(|| said(&secured.guard, REFUSED), |times| *times == 1);
    assert_eq!(presented(&secured), secured.certificate.der);
}

#[test]
fn roots_of_clients_are_replaced_too() {
    let upstream = Upstream::json("{}");
    let folder = std::sync::Arc::new(Folder::new());
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    folder.write("clients.pem", &before.pem);
    let secured = secured_in(folder, &upstream.url(), ", client_ca: clients.pem", "");
    let address = secured.guard.address;
    let (old, new) = (before.issue(&hosts(&["old"])), after.issue(&hosts(&["new"])));
    let anybody = Peer::of(&secured.authority);
    let mut client = anybody.showing(&old).connect(address).unwrap();
    assert_eq!(client.request("GET", "/v2/logs", &[], b"").status(), 202);
    refused(&anybody.showing(&new), address);
    secured.guard.folder.write("clients.pem", &after.pem);
    until(|| said(&secured.guard, LOADED), |times| *times == 1);
    refused(&anybody.showing(&old), address);
    assert_eq!(client.request("GET", "/v2/logs", &[], b"").status(), 202, "it is open");
    let mut client = anybody.showing(&new).connect(address).unwrap();
    assert_eq!(client.request("GET", "/v2/logs", &[], b"").status(), 202);
    assert_eq!(upstream.requests().len(), 3);
}

#[test]
fn other_files_take_a_restart() {
    let upstream = Upstream::json("{}");
    let secured = secured(&upstream.url(), "", "");
    secured.guard.folder.write("guard.yaml", "listen: {tls: null}\n");
    secured.guard.signal("HUP");
    let detail = secured.guard.wait_for("policy_loaded", 1)[0]["detail"].to_string();
    assert!(detail.contains("takes effect after a restart: listen.tls"), "{detail}");
    assert_eq!(presented(&secured), secured.certificate.der);
}

/// To open a pipe waits for a writer, as a file on a network may wait for its server.
#[test]
fn a_certificate_that_cannot_be_read_to_its_end_holds_nothing_up() {
    let upstream = Upstream::json("{}");
    let secured = secured(&upstream.url(), "", "");
    let (guard, certificate) = (&secured.guard, secured.guard.folder.path().join("tls.crt"));
    std::fs::remove_file(&certificate).unwrap();
    assert!(Command::new("mkfifo").arg(&certificate).status().unwrap().success());
    for times in 1..=2 {
        guard.signal("HUP");
        guard.wait_for("policy_loaded", times);
    }
    assert_eq!(presented(&secured), secured.certificate.der);
    // Another file in its place is taken once whoever waits at the pipe is let go.
    let pipe = guard.folder.path().join("pipe");
    std::fs::rename(&certificate, &pipe).unwrap();
    let new = another(&secured);
    put(&guard.folder, &new);
    // For both ways it is opened without waiting.
    drop(File::options().read(true).write(true).open(&pipe).unwrap());
    until(|| presented(&secured), |shown| *shown == new.der);
}
