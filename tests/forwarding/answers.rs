//! Answers: status, headers and body as the upstream wrote them.

use crate::support::{Answer, Client, Guard, Upstream, request};

/// What a client gets that asks `GET /v2/logs` of an upstream with this answer.
fn through(answer: &'static [u8], method: &str, headers: &[&str]) -> Answer {
    let upstream = Upstream::with(move |mut connection| {
        if connection.read_request().is_some() {
            std::io::Write::write_all(&mut connection.stream, answer).unwrap();
        }
    });
    let guard = Guard::start(&upstream.url(), "");
    request(guard.address, method, "/v2/logs", headers, b"")
}

fn lines(answer: &Answer) -> Vec<&str> {
    let mut lines: Vec<_> = answer.head.trim_end().split("\r\n").collect();
    lines[1..].sort_unstable();
    lines
}

#[test]
fn status_reason_and_headers_arrive_as_written_and_nothing_is_added() {
    let answer = through(
        b"HTTP/1.1 299 Odd But Fine\r\nX-CamelCase: a\r\nx-lower: b\r\nX-UPPER: \x80\xff\r\nset-cookie: a=1\r\n\
          Set-Cookie: b=2\r\nContent-length: 2\r\n\r\nok",
        "GET",
        &[],
    );
    let lossy = String::from_utf8_lossy(b"X-UPPER: \x80\xff").into_owned();
    assert_eq!(
        lines(&answer),
        [
            "HTTP/1.1 299 Odd But Fine",
            "Content-length: 2",
            "Set-Cookie: b=2",
            "X-CamelCase: a",
            &lossy,
            "set-cookie: a=1",
            "x-lower: b",
        ]
    );
    assert_eq!(answer.header("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(answer.text(), "ok");
}

#[test]
fn date_server_and_via_of_the_upstream_stay() {
    let answer = through(
        b"HTTP/1.1 200 OK\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\nServer: QStash\r\nVia: 1.1 fly\r\nContent-Length: 0\r\n\r\n",
        "GET",
        &[],
    );
    assert_eq!(
        lines(&answer),
        [
            "HTTP/1.1 200 OK",
            "Content-Length: 0",
            "Date: Tue, 15 Nov 1994 08:12:31 GMT",
            "Server: QStash",
            "Via: 1.1 fly"
        ]
    );
}

#[test]
fn hop_by_hop_fields_of_an_answer_stop_here() {
    let answer = through(
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\n\
          Proxy-Connection: x\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n",
        "GET",
        &[],
    );
    assert_eq!(lines(&answer), ["HTTP/1.1 200 OK", "Content-Length: 0", "X-Kept: 1"]);
}

#[test]
fn a_redirect_is_the_clients_to_follow() {
    let upstream = Upstream::answering(|_| {
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/else\r\nContent-Length: 0\r\n\r\n".to_vec()
    });
    let guard = Guard::start(&upstream.url(), "");
    let answer = request(guard.address, "GET", "/v2/logs", &[], b"");
    assert_eq!(answer.status(), 307);
    assert_eq!(answer.header("location"), ["http://127.0.0.1:1/else"]);
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn answers_without_a_body_keep_their_headers() {
    let answer = through(b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n", "GET", &[]);
    assert_eq!(lines(&answer), ["HTTP/1.1 204 No Content", "X-A: 1"]);
    let answer = through(b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n", "GET", &[]);
    assert_eq!(lines(&answer), ["HTTP/1.1 304 Not Modified", "ETag: \"x\""]);
}

#[test]
fn an_answer_to_head_keeps_the_length_it_speaks_of() {
    let answer = through(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", "HEAD", &[]);
    assert_eq!(lines(&answer), ["HTTP/1.1 200 OK", "Content-Length: 1234"]);
    let answer = through(b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n", "HEAD", &[]);
    assert_eq!(lines(&answer), ["HTTP/1.1 200 OK", "X-A: 1"]);
}

#[test]
fn a_connection_goes_on_after_answers_without_a_body() {
    let upstream = Upstream::answering(|request| match request.line().split(' ').next().unwrap() {
        "HEAD" => b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n".to_vec(),
        "PUT" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        _ => b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n".to_vec(),
    });
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    for (method, status) in [("HEAD", 200), ("PUT", 204), ("GET", 304), ("HEAD", 200)] {
        client.send(format!("{method} /v2/logs HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(client.answer_without_body().status(), status);
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn a_compressed_answer_is_not_touched() {
    let answer = through(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 7\r\n\r\n\x1f\x8b\x08\x00\xff\x00\x01",
        "GET",
        &["Accept-Encoding: gzip"],
    );
    assert_eq!(answer.header("content-encoding"), ["gzip"]);
    assert_eq!(answer.body, b"\x1f\x8b\x08\x00\xff\x00\x01");
}

#[test]
fn an_answer_that_ends_with_its_connection_ends_cleanly() {
    let answer = through(b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nuntil the end", "GET", &[]);
    assert_eq!(answer.text(), "until the end");
    // Framed anew, so that the client's connection lives on.
    assert_eq!(answer.header("transfer-encoding"), ["chunked"]);
}

#[test]
fn an_answer_in_http_1_0_arrives_in_the_guards_version() {
    let answer = through(b"HTTP/1.0 200 OK\r\nX-A: 1\r\n\r\nold", "GET", &[]);
    assert_eq!(answer.head.split("\r\n").next(), Some("HTTP/1.1 200 OK"));
    assert_eq!(answer.text(), "old");
}

const WITH_TRAILERS: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
    5\r\nhello\r\n3;ext=1\r\n \r\n\r\n0\r\nX-Sum: 42\r\n\r\n";

#[test]
fn trailers_reach_a_client_that_asked_for_them() {
    let answer = through(WITH_TRAILERS, "GET", &["TE: trailers", "Connection: TE"]);
    assert_eq!(answer.body, b"hello \r\n");
    assert_eq!(answer.header("trailer"), ["X-Sum"]);
    assert_eq!(answer.trailers.len(), 1);
    assert!(answer.trailers[0].eq_ignore_ascii_case("X-Sum: 42"), "{answer:?}");
}

#[test]
fn trailers_are_kept_from_a_client_that_did_not_ask() {
    let answer = through(WITH_TRAILERS, "GET", &[]);
    assert_eq!(answer.body, b"hello \r\n");
    assert_eq!(answer.trailers, Vec::<String>::new());
}

#[test]
fn interim_answers_do_not_confuse_the_final_one() {
    let answer = through(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "GET",
        &[],
    );
    assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
}

#[test]
fn switching_protocols_that_nobody_asked_for_is_a_failed_answer() {
    let answer = through(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nraw",
        "GET",
        &[],
    );
    assert_eq!((answer.status(), answer.code().as_str()), (502, "upstream_failed"));
}
