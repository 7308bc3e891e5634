//! A client that speaks TLS through rustls.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use crate::support::tls::{Authority, Issued};
use crate::support::{Client, PATIENCE};

/// What a client believes, shows and speaks.
#[derive(Clone, Copy)]
pub(crate) struct Peer<'a> {
    pub(crate) believes: &'a Authority,
    pub(crate) shows: Option<&'a Issued>,
    pub(crate) speaks: &'a [&'a str],
    pub(crate) versions: &'a [&'static SupportedProtocolVersion],
}

impl<'a> Peer<'a> {
    /// One that believes this authority, shows nothing and asks for no protocol.
    pub(crate) fn of(believes: &'a Authority) -> Self {
        Peer {
            believes,
            shows: None,
            speaks: &[],
            versions: rustls::ALL_VERSIONS,
        }
    }

    pub(crate) fn showing(self, issued: &'a Issued) -> Self {
        Peer {
            shows: Some(issued),
            ..self
        }
    }

    pub(crate) fn speaking(self, speaks: &'a [&'a str]) -> Self {
        Peer { speaks, ..self }
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.believes.pem.as_bytes()).unwrap();
        roots.add(root).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match self.shows {
            None => builder.with_no_client_auth(),
            Some(issued) => builder
                .with_client_auth_cert(vec![issued.der.clone()], issued.key())
                .unwrap(),
        };
        config.alpn_protocols = self.speaks.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// Shakes hands; what the guard says against it is the error. With TLS 1.3, a client learns of it when it reads.
    pub(crate) fn connect(&self, address: SocketAddr) -> io::Result<TlsClient> {
        let name = ServerName::try_from("localhost").unwrap();
        let mut tls = ClientConnection::new(self.config(), name).unwrap();
        let mut tcp = TcpStream::connect(address).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp.set_nodelay(true).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp)?;
        }
        Ok(Client::on(StreamOwned::new(tls, tcp)))
    }
}

pub(crate) type TlsClient = Client<StreamOwned<ClientConnection, TcpStream>>;

/// The certificate that the guard showed.
pub(crate) fn shown(client: &TlsClient) -> CertificateDer<'static> {
    client.stream.conn.peer_certificates().unwrap()[0].clone().into_owned()
}

/// Why the guard does not let a client in: its alert.
#[track_caller]
pub(crate) fn refused(peer: &Peer<'_>, address: SocketAddr) -> String {
    use std::io::{Read as _, Write as _};
    let ended = peer.connect(address).and_then(|mut client| {
        let _ = client
            .stream
            .write_all(b"DELETE /v2/messages?label=a&count=1 HTTP/1.1\r\nHost: a\r\n\r\n");
        client.stream.read(&mut [0; 1024])
    });
    match ended {
        Ok(length) => panic!("the guard answered {length} bytes"),
        Err(error) => error.to_string(),
    }
}
