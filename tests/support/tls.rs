//! Certificates, and an upstream behind TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

use super::upstream::{RawRequest, answer};

/// A certificate authority of a test.
pub struct Authority {
    /// Its certificate, in PEM.
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate of this content, with a new key.
    pub fn issue(&self, params: &CertificateParams) -> Issued {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        }
    }

    /// A certificate for this name and its key, in PEM.
    pub fn certificate(&self, name: &str) -> (String, String) {
        let issued = self.issue(&CertificateParams::new(vec![name.to_owned()]).unwrap());
        (issued.pem, issued.key_pem)
    }

    /// An upstream with a certificate for this name, good until this year.
    pub fn upstream(&self, name: &str, until: i32) -> TlsUpstream {
        TlsUpstream::start(self.server(name, until), |_| answer("200 OK", "ok"))
    }

    /// The same, which answers each request with the bytes that `answer` gives.
    pub fn upstream_answering(
        &self,
        name: &str,
        answer: impl Fn(&RawRequest) -> Vec<u8> + Send + Sync + 'static,
    ) -> TlsUpstream {
        TlsUpstream::start(self.server(name, 2100), answer)
    }

    fn server(&self, name: &str, until: i32) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let issued = self.issue(&params);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![issued.der.clone()], issued.key())
            .unwrap();
        Arc::new(config)
    }
}

/// A certificate and its key.
pub struct Issued {
    pub der: CertificateDer<'static>,
    pub pem: String,
    pub key_pem: String,
}

impl Issued {
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).unwrap()
    }
}

/// Answers each connection's requests, and keeps what was said.
pub struct TlsUpstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

/// What an upstream behind TLS has seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The names that clients asked for (SNI).
    pub names: Vec<Option<String>>,
    /// What was sent inside TLS.
    pub plain: String,
    /// Handshakes that were not finished.
    pub failed: usize,
}

impl TlsUpstream {
    fn start(config: Arc<ServerConfig>, answer: impl Fn(&RawRequest) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (all, answer) = (Arc::clone(&seen), Arc::new(answer));
        std::thread::spawn(move || {
            for tcp in listener.incoming() {
                let (config, seen, answer) = (Arc::clone(&config), Arc::clone(&all), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let mut tcp = tcp.unwrap();
                    let mut connection = ServerConnection::new(config).unwrap();
                    while connection.is_handshaking() {
                        if connection.complete_io(&mut tcp).is_err() {
                            seen.lock().unwrap().failed += 1;
                            return;
                        }
                    }
                    let name = connection.server_name().map(str::to_owned);
                    seen.lock().unwrap().names.push(name);
                    let mut stream = Stream::new(&mut connection, &mut tcp);
                    let mut buffer = [0; 16 * 1024];
                    while let Ok(length) = stream.read(&mut buffer)
                        && length > 0
                    {
                        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                        seen.lock().unwrap().plain.push_str(&text);
                        if text.ends_with("\r\n\r\n") {
                            let request = RawRequest {
                                head: text,
                                body: Vec::new(),
                            };
                            stream.write_all(&answer(&request)).unwrap();
                        }
                    }
                });
            }
        });
        TlsUpstream { address, seen }
    }

    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// Its URL under the name `localhost`.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }
}
