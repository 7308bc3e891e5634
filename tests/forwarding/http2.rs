//! HTTP/2 with prior knowledge from clients, HTTP/1.1 to the upstream.

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::{Barrier, mpsc};

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::http::{HeaderMap, HeaderName, Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::support::wait::{MALFORMED, until};
use crate::support::{Client, Guard, PATIENCE, Upstream};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Runs a client; what it waits for must come.
fn run<T>(client: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async { tokio::time::timeout(PATIENCE, client).await.expect("in time") })
}

async fn connect(address: SocketAddr) -> SendRequest<Body> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

fn empty() -> Body {
    Empty::new().boxed_unsync()
}

fn whole(bytes: &'static str) -> Body {
    Full::from(bytes).boxed_unsync()
}

/// A body whose length is not said.
fn parts(parts: &'static [&'static str], trailers: Option<HeaderMap>) -> Body {
    let frames: Vec<_> = parts
        .iter()
        .map(|part| Frame::data(Bytes::from_static(part.as_bytes())))
        .chain(trailers.map(Frame::trailers))
        .map(Ok)
        .collect();
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}

fn get(target: &str) -> Request<Body> {
    Request::get(format!("http://guard.test{target}"))
        .body(empty())
        .unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_request_becomes_http_1_1() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let target = "/v2/publish/https://example.com//a/../b?x=%2f";
    let response = run(async {
        let request = Request::post(format!("http://guard.test{target}"))
            .header("Upstash-Forward-X", "1")
            .header("x-twice", "b")
            .header("x-twice", "a")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .header("te", "trailers")
            .body(whole("body"))
            .unwrap();
        connect(guard.address).await.send_request(request).await.unwrap()
    });
    assert_eq!(response.status(), 202);
    let names: Vec<_> = response.headers().keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["content-type", "content-length"], "nothing is added");
    let request = upstream.request();
    assert_eq!(request.line(), format!("POST {target} HTTP/1.1"));
    let mut headers: Vec<_> = request.headers().iter().map(|line| line.to_ascii_lowercase()).collect();
    headers.sort();
    assert_eq!(
        headers,
        [
            "content-length: 4",
            "cookie: a=1; b=2",
            &format!("host: {}", upstream.address),
            "upstash-forward-x: 1",
            "x-twice: b",
            "x-twice: a",
        ]
        .map(str::to_owned)
        .into_iter()
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
    );
    assert_eq!(request.header("x-twice"), ["b", "a"]);
    assert_eq!(request.body, b"body");
}

#[test]
fn bodies_of_unknown_length_are_chunked_and_their_trailers_pass() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "7".parse().unwrap());
    let status = run(async {
        let request = Request::post("http://guard.test/v2/publish/a")
            .header("trailer", "x-sum")
            .body(parts(&["hello ", "there"], Some(trailers)))
            .unwrap();
        connect(guard.address)
            .await
            .send_request(request)
            .await
            .unwrap()
            .status()
    });
    assert_eq!(status, 202);
    let request = upstream.request();
    assert_eq!(request.header("transfer-encoding"), ["chunked"]);
    assert_eq!(request.header("content-length").len(), 0);
    assert_eq!(
        String::from_utf8(request.body).unwrap(),
        "6\r\nhello \r\n5\r\nthere\r\n0\r\nx-sum: 7\r\n\r\n"
    );
}

#[test]
fn a_request_without_a_body_has_no_framing() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    run(async {
        let mut sender = connect(guard.address).await;
        let response = sender.send_request(get("/v2/logs?")).await.unwrap();
        assert_eq!(text(response).await, "{}");
    });
    let request = upstream.request();
    assert_eq!(request.line(), "GET /v2/logs? HTTP/1.1");
    assert_eq!(request.headers(), [format!("host: {}", upstream.address)]);
}

#[test]
fn answers_lose_what_http_2_does_not_have_and_keep_their_trailers() {
    let upstream = Upstream::answering(|_| {
        b"HTTP/1.1 299 Odd\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-Kept: 1\r\n\
          Transfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n"
            .to_vec()
    });
    let guard = Guard::start(&upstream.url(), "");
    run(async {
        let response = connect(guard.address)
            .await
            .send_request(get("/v2/logs"))
            .await
            .unwrap();
        assert_eq!(response.status(), 299);
        let mut names: Vec<_> = response.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["trailer", "x-kept"]);
        let collected = response.into_body().collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["x-sum"], "7");
        assert_eq!(collected.to_bytes(), "hello");
    });
}

#[test]
fn streams_run_beside_each_other() {
    const STREAMS: usize = 20;
    let all = Barrier::new(STREAMS);
    let upstream = Upstream::with(move |mut connection| {
        let Some(request) = connection.read_request() else {
            return;
        };
        // Nobody is answered before everybody has asked.
        all.wait();
        let target = request.target();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len());
        connection.stream.write_all(answer.as_bytes()).unwrap();
        while connection.read_some().is_some() {}
    });
    let guard = Guard::start(&upstream.url(), "");
    run(async {
        let sender = connect(guard.address).await;
        let asked = (0..STREAMS).map(|number| {
            let mut sender = sender.clone();
            async move {
                let target = format!("/stream/{number}");
                let response = sender.send_request(get(&target)).await.unwrap();
                assert_eq!(text(response).await, target);
            }
        });
        join_all(asked).await;
    });
}

