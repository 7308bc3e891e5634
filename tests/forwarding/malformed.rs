//! What is no HTTP, or never becomes any: answered barely or not at all, counted, and not recorded.

use crate::support::wait::MALFORMED;
use crate::support::{Client, Guard, Upstream};

/// The connection is at its end without an answer.
#[track_caller]
fn assert_closed_without_a_word(client: &mut Client) {
    let answer = client.read_answer(true);
    assert!(answer.is_none(), "{answer:?}");
}

#[test]
fn a_head_that_never_completes_is_closed() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "resources: {header_read_timeout: 300ms}");
    let starts = [
        "G",
        "GET /v2/logs HTTP/1.1\r\n",
        "GET /v2/logs HTTP/1.1\r\nHost: a\r\nX-A: ",
        // The start of HTTP/2's preface.
        "PRI * HTTP/2.0\r\n\r\nSM",
    ];
    for (before, start) in starts.iter().enumerate() {
        let mut client = Client::connect(guard.address);
        client.send(start);
        assert_closed_without_a_word(&mut client);
        guard.wait_for_metric(MALFORMED, before as u64 + 1);
    }
    // Behind an answered request too.
    let mut client = Client::connect(guard.address);
    assert_eq!(client.request("GET", "/v2/logs", &[], b"").status(), 202);
    client.send("GET /v2/lo");
    assert_closed_without_a_word(&mut client);
    guard.wait_for_metric(MALFORMED, 5);
    assert_eq!(guard.records().len(), 1, "only `started`: {:#?}", guard.records());
}

#[test]
fn a_head_that_trickles_in_is_closed_all_the_same() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "resources: {header_read_timeout: 300ms}");
    let mut client = Client::connect(guard.address);
    client.send("GET /v2/logs HTTP/1.1\r\nX-A: ");
    // Each byte would start the time again, were it counted from the last one.
    crate::support::wait::until(
        || std::io::Write::write_all(&mut client.stream, b"a").is_err(),
        |closed| *closed,
    );
    guard.wait_for_metric(MALFORMED, 1);
}

#[test]
fn a_silent_client_is_closed_and_not_counted() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(
        &upstream.url(),
        "listen: {idle_timeout: 300ms}\nresources: {header_read_timeout: 60s}",
    );
    assert_closed_without_a_word(&mut Client::connect(guard.address));
    let mut client = Client::connect(guard.address);
    assert_eq!(client.request("GET", "/v2/logs", &[], b"").status(), 202);
    assert!(client.is_closed());
    assert_eq!(guard.metric_line(MALFORMED), 0);
}

#[test]
fn a_head_over_the_bound_is_431() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "resources: {max_header_bytes: 16KiB}");
    let mut client = Client::connect(guard.address);
    let fits = format!("X-Long: {}", "x".repeat(15 * 1024));
    assert_eq!(client.request("GET", "/v2/logs", &[&fits], b"").status(), 202);
    let mut client = Client::connect(guard.address);
    client.send(format!(
        "GET /v2/logs HTTP/1.1\r\nHost: a\r\nX-Long: {}",
        "x".repeat(17 * 1024)
    ));
    let answer = client.answer();
    assert_bare(&answer.head, "431");
    assert!(client.is_closed());
    guard.wait_for_metric(MALFORMED, 1);
    assert_eq!((guard.records().len(), upstream.requests().len()), (1, 1));
}

/// A status and nothing that tells of a guard.
#[track_caller]
fn assert_bare(head: &str, status: &str) {
    let mut lines = head.trim_end().split("\r\n");
    assert!(
        lines.next().unwrap().starts_with(&format!("HTTP/1.1 {status} ")),
        "{head}"
    );
    for line in lines {
        let line = line.to_ascii_lowercase();
        assert!(
            line == "connection: close" || line == "content-length: 0",
            "{line:?} in {head:?}"
        );
    }
}

#[test]
fn what_cannot_be_parsed_gets_a_bare_400() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let nonsense: [&[u8]; 14] = [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /v2/logs\r\n\r\n",
        b"GET /v2/logs HTTP/1.2\r\nHost: a\r\n\r\n",
        b"GET /v2/logs HTTP/3.0\r\nHost: a\r\n\r\n",
        b"GET v2/logs HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /v2/logs HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET /v2/logs HTTP/1.1\r\nHost: a\r\nNo colon\r\n\r\n",
        b"GET /v2/logs HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n folded\r\n\r\n",
        b"GET /v2/logs HTTP/1.1\r\nHost: a\r\nX-A: \x00\r\n\r\n",
        b"POST /v2/publish/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /v2/publish/a HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na",
    ];
    for (before, bytes) in nonsense.iter().enumerate() {
        let mut client = Client::connect(guard.address);
        client.send(bytes);
        let shown = String::from_utf8_lossy(bytes).into_owned();
        let answer = client
            .read_answer(true)
            .unwrap_or_else(|| panic!("no answer to {shown:?}"));
        assert_eq!(answer.status(), 400, "{shown:?}: {answer:?}");
        assert_bare(&answer.head, "400");
        assert!(client.is_closed(), "{shown:?}");
        guard.wait_for_metric(MALFORMED, before as u64 + 1);
    }
    upstream.assert_untouched();
    assert_eq!(guard.records().len(), 1, "only `started`: {:#?}", guard.records());
}

#[test]
fn a_target_that_is_far_too_long_is_414() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "resources: {max_header_bytes: 1MiB}");
    let mut client = Client::connect(guard.address);
    client.send(format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(70_000)));
    assert_bare(&client.answer().head, "414");
    guard.wait_for_metric(MALFORMED, 1);
    upstream.assert_untouched();
}
