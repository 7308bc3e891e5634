//! Request headers: what stays, what goes, and that nothing comes.

use crate::support::{Client, Guard, Upstream};

fn sorted(lines: &[&str]) -> Vec<String> {
    let mut lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
    lines.sort();
    lines
}

#[test]
fn end_to_end_headers_arrive_as_written_and_nothing_is_added() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    client.send(
        "POST /v2/publish/https://example.com HTTP/1.1\r\n\
         HOST: guard.test\r\n\
         Upstash-Forward-X-One: 1\r\n\
         UPSTASH-METHOD: PUT\r\n\
         upstash-forward-lower: a,  b\r\n\
         aUTHORIZATION: Bearer t\r\n\
         Accept-Encoding: gzip, br\r\n\
         User-Agent: node/22 @upstash\r\n\
         X-Forwarded-For: 10.0.0.1\r\n\
         Via: 1.1 proxy\r\n\
         Forwarded: for=10.0.0.1\r\n\
         Date: Tue, 15 Nov 1994 08:12:31 GMT\r\n\
         Cookie: a=1\r\n\
         Cookie: b=2\r\n\
         X-Empty:\r\n\
         Content-TYPE: text/plain\r\n\
         Content-Length: 2\r\n\r\nhi",
    );
    assert_eq!(client.answer().status(), 202);
    let request = upstream.request();
    let host = format!("HOST: {}", upstream.address);
    assert_eq!(
        sorted(&request.headers()),
        sorted(&[
            &host,
            "Upstash-Forward-X-One: 1",
            "UPSTASH-METHOD: PUT",
            "upstash-forward-lower: a,  b",
            "aUTHORIZATION: Bearer t",
            "Accept-Encoding: gzip, br",
            "User-Agent: node/22 @upstash",
            "X-Forwarded-For: 10.0.0.1",
            "Via: 1.1 proxy",
            "Forwarded: for=10.0.0.1",
            "Date: Tue, 15 Nov 1994 08:12:31 GMT",
            "Cookie: a=1",
            "Cookie: b=2",
            "X-Empty:",
            "Content-TYPE: text/plain",
            "Content-Length: 2",
        ])
    );
    assert_eq!(request.body, b"hi");
}

#[test]
fn a_bare_request_stays_bare() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    client.send("GET /v2/logs HTTP/1.1\r\nhost: guard.test\r\n\r\n");
    assert_eq!(client.answer().status(), 202);
    assert_eq!(upstream.request().headers(), [format!("host: {}", upstream.address)]);
}

#[test]
fn duplicates_keep_their_order_and_each_its_spelling() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    client.send("GET /v2/logs HTTP/1.1\r\nHost: guard.test\r\nX-A: 3\r\nx-b: 1\r\nx-A: 1\r\nX-a: 2\r\nX-B: 1\r\n\r\n");
    assert_eq!(client.answer().status(), 202);
    let request = upstream.request();
    let named = |name: &str| -> Vec<&str> {
        request
            .headers()
            .into_iter()
            .filter(|line| line.to_ascii_lowercase().starts_with(name))
            .collect()
    };
    assert_eq!(named("x-a:"), ["X-A: 3", "x-A: 1", "X-a: 2"]);
    assert_eq!(named("x-b:"), ["x-b: 1", "X-B: 1"]);
}

#[test]
fn value_bytes_that_are_no_text_arrive_too() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    client.send(b"GET /v2/logs HTTP/1.1\r\nHost: guard.test\r\nX-Bytes: \x80\xff\xe9 caf\xc3\xa9\tx\r\n\r\n");
    assert_eq!(client.answer().status(), 202);
    let bytes = upstream.bytes();
    let line = b"\r\nX-Bytes: \x80\xff\xe9 caf\xc3\xa9\tx\r\n";
    assert!(bytes.windows(line.len()).any(|window| window == line), "{bytes:?}");
}

#[test]
fn fields_of_the_connection_stop_here() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    client.send(
        "GET /v2/logs HTTP/1.1\r\nHost: guard.test\r\n\
         Connection: keep-alive, X-One ,x-TWO\r\n\
         Connection: x-three\r\n\
         X-One: 1\r\nX-Two: 2\r\nx-three: 3\r\nX-Four: 4\r\n\
         TE: trailers\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\n\r\n",
    );
    assert_eq!(client.answer().status(), 202);
    let host = format!("Host: {}", upstream.address);
    assert_eq!(sorted(&upstream.request().headers()), sorted(&[&host, "X-Four: 4"]));
}

#[test]
fn an_upgrade_is_answered_like_any_request() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    for _ in 0..2 {
        client.send(
            "GET /v2/logs HTTP/1.1\r\nHost: guard.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        );
        assert_eq!(client.answer().status(), 202);
    }
    for request in upstream.requests() {
        assert_eq!(request.header("upgrade").len() + request.header("connection").len(), 0);
        assert_eq!(request.header("sec-websocket-key").len(), 1);
    }
}

#[test]
fn connection_cannot_take_the_framing_or_the_host_away() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    client.send(
        "POST /v2/publish/a HTTP/1.1\r\nHost: guard.test\r\nConnection: host, content-length, transfer-encoding\r\n\
         Content-Length: 5\r\n\r\nhello",
    );
    assert_eq!(client.answer().status(), 202);
    let request = upstream.request();
    assert_eq!(request.body, b"hello");
    assert_eq!(request.header("host"), [upstream.address.to_string()]);
}

#[test]
fn fields_keep_their_order_whatever_goes_between_them() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    client.send(
        "GET /v2/logs?qstash_token=t HTTP/1.1\r\nX-Z: 1\r\nKeep-Alive: 5\r\nhost: a\r\nX-A: 2\r\nTE: trailers\r\n\
         x-z: 3\r\nX-M: 4\r\nConnection: X-Gone\r\nX-Gone: 5\r\nX-B: 6\r\n\r\n",
    );
    assert_eq!(client.answer().status(), 202);
    let request = upstream.request();
    let names: Vec<_> = request
        .headers()
        .iter()
        .map(|line| line.split(':').next().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["X-Z", "host", "X-A", "x-z", "X-M", "X-B", "authorization"]);
}

#[test]
fn a_head_may_have_many_fields_and_not_too_many() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let fields = |count: usize| {
        let fields: Vec<_> = (0..count).map(|at| format!("X-{at}: {at}\r\n")).collect();
        fields.concat()
    };
    let mut client = Client::connect(guard.address);
    client.send(format!("GET /v2/logs HTTP/1.1\r\nHost: a\r\n{}\r\n", fields(255)));
    assert_eq!(client.answer().status(), 202);
    assert_eq!(upstream.request().header("x-254"), ["254"]);
    client.send(format!("GET /v2/logs HTTP/1.1\r\nHost: a\r\n{}\r\n", fields(256)));
    assert_eq!(client.answer().status(), 431);
}
