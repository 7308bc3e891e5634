//! TLS to the upstream: who is believed, and that nothing is said to anybody else.

use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::support::tls::{Authority, TlsUpstream};
use crate::support::{Folder, Guard, request, wait};

/// A guard that trusts this authority beside the usual ones.
fn guard_trusting(authority: &Authority, url: &str) -> Guard {
    let folder = Arc::new(Folder::new());
    let file = folder.write("ca.pem", &authority.pem);
    let yaml = format!("upstream: {{ca_file: {}}}", file.display());
    Guard::start_in(folder, url, &yaml)
}

#[test]
fn an_upstream_behind_tls_is_asked_by_its_name() {
    let authority = Authority::new("test roots");
    let upstream = authority.upstream("localhost", 2100);
    let guard = guard_trusting(&authority, &upstream.url());
    for _ in 0..2 {
        let answer = request(guard.address, "GET", "/v2/logs?a=1", &[], b"");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
    }
    let seen = upstream.seen();
    assert!(
        seen.names.iter().all(|name| name.as_deref() == Some("localhost")),
        "{seen:?}"
    );
    let port = upstream.address.port();
    let one = format!("GET /v2/logs?a=1 HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    assert_eq!(seen.plain, one.repeat(2));
}

/// The guard must not say a word of HTTP to this upstream.
fn assert_not_believed(guard: &Guard, upstream: &TlsUpstream) {
    let answer = request(
        guard.address,
        "POST",
        "/v2/publish/a",
        &["Authorization: Bearer secret"],
        b"body",
    );
    assert_eq!((answer.status(), answer.code().as_str()), (502, "upstream_unreachable"));
    let answer = request(guard.address, "DELETE", "/v2/messages?label=a&count=5", &[], b"");
    assert_eq!((answer.status(), answer.code().as_str()), (502, "upstream_unreachable"));
    assert_eq!(guard.wait_for("outcome", 1)[0]["result"], "unsent");
    let seen = wait::until(|| upstream.seen(), |seen| seen.failed > 1);
    assert_eq!(seen.plain, "");
}

#[test]
fn a_certificate_of_another_authority_is_not_believed() {
    let upstream = Authority::new("test roots").upstream("localhost", 2100);
    let guard = guard_trusting(&Authority::new("other roots"), &upstream.url());
    assert_not_believed(&guard, &upstream);
    // Without ca_file as little.
    let upstream = Authority::new("test roots").upstream("localhost", 2100);
    assert_not_believed(&Guard::start(&upstream.url(), ""), &upstream);
}

#[test]
fn a_certificate_for_another_name_is_not_believed() {
    let authority = Authority::new("test roots");
    let upstream = authority.upstream("qstash.upstash.io", 2100);
    assert_not_believed(&guard_trusting(&authority, &upstream.url()), &upstream);
}

#[test]
fn an_expired_certificate_is_not_believed() {
    let authority = Authority::new("test roots");
    let upstream = authority.upstream("localhost", 2020);
    assert_not_believed(&guard_trusting(&authority, &upstream.url()), &upstream);
}

#[test]
fn an_upstream_without_tls_is_not_believed() {
    let upstream = crate::support::Upstream::answering(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec());
    let guard = Guard::start(
        &format!("https://localhost:{}", upstream.address.port()),
        "upstream: {connect_timeout: 500ms}",
    );
    let answer = request(guard.address, "GET", "/v2/logs", &["Authorization: Bearer secret"], b"");
    assert_eq!((answer.status(), answer.code().as_str()), (502, "upstream_unreachable"));
    assert!(!String::from_utf8_lossy(&upstream.bytes()).contains("HTTP/1.1"));
}

#[test]
fn a_ca_file_that_cannot_be_used_is_an_error_at_the_start() {
    let broken = "-----BEGIN CERTIFICATE-----\nbm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";
    let torn = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
    for (content, said) in [
        (None, "No such file"),
        (Some(""), "holds no certificate"),
        (Some("just text\n"), "holds no certificate"),
        (Some(broken), "invalid peer certificate"),
        (Some(torn), "base64"),
    ] {
        let folder = Folder::new();
        let file = folder.path().join("roots.pem");
        if let Some(content) = content {
            folder.write("roots.pem", content);
        }
        let yaml = format!("upstream: {{ca_file: {}}}", file.display());
        let mut command: Command = Guard::command(&folder, "https://localhost:1", &yaml);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{content:?}: {text}");
        assert!(
            text.contains("upstream.ca_file") && text.contains("roots.pem"),
            "{content:?}: {text}"
        );
        assert!(text.contains(said), "{content:?}: {text}");
        assert!(!folder.path().join("audit").exists(), "nothing was started");
    }
}
