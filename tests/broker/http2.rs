//! The same over HTTP/2.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::support::PATIENCE;
use crate::{KEY, Place, place, start};

#[test]
fn streams_of_one_connection_are_told_apart() {
    let (upstream, guard) = start("");
    let client = async {
        let stream = tokio::net::TcpStream::connect(guard.address).await.unwrap();
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.unwrap();
        tokio::spawn(connection);
        let mut statuses = Vec::new();
        for (method, target, key) in [
            ("POST", "/v2/publish/https://e.com", Some(KEY)),
            ("POST", "/v2/publish/https://e.com", None),
            ("GET", "/v2/keys", Some("qg_unknown")),
            ("GET", "/v2/keys", Some(KEY)),
        ] {
            let mut request = Request::builder()
                .method(method)
                .uri(format!("http://guard.test{target}"));
            if let Some(key) = key {
                request = request.header("authorization", format!("Bearer {key}"));
            }
            let answer = sender
                .send_request(request.body(Empty::<Bytes>::new()).unwrap())
                .await
                .unwrap();
            statuses.push(answer.status().as_u16());
            if answer.status() == 401 {
                assert_eq!(answer.headers()["www-authenticate"], "Bearer");
            }
            answer.into_body().collect().await.unwrap();
        }
        statuses
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let statuses = runtime.block_on(async { tokio::time::timeout(PATIENCE, client).await.expect("in time") });
    assert_eq!(statuses, [202, 401, 401, 202]);
    let got = upstream.requests();
    assert_eq!(got.iter().map(place).collect::<Vec<_>>(), [Place::Pair, Place::Header]);
}
