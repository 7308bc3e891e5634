//! The files of `listen.tls`, and what is made of them.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig};
use zeroize::Zeroizing;

use super::{Identity, peer};
use crate::server::settings::Tls;

/// One thing that is wrong with a file of `listen.tls`. Says nothing of what a key holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} {}: {message}", file.display())]
pub struct TlsFault {
    /// The key that names the file, such as `listen.tls.certificate`.
    pub key: &'static str,
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub message: String,
}

/// Everything that is wrong with them, at least one thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct TlsFaults(pub Vec<TlsFault>);

impl fmt::Display for TlsFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { "; " } else { "" })?;
            fault.fmt(f)?;
        }
        Ok(())
    }
}

/// What the files hold, read at one time.
pub struct TlsFiles {
    certificate: TlsFile,
    private_key: TlsFile,
    client_ca: Option<TlsFile>,
}

struct TlsFile {
    key: &'static str,
    path: PathBuf,
    /// The bytes, or why they cannot be read.
    read: Result<Zeroizing<Vec<u8>>, String>,
}

impl TlsFiles {
    /// Reads them. Blocks.
    pub fn read(settings: &Tls) -> Self {
        TlsFiles {
            certificate: TlsFile::read("listen.tls.certificate", &settings.certificate),
            private_key: TlsFile::read("listen.tls.private_key", &settings.private_key),
            client_ca: settings
                .client_ca
                .as_deref()
                .map(|path| TlsFile::read("listen.tls.client_ca", path)),
        }
    }

    /// What each of them holds, or why it cannot be read: what tells whether one has changed.
    pub fn contents(&self) -> impl Iterator<Item = Result<&[u8], &str>> {
        let files = [&self.certificate, &self.private_key].into_iter();
        files.chain(&self.client_ca).map(|file| match &file.read {
            Ok(bytes) => Ok(bytes.as_slice()),
            Err(message) => Err(message.as_str()),
        })
    }

    /// Certificate, key and roots, checked against each other.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn identity(&self) -> Result<Identity, TlsFaults> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = self.certificate.certificates().and_then(|chain| {
            let validity = peer::validity(&chain[0]);
            let validity = validity.ok_or_else(|| self.certificate.fault("its first certificate is none"))?;
            Ok((chain, validity))
        });
        let key = self.private_key.private_key(&provider);
        let roots = self.client_ca.as_ref().map(TlsFile::roots).transpose();
        match (chain, key, roots) {
            (Ok((chain, validity)), Ok(key), Ok(roots)) => {
                let certified = self.certified(chain, key).map_err(|fault| TlsFaults(vec![fault]))?;
                self.config(certified, roots, provider)
                    .map(|config| Identity {
                        config: Arc::new(config),
                        not_before: validity.0,
                        not_after: validity.1,
                    })
                    .map_err(|fault| TlsFaults(vec![fault]))
            }
            (chain, key, roots) => Err(TlsFaults(
                [chain.err(), key.err(), roots.err()].into_iter().flatten().collect(),
            )),
        }
    }

    fn certified(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: Arc<dyn SigningKey>,
    ) -> Result<CertifiedKey, TlsFault> {
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
            Err(Error::InconsistentKeys(_)) => Err(self.private_key.fault(format!(
                "it is not the key of the certificate in {}, which must come first there",
                self.certificate.path.display()
            ))),
            Err(error) => Err(self.certificate.fault(error)),
        }
    }

    fn config(
        &self,
        certified: CertifiedKey,
        roots: Option<RootCertStore>,
        provider: Arc<CryptoProvider>,
    ) -> Result<ServerConfig, TlsFault> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| self.certificate.fault(error))?;
        let asks_clients = roots.is_some();
        let builder = match roots {
            None => builder.with_no_client_auth(),
            Some(roots) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(|error| self.client_ca.as_ref().unwrap_or(&self.certificate).fault(error))?,
            ),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![super::handshake::H2.to_vec(), b"http/1.1".to_vec()];
        if asks_clients {
            // A resumed session is not verified again, and would outlive the certificate that it began with.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(config)
    }
}

impl TlsFile {
    fn read(key: &'static str, path: &Path) -> Self {
        let mut bytes = Zeroizing::new(Vec::new());
        let read = File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
        TlsFile {
            key,
            path: path.to_owned(),
            read: match read {
                Ok(length) if length as u64 > LARGEST => {
                    Err("it is larger than 1MiB, the most that is read".to_owned())
                }
                Ok(_) => Ok(bytes),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err("there is no such file".to_owned()),
                Err(error) => Err(format!("it cannot be read: {error}")),
            },
        }
    }

    fn fault(&self, message: impl fmt::Display) -> TlsFault {
        TlsFault {
            key: self.key,
            file: self.path.clone(),
            message: message.to_string(),
        }
    }

    fn bytes(&self) -> Result<&[u8], TlsFault> {
        self.read
            .as_deref()
            .map(Vec::as_slice)
            .map_err(|message| self.fault(message))
    }

    /// One certificate or more.
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(self.bytes()?)
            .collect::<Result<_, _>>()
            .map_err(|error| self.fault(format!("it is no PEM: {error}")))?;
        if certificates.is_empty() {
            return Err(self.fault(
                "it holds no certificate; it takes one or more in PEM (-----BEGIN CERTIFICATE-----), that of this host \
                 first",
            ));
        }
        Ok(certificates)
    }

    fn private_key(&self, provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, TlsFault> {
        let bytes = self.bytes()?;
        // What the parser says of a broken file may quote it.
        let key = PrivateKeyDer::from_pem_slice(bytes).map_err(|error| match error {
            pem::Error::NoItemsFound if contains(bytes, b"ENCRYPTED PRIVATE KEY") => {
                self.fault("its key is encrypted; write it without a passphrase, readable by the guard alone")
            }
            pem::Error::NoItemsFound => {
                self.fault("it holds no private key; it takes one in PEM (-----BEGIN PRIVATE KEY-----)")
            }
            _ => self.fault("it is no PEM"),
        })?;
        provider.key_provider.load_private_key(key).map_err(|_| {
            self.fault("its key is neither RSA of 2048 bits or more, nor ECDSA (P-256, P-384), nor Ed25519")
        })
    }

    fn roots(&self) -> Result<RootCertStore, TlsFault> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            roots.add(certificate).map_err(|error| self.fault(error))?;
        }
        Ok(roots)
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// A larger file holds no certificate.
const LARGEST: u64 = 1 << 20;
