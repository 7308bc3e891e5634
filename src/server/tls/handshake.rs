//! The beginning of a TLS connection.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::peer;
use crate::server::activity::Activity;

/// A connection whose handshake is done.
pub(in crate::server) struct Secured {
    /// In a box: it is large, and moved a few times.
    pub(in crate::server) stream: Box<TlsStream<TcpStream>>,
    /// The caller that the client's certificate names.
    pub(in crate::server) certificate: Option<Arc<str>>,
    /// Whether HTTP/2 was agreed upon (ALPN).
    pub(in crate::server) is_http2: bool,
}

/// Why a connection comes to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Unopened {
    /// The client went.
    HungUp,
    /// What it sent is no handshake, or one that fails.
    Refused,
}

/// Shakes hands. Until the first byte the connection is idle; from then on a head is being read.
pub(in crate::server) async fn open(
    mut stream: TcpStream,
    client: IpAddr,
    config: Arc<ServerConfig>,
    activity: &Activity,
) -> Result<Secured, Unopened> {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(0) | Err(_) => return Err(Unopened::HungUp),
        Ok(_) => activity.read(),
    }
    // A method: TLS begins with the number of its handshake records, 22.
    if first[0].is_ascii_uppercase() {
        tracing::debug!(%client, "plain HTTP came to a port that speaks TLS");
        let _ = stream.write_all(PLAIN_HTTP).await;
        close(stream).await;
        return Err(Unopened::Refused);
    }
    let stream = match TlsAcceptor::from(config).accept(stream).into_fallible().await {
        Ok(stream) => stream,
        // What the client sent was understood, and is refused; anything else is the connection's end.
        Err((error, stream)) if error.kind() == io::ErrorKind::InvalidData => {
            tracing::debug!(%client, %error, "a TLS handshake failed");
            close(stream).await;
            return Err(Unopened::Refused);
        }
        Err(_) => return Err(Unopened::HungUp),
    };
    let (_, session) = stream.get_ref();
    let shown = session.peer_certificates().and_then(<[_]>::first);
    let certificate = shown.and_then(peer::caller);
    if shown.is_some() && certificate.is_none() {
        tracing::warn!(%client, "a client's certificate holds no name for a caller; its connection is closed");
        let (stream, _) = stream.into_inner();
        close(stream).await;
        return Err(Unopened::Refused);
    }
    let is_http2 = session.alpn_protocol() == Some(H2);
    Ok(Secured {
        stream: Box::new(stream),
        certificate,
        is_http2,
    })
}

/// Closes so that what was answered arrives: a connection with unread bytes would be reset.
async fn close(mut stream: TcpStream) {
    if stream.shutdown().await.is_ok() {
        let _ = tokio::io::copy(&mut stream.take(MOST_UNREAD), &mut tokio::io::sink()).await;
    }
}

/// So many bytes are read on; the time for it is that of the handshake.
const MOST_UNREAD: u64 = 64 << 10;

/// HTTP/2 over TLS, as ALPN names it (RFC 9113 section 3.2).
pub(super) const H2: &[u8] = b"h2";

const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 42\r\nConnection: \
                            close\r\n\r\nThis port speaks TLS: ask it with https://";
