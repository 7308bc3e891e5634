//! The token and the socket.

use std::{net::Ipv4Addr, time::Duration};

use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderValue};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use super::{
    super::{CountHandling, DEV_TOKEN},
    exchange, runtime, simulator,
};

#[test]
fn a_token_is_asked_for() {
    let simulator = simulator(CountHandling::Ignored, 1, Duration::from_secs(5));
    let encoded = DEV_TOKEN.replace('=', "%3D");
    for (target, authorization, status) in [
        ("/v2/messages".to_owned(), "", 401),
        ("/v2/messages".to_owned(), "Bearer wrong", 401),
        ("/nowhere".to_owned(), "", 401),
        ("/v2/messages?qstash_token=wrong".to_owned(), "", 401),
        (format!("/v2/keys?qstash_token={encoded}"), "Basic else", 200),
        (format!("/v2/keys?qstash_token={DEV_TOKEN}"), "", 200),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static(authorization));
        let method = if status == 401 { "DELETE" } else { "GET" };
        let (found, answer) = runtime().block_on(exchange(&simulator, method, &target, "", headers));
        assert_eq!(found, status, "{target}");
        assert_eq!(answer["error"].is_string(), status == 401);
    }
    assert_eq!(simulator.pending(), 1);
}

#[test]
fn serves_over_a_socket() {
    runtime().block_on(async {
        let simulator = simulator(CountHandling::Ignored, 3, Duration::from_secs(5));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(simulator.clone().serve(listener, async { drop(stopped.await) }));

        // Two requests on one connection: a gzipped answer, then a body that is too long.
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let cancel = format!(
            "DELETE /v2/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {DEV_TOKEN}\r\naccept-encoding: gzip\r\n\r\n"
        );
        stream.write_all(cancel.as_bytes()).await.expect("written");
        let large = format!("POST /v2/batch HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", 11 * 1024 * 1024);
        stream.write_all(large.as_bytes()).await.expect("written");
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.expect("both answers");
        let text = String::from_utf8_lossy(&received);
        assert!(text.starts_with("HTTP/1.1 202"), "{text}");
        assert!(text.contains("content-encoding: gzip"), "{text}");
        assert!(text.contains("HTTP/1.1 413"), "{text}");
        let start = received.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head") + 4;
        let mut body = String::new();
        std::io::Read::read_to_string(&mut GzDecoder::new(&received[start..]), &mut body).expect("gzip");
        assert_eq!(body, r#"{"cancelled":3}"#);
        assert_eq!((simulator.pending(), simulator.requests()), (0, 2));

        let idle = TcpStream::connect(address).await.expect("a connection");
        drop(stop);
        server.await.expect("no panic").expect("no error");
        drop(idle);
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    });
}
