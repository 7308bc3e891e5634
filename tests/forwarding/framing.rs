//! Bodies and their framing: made anew, never ambiguous.

use crate::support::{Client, Guard, RawRequest, Upstream};

/// The content of a chunked body.
fn content(request: &RawRequest) -> Vec<u8> {
    let mut bytes = request.body.as_slice();
    let mut content = Vec::new();
    loop {
        let end = bytes.windows(2).position(|window| window == b"\r\n").unwrap();
        let size = std::str::from_utf8(&bytes[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        bytes = &bytes[end + 2..];
        content.extend_from_slice(&bytes[..size]);
        if size == 0 {
            return content;
        }
        bytes = &bytes[size + 2..];
    }
}

#[test]
fn a_chunked_body_passes_whatever_the_method() {
    for method in ["POST", "GET", "DELETE", "HEAD"] {
        let upstream = Upstream::answering(|_| b"HTTP/1.1 204 No Content\r\n\r\n".to_vec());
        let guard = Guard::start(&upstream.url(), "");
        let mut client = Client::connect(guard.address);
        client.send(format!(
            "{method} /v2/queues/q HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n"
        ));
        assert_eq!(client.answer().status(), 204);
        let request = upstream.request();
        assert_eq!(request.header("transfer-encoding"), ["chunked"], "{method}");
        assert_eq!(request.header("content-length").len(), 0);
        assert_eq!(content(&request), b"abc0123456789");
    }
}

#[test]
fn an_empty_chunked_body_stays_one() {
    for method in ["POST", "GET"] {
        let upstream = Upstream::json("{}");
        let guard = Guard::start(&upstream.url(), "");
        let mut client = Client::connect(guard.address);
        for _ in 0..2 {
            client.send(format!(
                "{method} /v2/queues/q HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ));
            assert_eq!(client.answer().status(), 202);
        }
        let requests = upstream.requests();
        assert_eq!(requests.len(), 2);
        for request in requests {
            assert_eq!(request.header("transfer-encoding"), ["chunked"], "{method}");
            assert_eq!(content(&request), b"");
        }
    }
}

#[test]
fn a_length_stays_a_length() {
    for (method, length, body) in [("GET", "3", "abc"), ("POST", "0", ""), ("DELETE", "2", "{}")] {
        let upstream = Upstream::json("{}");
        let guard = Guard::start(&upstream.url(), "");
        let mut client = Client::connect(guard.address);
        client.send(format!(
            "{method} /v2/queues/q HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        assert_eq!(client.answer().status(), 202);
        let request = upstream.request();
        assert_eq!(request.header("content-length"), [length], "{method}");
        assert_eq!(request.header("transfer-encoding").len(), 0);
        assert_eq!(request.body, body.as_bytes());
    }
}

#[test]
fn announced_trailers_of_a_request_pass() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    client.send(
        "POST /v2/publish/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n",
    );
    assert_eq!(client.answer().status(), 202);
    let request = upstream.request();
    assert_eq!(request.header("trailer"), ["X-Sum"]);
    let body = String::from_utf8(request.body).unwrap().to_ascii_lowercase();
    assert!(body.ends_with("\r\n0\r\nx-sum: 7\r\n\r\n"), "{body:?}");
}

#[test]
fn with_both_framings_the_chunks_count_and_the_connection_ends() {
    for headers in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    ] {
        let upstream = Upstream::json("{}");
        let guard = Guard::start(&upstream.url(), "");
        let mut client = Client::connect(guard.address);
        // Read by its length, a second request would begin in the middle of the chunks.
        client.send(format!(
            "POST /v2/publish/a HTTP/1.1\r\nHost: a\r\n{headers}\r\n\
             5\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        ));
        assert_eq!(client.answer().status(), 202);
        assert!(client.is_closed(), "{headers:?}");
        let request = upstream.request();
        assert_eq!(content(&request), b"hello");
        assert_eq!(request.header("content-length").len(), 0);
        assert_eq!(request.header("transfer-encoding"), ["chunked"]);
    }
}

#[test]
fn other_transfer_codings_are_refused() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    for coding in [
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked, chunked",
    ] {
        let mut client = Client::connect(guard.address);
        client.send(format!(
            "POST /v2/publish/a HTTP/1.1\r\nHost: a\r\n{coding}\r\n\r\n0\r\n\r\n"
        ));
        let answer = client.answer();
        assert_eq!(
            (answer.status(), answer.code().as_str()),
            (400, "malformed_request"),
            "{coding}"
        );
    }
    for coding in [
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked, gzip",
    ] {
        let mut client = Client::connect(guard.address);
        client.send(format!(
            "POST /v2/publish/a HTTP/1.1\r\nHost: a\r\n{coding}\r\n\r\n0\r\n\r\n"
        ));
        assert_eq!(client.answer().status(), 400, "{coding}");
        assert!(client.is_closed());
    }
    upstream.assert_untouched();
}

#[test]
fn http_1_0_is_served_and_forwarded_as_1_1() {
    let upstream =
        Upstream::answering(|_| b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".to_vec());
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    client.send("POST /v2/publish/a HTTP/1.0\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    let answer = client.answer();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
    // HTTP/1.0 has no chunks: the end of the connection ends the body.
    assert_eq!(answer.header("transfer-encoding").len(), 0);
    assert_eq!(upstream.request().line(), "POST /v2/publish/a HTTP/1.1");
    assert_eq!(upstream.request().body, b"hi");
}

#[test]
fn an_http_1_0_client_may_keep_its_connection() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    for _ in 0..2 {
        client.send("GET /v2/logs HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(client.answer().text(), "{}");
    }
    client.send("GET /v2/logs HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().text(), "{}");
    assert!(client.is_closed());
}

#[test]
fn a_client_that_waits_for_100_continue_gets_it() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    client.send("POST /v2/publish/a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    let mut interim = [0; 25];
    std::io::Read::read_exact(&mut client.stream, &mut interim).unwrap();
    assert_eq!(String::from_utf8_lossy(&interim), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hi");
    assert_eq!(client.answer().status(), 202);
    assert_eq!(upstream.request().body, b"hi");
}

#[test]
fn a_refused_client_is_not_told_to_continue() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "policy: {operations: {messages.publish: deny}}");
    let mut client = Client::connect(guard.address);
    client.send("POST /v2/publish/a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    let mut start = [0; 12];
    std::io::Read::read_exact(&mut client.stream, &mut start).unwrap();
    assert_eq!(String::from_utf8_lossy(&start), "HTTP/1.1 403");
    upstream.assert_untouched();
}

#[test]
fn fields_of_a_connection_are_no_trailers() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    client.send(
        "POST /v2/publish/a HTTP/1.1\r\nHost: a\r\nTrailer: Connection, Upgrade, X-A\r\nTransfer-Encoding: chunked\r\n\r\n\
         1\r\na\r\n0\r\nConnection: close\r\nUpgrade: h2c\r\nX-A: 1\r\n\r\n",
    );
    assert_eq!(client.answer().status(), 202);
    assert_eq!(
        String::from_utf8(upstream.request().body).unwrap(),
        "1\r\na\r\n0\r\nx-a: 1\r\n\r\n"
    );
}
