//! An upstream behind TLS, and the certificates for it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

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

    /// A certificate for this name and its key, in PEM.
    pub fn certificate(&self, name: &str) -> (String, String) {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// An upstream with a certificate for this name, good until this year.
    pub fn upstream(&self, name: &str, until: i32) -> TlsUpstream {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsUpstream::start(Arc::new(config))
    }
}

/// Answers each connection's requests with `ok`, and keeps what was said.
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
    fn start(config: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let all = Arc::clone(&seen);
        std::thread::spawn(move || {
            for tcp in listener.incoming() {
                let (config, seen) = (Arc::clone(&config), Arc::clone(&all));
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
                            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                            stream.write_all(answer).unwrap();
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
