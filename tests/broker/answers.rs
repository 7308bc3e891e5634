//! An upstream that shows what it was sent does not show it to clients.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::{Guard, Upstream, request};
use crate::{ENCODED, KEY, TOKEN, bearer, broker};

/// A guard before an upstream that answers with this head and body; `$T` is the target that it got, `$A` its Authorization.
fn quoting(head: &'static str, body: &'static str, gzip: bool) -> (Upstream, Guard) {
    let upstream = Upstream::answering(move |got| {
        let authorization = got.header("authorization").first().copied().unwrap_or_default();
        let fill = |text: &str| text.replace("$T", got.target()).replace("$A", authorization);
        let mut body = fill(body).into_bytes();
        if gzip {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&body).unwrap();
            body = encoder.finish().unwrap();
        }
        let mut answer = format!("HTTP/1.1 {}Content-Length: {}\r\n\r\n", fill(head), body.len()).into_bytes();
        answer.extend_from_slice(&body);
        answer
    });
    let guard = Guard::start(&upstream.url(), &broker(&format!("token: \"{TOKEN}\"")));
    (upstream, guard)
}

#[test]
fn a_redirect_and_an_error_do_not_show_the_token() {
    for (head, body, gzip) in [
        (
            "301 Moved Permanently\r\nLocation: $T\r\nX-Kept: 1\r\n",
            "<a href=\"$T\">moved</a>",
            false,
        ),
        ("308 Permanent Redirect\r\nLocation: https://e.com$T\r\n", "", false),
        (
            "400 Bad Request\r\nX-Echo: $A\r\n",
            "{\"error\":\"no such thing: $T $A\"}",
            false,
        ),
        (
            "500 Oops\r\nContent-Encoding: gzip\r\n",
            "{\"error\":\"no such thing: $T $A\"}",
            true,
        ),
        ("202 Accepted\r\nX-Echo: $T\r\nX-Other: $A\r\n", "{}", false),
    ] {
        let (upstream, guard) = quoting(head, body, gzip);
        for (method, target) in [
            ("POST", "/v2/publish/https://e.com?x=1"),
            ("DELETE", "/v2/messages?label=a&count=5"),
            ("GET", "/v2/keys"),
        ] {
            let answer = request(guard.address, method, target, &[&bearer(KEY)], b"");
            let status: u16 = head[..3].parse().unwrap();
            assert_eq!(answer.status(), status, "{answer:?}");
            let text = format!("{}{}", answer.head, answer.text());
            assert!(!text.contains(TOKEN) && !text.contains(ENCODED), "{text}");
            if head.contains("X-Kept") {
                assert_eq!(answer.header("x-kept"), ["1"]);
            }
            if status == 400 {
                let error = answer.json()["error"].as_str().unwrap().to_owned();
                // A cancel's or a listing's target holds no token, but this body quotes the header too.
                assert!(error.contains("left out"), "{error}");
                assert_eq!(answer.header("content-type"), ["application/json"]);
            }
        }
        assert!(String::from_utf8_lossy(&upstream.bytes()).contains(ENCODED));
        let (_, log) = guard.stop();
        assert!(!log.contains(TOKEN) && !log.contains(ENCODED), "{log}");
    }
}

#[test]
fn other_answers_keep_every_byte() {
    let body = "{\"error\":\"quota exceeded for qstash_token=***\"}";
    let (_upstream, guard) = quoting("429 Too Many Requests\r\nX-A: 1\r\nX-A: 2\r\n", body, false);
    let answer = request(guard.address, "POST", "/v2/publish/https://e.com", &[&bearer(KEY)], b"");
    assert_eq!((answer.status(), answer.text()), (429, body.to_owned()));
    assert_eq!(answer.header("x-a"), ["1", "2"]);
    assert_eq!(answer.header("content-length"), [body.len().to_string()]);
    // A long one is not held back whole.
    let long: &'static str = Box::leak("no such thing. ".repeat(100_000).into_boxed_str());
    let (_upstream, guard) = quoting("503 Busy\r\n", long, false);
    let answer = request(guard.address, "POST", "/v2/publish/https://e.com", &[&bearer(KEY)], b"");
    assert_eq!((answer.status(), answer.text() == long), (503, true));
}

