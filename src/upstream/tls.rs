//! TLS towards the upstream: rustls, its roots, HTTP/1.1 alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Why the extra roots cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read, or is no PEM.
    #[error("upstream.ca_file {file}: {cause}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the parser says.
        cause: rustls::pki_types::pem::Error,
    },
    /// The file has no certificate.
    #[error("upstream.ca_file {0} holds no certificate; it takes one or more in PEM (-----BEGIN CERTIFICATE-----)")]
    Empty(PathBuf),
    /// A certificate is none.
    #[error("upstream.ca_file {file}: {cause}")]
    Invalid {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        cause: rustls::Error,
    },
}

/// A client configuration that trusts the Mozilla roots and those of `ca_file`.
///
/// # Errors
/// [`TlsError`] if `ca_file` cannot be used.
pub fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    if let Some(file) = ca_file {
        add_roots(&mut roots, file)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| TlsError::Invalid {
            file: PathBuf::new(),
            cause,
        })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn add_roots(roots: &mut RootCertStore, file: &Path) -> Result<(), TlsError> {
    let unreadable = |cause| TlsError::Unreadable {
        file: file.to_owned(),
        cause,
    };
    let before = roots.len();
    for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
        let certificate = certificate.map_err(unreadable)?;
        roots.add(certificate).map_err(|cause| TlsError::Invalid {
            file: file.to_owned(),
            cause,
        })?;
    }
    if roots.len() == before {
        Err(TlsError::Empty(file.to_owned()))
    } else {
        Ok(())
    }
}
