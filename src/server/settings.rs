//! How clients are served.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::client_ip::TrustedProxies;

/// `listen` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address to serve on; port 0 takes a free one.
    pub address: SocketAddr,
    /// The one path prefix that is served, starting with a slash and not ending in one; empty for every path.
    pub path_prefix: String,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: TrustedProxies,
    /// Certificate and key, where TLS is spoken.
    pub tls: Option<Tls>,
    /// How long a kept-alive connection may stay unused.
    pub idle_timeout: Duration,
}

/// `listen.tls` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and what signed it, a PEM file.
    pub certificate: PathBuf,
    /// Its key, a PEM file.
    pub private_key: PathBuf,
    /// The roots that clients' certificates must come from, a PEM file; without one clients show none.
    pub client_ca: Option<PathBuf>,
}

/// `admin` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// The address of health, metrics and `/audit`.
    pub address: SocketAddr,
    /// The file with the bearer token for `/audit`; off loopback `/audit` is not served without one.
    pub token_file: Option<PathBuf>,
}

/// `resources` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resources {
    /// How many client connections are served at once; further ones wait.
    pub max_connections: usize,
    /// The most bytes of a guarded request's body that are read to judge it.
    pub max_inspected_body: usize,
    /// From the first byte of a head to its last.
    pub header_read_timeout: Duration,
    /// How long a body may stand still.
    pub body_idle_timeout: Duration,
    /// The most bytes of a request head.
    pub max_header_bytes: usize,
    /// Between the failing readyz and the closed port, at shutdown.
    pub shutdown_delay: Duration,
    /// How long requests in flight may take to finish, at shutdown.
    pub shutdown_grace: Duration,
}
