//! What is read of a certificate beside what rustls reads.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use crate::policy::CertificateName;

/// From when until when a certificate is valid; `None` where it is no certificate.
pub(super) fn validity(certificate: &CertificateDer<'_>) -> Option<(Timestamp, Timestamp)> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let validity = certificate.validity();
    let time = |second| Timestamp::from_second(second).ok();
    Some((
        time(validity.not_before.timestamp())?,
        time(validity.not_after.timestamp())?,
    ))
}

/// The caller that a client's certificate names: by its first URI, else its first host name (subject alternative names),
/// else the common name of its subject. `None` where there is none of them, or the one that counts cannot be a name.
pub(super) fn caller(certificate: &CertificateDer<'_>) -> Option<Arc<str>> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let alternatives = certificate.subject_alternative_name().ok()?;
    let alternatives = alternatives.map_or(&[][..], |extension| &extension.value.general_names);
    let uri = alternatives.iter().find_map(|name| match name {
        GeneralName::URI(uri) => Some(CertificateName::Uri(uri)),
        _ => None,
    });
    let host = || {
        alternatives.iter().find_map(|name| match name {
            GeneralName::DNSName(host) => Some(CertificateName::Dns(host)),
            _ => None,
        })
    };
    let common = || {
        let name = certificate.subject().iter_common_name().next()?;
        name.as_str().ok().map(CertificateName::Common)
    };
    uri.or_else(host).or_else(common)?.caller()
}
