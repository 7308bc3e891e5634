//! How the upstream is reached.

use std::path::PathBuf;
use std::time::Duration;

use crate::qstash::destination::is_hosted;

/// `upstream` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where it is.
    pub origin: Origin,
    /// Extra roots to trust, a PEM file.
    pub ca_file: Option<PathBuf>,
    /// How long a connection, TLS handshake included, may take to be made.
    pub connect_timeout: Duration,
    /// From the end of the request to the response head.
    pub response_timeout: Duration,
    /// How long a pooled connection is kept unused.
    pub idle_timeout: Duration,
}

/// Scheme, host, port and path prefix of `upstream.url`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// The host, without brackets where it is an IPv6 address.
    pub host: String,
    /// The port, also where it is the scheme's own.
    pub port: u16,
    /// What stands before each path: empty, or a path without trailing slash.
    pub prefix: String,
}

/// The scheme of the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain TCP.
    Http,
    /// TLS.
    Https,
}

impl Origin {
    /// The value of `Host`: the port only where it is not the scheme's own (RFC 9110 section 4.2.3).
    pub fn host_header(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        match (self.scheme, self.port) {
            (Scheme::Http, 80) | (Scheme::Https, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// Whether it is the hosted QStash: a host under upstash.io.
    pub fn is_hosted_qstash(&self) -> bool {
        is_hosted(&self.host)
    }
}