#[test]
fn cancels_are_judged_like_any_other() {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let guard = Guard::start(&upstream.url(), "");
    run(async {
        let mut sender = connect(guard.address).await;
        let cancel = |target: &str, body| {
            Request::delete(format!("http://guard.test{target}"))
                .body(body)
                .unwrap()
        };
        let response = sender.send_request(cancel("/v2/messages", empty())).await.unwrap();
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()["qstash-guard-code"], "unfiltered_cancel");
        let response = sender
            .send_request(cancel("/v2//messages/", whole("{}")))
            .await
            .unwrap();
        assert_eq!(response.headers()["qstash-guard-code"], "unfiltered_cancel");
        let body = whole(r#"{"messageIds":["msg_1"]}"#);
        let response = sender.send_request(cancel("/v2/messages", body)).await.unwrap();
        assert_eq!(text(response).await, r#"{"cancelled":1}"#);
    });
    assert_eq!(upstream.request().body, br#"{"messageIds":["msg_1"]}"#);
    assert_eq!(guard.records_of("denied").len(), 2);
    assert_eq!(guard.records_of("outcome")[0]["result"], "completed");
}

#[test]
fn connect_is_not_served() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    run(async {
        let request = Request::builder()
            .method(Method::CONNECT)
            .uri("example.com:443")
            .body(empty())
            .unwrap();
        let response = connect(guard.address).await.send_request(request).await.unwrap();
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()["qstash-guard-code"], "method_not_served");
    });
    upstream.assert_untouched();
}

#[test]
fn a_broken_answer_is_no_clean_end() {
    let upstream = Upstream::with(|mut connection| {
        if connection.read_request().is_some() {
            let half = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
            connection.stream.write_all(half).unwrap();
        }
    });
    let guard = Guard::start(&upstream.url(), "");
    run(async {
        // It may break before the head was taken.
        if let Ok(response) = connect(guard.address).await.send_request(get("/v2/logs")).await {
            assert!(response.into_body().collect().await.is_err());
        }
    });
}

#[test]
fn a_stream_that_the_client_resets_takes_the_upstream_connection_with_it() {
    let (closed, gone) = mpsc::channel();
    let upstream = Upstream::with(move |mut connection| {
        connection.read_request();
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome";
        connection.stream.write_all(head).unwrap();
        while connection.read_some().is_some() {}
        let _ = closed.send(());
    });
    let guard = Guard::start(&upstream.url(), "");
    run(async {
        let mut sender = connect(guard.address).await;
        let response = sender.send_request(get("/v2/logs")).await.unwrap();
        drop(response);
        tokio::task::spawn_blocking(move || gone.recv_timeout(PATIENCE).unwrap())
            .await
            .unwrap();
        assert!(!sender.is_closed(), "the client's connection lives on");
    });
}

/// The preface and an empty SETTINGS frame: a client that has connected and asks nothing yet.
const CONNECTED: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[test]
fn a_client_that_connects_ahead_of_time_has_the_idle_timeout_and_not_that_of_a_head() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(
        &upstream.url(),
        "listen: {idle_timeout: 900ms}\nresources: {header_read_timeout: 300ms}",
    );
    let mut client = Client::connect(guard.address);
    client.send(CONNECTED);
    // Its own settings, then the end.
    let mut frames = Vec::new();
    client.stream.read_to_end(&mut frames).unwrap();
    assert_eq!(frames[3], 4, "SETTINGS come first: {frames:?}");
    assert_eq!(guard.metric_line(MALFORMED), 0);
}

#[test]
fn a_client_that_falls_silent_is_closed() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "listen: {idle_timeout: 300ms}");
    run(async {
        let mut sender = connect(guard.address).await;
        assert_eq!(sender.send_request(get("/v2/logs")).await.unwrap().status(), 202);
        until(|| guard.metric_line("qstash_guard_connections"), |open| *open == 0);
        assert!(sender.ready().await.is_err() || sender.send_request(get("/v2/logs")).await.is_err());
    });
    assert_eq!(guard.metric_line(MALFORMED), 0);
}

#[test]
fn frames_that_make_no_sense_are_counted() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    client.send(CONNECTED);
    // A DATA frame on stream 0 is a connection error (RFC 9113 section 6.1).
    client.send(b"\0\0\x01\0\0\0\0\0\0x");
    let mut frames = Vec::new();
    let _ = client.stream.read_to_end(&mut frames);
    until(|| guard.metric_line("qstash_guard_connections"), |open| *open == 0);
    guard.wait_for_metric(MALFORMED, 1);
    upstream.assert_untouched();
}
