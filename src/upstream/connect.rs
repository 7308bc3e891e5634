//! New connections to the upstream.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::settings::{Origin, Scheme};

/// Why there is no connection. Nothing of a request was sent.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It took longer than `upstream.connect_timeout`.
    #[error("no connection within {0:?}")]
    Timeout(Duration),
    /// No address, refused, or no TLS.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Makes connections to one origin.
#[derive(Clone)]
pub(super) struct Connector {
    host: Arc<str>,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    timeout: Duration,
}

impl Connector {
    /// A connector to the origin; `tls` is used where its scheme is https.
    ///
    /// # Errors
    /// If the host of an https origin is neither a DNS name nor an address.
    pub(super) fn new(origin: &Origin, tls: Arc<ClientConfig>, timeout: Duration) -> io::Result<Self> {
        let tls = match origin.scheme {
            Scheme::Http => None,
            Scheme::Https => {
                let name = ServerName::try_from(origin.host.clone()).map_err(io::Error::other)?;
                Some((TlsConnector::from(tls), name))
            }
        };
        Ok(Connector {
            host: origin.host.as_str().into(),
            port: origin.port,
            tls,
            timeout,
        })
    }

    /// A connection, its TLS handshake done.
    pub(super) async fn connect(&self) -> Result<Stream, ConnectError> {
        tokio::time::timeout(self.timeout, self.connect_unbounded())
            .await
            .map_err(|_| ConnectError::Timeout(self.timeout))?
            .map_err(ConnectError::Io)
    }

    async fn connect_unbounded(&self) -> io::Result<Stream> {
        let tcp = TcpStream::connect((&*self.host, self.port)).await?;
        tcp.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Stream::Tcp(tcp)),
            Some((tls, name)) => Ok(Stream::Tls(Box::new(tls.connect(name.clone(), tcp).await?))),
        }
    }
}

/// A connection, plain or with TLS.
pub(super) enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

macro_rules! on_stream {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream.get_mut() {
            Stream::Tcp($inner) => $call,
            Stream::Tls($inner) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, inner => Pin::new(inner).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        on_stream!(self, inner => Pin::new(inner).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self, inner => Pin::new(inner).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Tcp(inner) => inner.is_write_vectored(),
            Stream::Tls(inner) => inner.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, inner => Pin::new(inner).poll_shutdown(cx))
    }
}
