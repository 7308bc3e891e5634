//! The client of the demo.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, HOST};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::simulator::DEV_TOKEN;

/// A connection to a guard.
pub(super) struct Client(SendRequest<Full<Bytes>>);

/// What a request came back with.
pub(super) struct Answer {
    pub(super) status: u16,
    /// The guard's code; `None` where QStash answered, or the guard did what was asked.
    pub(super) code: Option<String>,
    /// The sentence of a refusal.
    pub(super) error: Option<String>,
    /// How many messages went, as the answer has it.
    pub(super) cancelled: Option<u64>,
}

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        let (client, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        Ok(Client(client))
    }

    /// Sends a request, with the token in the header unless the target has it.
    pub(super) async fn send(&mut self, method: &str, target: &str, body: &'static str) -> io::Result<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, "qstash.demo");
        if !target.contains("qstash_token=") {
            request = request.header(AUTHORIZATION, format!("Bearer {DEV_TOKEN}"));
        }
        let request = request.body(Full::from(body)).map_err(io::Error::other)?;
        self.0.ready().await.map_err(io::Error::other)?;
        let response = self.0.send_request(request).await.map_err(io::Error::other)?;
        let status = response.status().as_u16();
        let code = response.headers().get("qstash-guard-code");
        let code = code.and_then(|code| code.to_str().ok()).map(str::to_owned);
        let body = response.into_body().collect().await.map_err(io::Error::other)?;
        let json = serde_json::from_slice::<serde_json::Value>(&body.to_bytes()).unwrap_or_default();
        let error = json.get("error").and_then(serde_json::Value::as_str);
        Ok(Answer {
            status,
            code,
            error: error.map(str::to_owned),
            cancelled: json.get("cancelled").and_then(serde_json::Value::as_u64),
        })
    }
}