#[test]
fn an_error_that_breaks_off_is_answered_for() {
    let upstream = Upstream::with(|mut connection| {
        connection.read_request();
        let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\n{\"error\"";
        connection.stream.write_all(answer).unwrap();
    });
    let guard = Guard::start(&upstream.url(), &broker(&format!("token: \"{TOKEN}\"")));
    let answer = request(guard.address, "POST", "/v2/publish/https://e.com", &[&bearer(KEY)], b"");
    crate::support::check::refusal(&answer, 502, &["upstream_failed"]);
}

/// A guard before an upstream whose whole answer this makes of the target that it got.
fn answering(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> (Upstream, Guard) {
    let upstream = Upstream::answering(move |got| answer(got.target()));
    let guard = Guard::start(&upstream.url(), &broker(&format!("token: \"{TOKEN}\"")));
    (upstream, guard)
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_stands_around_a_body_does_not_show_it() {
    for status in ["200 OK", "400 Bad Request"] {
        let (upstream, guard) = answering(move |target| {
            format!(
                "HTTP/1.1 {status} {target}\r\nTransfer-Encoding: chunked\r\nTrailer: X-Target, X-Sum\r\n\r\n1\r\nx\r\n0\r\n\
                 X-Target: {target}\r\nX-Sum: 1\r\n\r\n"
            )
            .into_bytes()
        });
        let headers = [&*bearer(KEY), "TE: trailers"];
        let answer = request(guard.address, "POST", "/v2/publish/https://e.com", &headers, b"");
        assert!(upstream.request().target().contains(ENCODED));
        let expected = (status[..3].parse().unwrap(), "x".to_owned());
        assert_eq!((answer.status(), answer.text()), expected);
        let trailers: Vec<String> = answer.trailers.iter().map(|line| line.to_lowercase()).collect();
        assert_eq!(trailers, ["x-target: ***", "x-sum: 1"], "{answer:?}");
        assert!(!answer.head.contains(ENCODED), "{}", answer.head);
    }
}

#[test]
fn an_error_in_a_coding_that_is_not_read_is_left_out() {
    for (codings, cut) in [
        ("Content-Encoding: identity, gzip\r\n", 0),
        ("Content-Encoding: identity\r\nContent-Encoding: gzip\r\n", 0),
        ("Content-Encoding: deflate\r\n", 0),
        ("Content-Encoding: compress\r\n", 0),
        ("Content-Encoding: gzip\r\n", 4),
    ] {
        let (_upstream, guard) = answering(move |target| {
            let mut body = gzip(target);
            body.truncate(body.len() - cut);
            let head = format!("HTTP/1.1 400 Bad\r\n{codings}Content-Length: {}\r\n\r\n", body.len());
            [head.into_bytes(), body].concat()
        });
        let answer = request(guard.address, "POST", "/v2/publish/https://e.com", &[&bearer(KEY)], b"");
        assert_eq!(answer.status(), 400, "{answer:?}");
        assert!(answer.header("content-encoding").is_empty(), "{answer:?}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains("Accept-Encoding"), "{codings}: {error}");
    }
}

#[test]
fn a_coded_error_without_it_passes_as_it_is() {
    for (framing, body) in [
        ("Content-Length: 22", gzip("{}")),
        ("Transfer-Encoding: chunked", b"0\r\n\r\n".to_vec()),
    ] {
        let sent = body.clone();
        let (_upstream, guard) = answering(move |_| {
            let head = format!("HTTP/1.1 404 No\r\nContent-Encoding: gzip\r\n{framing}\r\n\r\n");
            [head.into_bytes(), sent.clone()].concat()
        });
        let answer = request(guard.address, "GET", "/v2/keys", &[&bearer(KEY)], b"");
        let expected = if framing.contains("chunked") { Vec::new() } else { body };
        assert_eq!(
            (answer.status(), answer.header("content-encoding")),
            (404, vec!["gzip"])
        );
        assert_eq!(answer.body, expected);
    }
}

#[test]
fn a_success_that_quotes_it_is_masked_as_it_passes() {
    for chunk in [1, 7, 1000] {
        let (_upstream, guard) = answering(move |target| {
            let text = format!("{{\"url\":\"{target}\",\"token\":\"{TOKEN}\"}}eyJVc2Vy");
            let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for part in text.as_bytes().chunks(chunk) {
                answer.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                answer.extend_from_slice(part);
                answer.extend_from_slice(b"\r\n");
            }
            answer.extend_from_slice(b"0\r\n\r\n");
            answer
        });
        let answer = request(guard.address, "POST", "/v2/publish/https://e.com", &[&bearer(KEY)], b"");
        let (pair, token) = ("*".repeat(ENCODED.len()), "*".repeat(TOKEN.len()));
        let expected =
            format!("{{\"url\":\"/v2/publish/https://e.com?qstash_token={pair}\",\"token\":\"{token}\"}}eyJVc2Vy");
        assert_eq!((answer.status(), answer.text()), (200, expected));
    }
    let (_upstream, guard) = quoting("200 OK\r\n", "$T", false);
    let answer = request(guard.address, "POST", "/v2/publish/https://e.com", &[&bearer(KEY)], b"");
    let length = "/v2/publish/https://e.com?qstash_token=".len() + ENCODED.len();
    assert_eq!(answer.header("content-length"), [length.to_string()]);
    assert_eq!(answer.body.len(), length);
    assert!(!answer.text().contains(ENCODED), "{answer:?}");
}
