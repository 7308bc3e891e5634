//! What is agreed upon, and what becomes of those who agree upon nothing.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use crate::peer::{Peer, refused, shown};
use crate::secured;
use crate::support::wait::{MALFORMED, until};
use crate::support::{Client, PATIENCE, Upstream};

/// A request over HTTP/2, whatever was agreed upon.
fn over_http2(peer: &Peer<'_>, address: SocketAddr, target: &str) -> (u16, String) {
    let client = async {
        let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let tls = TlsConnector::from(peer.config()).connect(name, tcp).await.unwrap();
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get(format!("https://localhost{target}"))
            .body(Empty::<Bytes>::new())
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async { tokio::time::timeout(PATIENCE, client).await.expect("in time") })
}

#[test]
fn both_versions_of_http_are_spoken_with_and_without_alpn() {
    let upstream = Upstream::json(r#"{"ok":true}"#);
    let secured = secured(&upstream.url(), "", "");
    let (guard, peer) = (&secured.guard, Peer::of(&secured.authority));
    for (number, speaks) in [&[][..], &["http/1.1"], &["h2", "http/1.1"]].into_iter().enumerate() {
        let peer = peer.speaking(speaks);
        let agreed = if speaks.contains(&"h2") {
            let answer = over_http2(&peer, guard.address, &format!("/v2/logs?a={number}"));
            assert_eq!(answer, (202, r#"{"ok":true}"#.to_owned()));
            Some(&b"h2"[..])
        } else {
            let mut client = peer.connect(guard.address).unwrap();
            let answer = client.request("GET", &format!("/v2/logs?a={number}"), &[], b"");
            assert_eq!((answer.status(), answer.text().as_str()), (202, r#"{"ok":true}"#));
            assert_eq!(shown(&client), secured.certificate.der);
            speaks.first().map(|name| name.as_bytes())
        };
        let client = peer.connect(guard.address).unwrap();
        assert_eq!(client.stream.conn.alpn_protocol(), agreed);
    }
    // Prior knowledge.
    assert_eq!(over_http2(&peer, guard.address, "/v2/logs?a=3").0, 202);
    let targets: Vec<_> = upstream.requests().iter().map(|r| r.target().to_owned()).collect();
    assert_eq!(
        targets,
        ["/v2/logs?a=0", "/v2/logs?a=1", "/v2/logs?a=2", "/v2/logs?a=3"]
    );
    assert_eq!(guard.metric_line(MALFORMED), 0);
}

#[test]
fn tls_1_2_is_spoken_too() {
    let upstream = Upstream::json("{}");
    let secured = secured(&upstream.url(), "", "");
    let peer = Peer {
        versions: &[&rustls::version::TLS12],
        ..Peer::of(&secured.authority)
    };
    let mut client = peer.connect(secured.guard.address).unwrap();
    // The connection is kept.
    for _ in 0..2 {
        assert_eq!(client.request("GET", "/v2/logs", &[], b"").status(), 202);
    }
}

#[test]
fn large_bodies_pass_both_ways() {
    let upstream = Upstream::with(|mut connection| {
        while let Some(request) = connection.read_request() {
            let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len()).into_bytes();
            answer.extend(request.body);
            connection.stream.write_all(&answer).unwrap();
        }
    });
    let secured = secured(&upstream.url(), "", "");
    let body: Vec<u8> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let mut client = Peer::of(&secured.authority).connect(secured.guard.address).unwrap();
    let answer = client.request("POST", "/v2/publish/a", &[], &body);
    assert!(answer.status() == 200 && answer.body == body);
}

#[test]
fn who_speaks_none_of_the_protocols_is_refused() {
    let upstream = Upstream::json("{}");
    let secured = secured(&upstream.url(), "", "");
    let peer = Peer::of(&secured.authority).speaking(&["http/0.9"]);
    let alert = refused(&peer, secured.guard.address);
    assert!(alert.contains("NoApplicationProtocol"), "{alert}");
    secured.guard.wait_for_metric(MALFORMED, 1);
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn http_1_1_where_http_2_was_agreed_upon_is_no_request() {
    let upstream = Upstream::json("{}");
    let secured = secured(&upstream.url(), "", "");
    let peer = Peer::of(&secured.authority).speaking(&["h2"]);
    let mut client = peer.connect(secured.guard.address).unwrap();
    client.send("DELETE /v2/messages?label=a&count=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut answer = Vec::new();
    let _ = client.stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
    secured.guard.wait_for_metric(MALFORMED, 1);
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn plain_http_is_told_that_tls_is_spoken() {
    let upstream = Upstream::json("{}");
    let secured = secured(&upstream.url(), "", "");
    for (number, body) in [&b""[..], &[b'x'; 10_000]].into_iter().enumerate() {
        let mut client = Client::connect(secured.guard.address);
        let answer = client.request("DELETE", "/v2/messages?label=a&count=1", &[], body);
        assert_eq!(answer.status(), 400);
        assert_eq!(answer.text(), "This port speaks TLS: ask it with https://");
        assert!(client.is_closed());
        drop(client);
        secured.guard.wait_for_metric(MALFORMED, number as u64 + 1);
    }
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn what_is_no_handshake_is_closed() {
    let upstream = Upstream::json("{}");
    let secured = secured(&upstream.url(), "", "log: {level: debug}");
    let mut client = Client::connect(secured.guard.address);
    client.send(b"\x16\x03\x01\x00\x05Bearer s3cr3t-token");
    let mut answer = Vec::new();
    client.stream.read_to_end(&mut answer).unwrap();
    // An alert (21) at most.
    assert!(matches!(answer.as_slice(), [] | [21, ..]), "{answer:?}");
    drop(client);
    secured.guard.wait_for_metric(MALFORMED, 1);
    // Who comes and goes has said nothing wrong.
    let mut client = Client::connect(secured.guard.address);
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert!(client.is_closed());
    until(
        || secured.guard.metric_line("qstash_guard_connections"),
        |open| *open == 0,
    );
    assert_eq!(secured.guard.metric_line(MALFORMED), 1);
    let (_, log) = secured.guard.stop();
    assert!(log.contains("a TLS handshake failed"), "{log}");
    assert!(!log.contains("s3cr3t"), "{log}");
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn a_handshake_that_stands_still_is_closed_as_a_head_is() {
    let upstream = Upstream::json("{}");
    let secured = secured(&upstream.url(), "", "resources: {header_read_timeout: 1s}");
    let mut client = Client::connect(secured.guard.address);
    client.send(b"\x16\x03\x01\x02\x00\x01");
    assert!(client.is_closed());
    secured.guard.wait_for_metric(MALFORMED, 1);
    // Behind the handshake the time begins anew, with the first byte of a head.
    let mut client = Peer::of(&secured.authority).connect(secured.guard.address).unwrap();
    client.send("GET /v2/logs HTTP/1.1\r\n");
    assert!(client.is_closed());
    secured.guard.wait_for_metric(MALFORMED, 2);
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn a_connection_that_says_nothing_is_idle() {
    let upstream = Upstream::json("{}");
    let secured = secured(&upstream.url(), "", "  idle_timeout: 1s");
    let (guard, peer) = (&secured.guard, Peer::of(&secured.authority));
    let mut silent = Client::connect(guard.address);
    let mut agreed = peer.connect(guard.address).unwrap();
    assert!(silent.is_closed() && agreed.is_closed());
    let mut client = peer.connect(guard.address).unwrap();
    assert_eq!(client.request("GET", "/v2/logs", &[], b"").status(), 202);
    assert!(client.is_closed());
    assert_eq!(guard.metric_line(MALFORMED), 0);
}

#[test]
fn a_client_that_reads_nothing_is_closed() {
    let upstream = Upstream::with(|mut connection| {
        connection.read_request();
        let _ = connection
            .stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = [b"2000\r\n".as_slice(), &[b'x'; 0x2000], b"\r\n"].concat();
        while connection.stream.write_all(&chunk).is_ok() {}
    });
    let secured = secured(&upstream.url(), "", "resources: {body_idle_timeout: 300ms}");
    let mut client = Peer::of(&secured.authority).connect(secured.guard.address).unwrap();
    client.send("GET /v2/logs HTTP/1.1\r\nHost: a\r\n\r\n");
    upstream.wait_for(1);
    until(
        || secured.guard.metric_line("qstash_guard_connections"),
        |open| *open == 0,
    );
}

#[test]
fn a_handshake_counts_as_a_connection() {
    let upstream = Upstream::json("{}");
    let secured = secured(&upstream.url(), "", "resources: {max_connections: 1}");
    let mut first = Client::connect(secured.guard.address);
    first.send(b"\x16\x03\x01\x02\x00\x01");
    secured.guard.wait_for_metric("qstash_guard_connections", 1);
    let waiting = std::net::TcpStream::connect(secured.guard.address).unwrap();
    waiting.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut plain = Client::on(waiting);
    plain.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let silence = plain.stream.read(&mut [0; 1]).unwrap_err();
    assert!(
        matches!(silence.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{silence}"
    );
    drop(first);
    plain.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(plain.answer().status(), 400);
}

#[test]
fn at_shutdown_what_is_asked_is_answered_and_said_goodbye_to() {
    let gate = crate::support::Gate::default();
    let passing = gate.clone();
    let upstream = Upstream::answering(move |request| {
        if request.target() == "/v2/logs" {
            passing.pass();
        }
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()
    });
    let secured = secured(&upstream.url(), "", "");
    let peer = Peer::of(&secured.authority);
    let mut silent = peer.connect(secured.guard.address).unwrap();
    let mut idle = peer.connect(secured.guard.address).unwrap();
    assert_eq!(idle.request("GET", "/v2/keys", &[], b"").status(), 200);
    let mut asking = peer.connect(secured.guard.address).unwrap();
    asking.send("GET /v2/logs HTTP/1.1\r\nHost: a\r\n\r\n");
    upstream.wait_for(2);
    secured.guard.signal("TERM");
    assert!(silent.is_closed());
    // The end of TLS itself, not of TCP alone.
    assert_eq!(idle.stream.read(&mut [0; 1]).unwrap(), 0);
    gate.open();
    assert_eq!(asking.answer().text(), "ok");
    assert_eq!(asking.stream.read(&mut [0; 1]).unwrap(), 0);
    assert!(secured.guard.ended().0.success());
}
