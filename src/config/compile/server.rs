//! `listen`, `admin` and `resources`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use crate::config::keys::server as keys;
use crate::config::section::Section;
use crate::config::value::Value;
use crate::config::values::{self, LONGEST, SHORTEST};
use crate::server::{Admin, Listen, Resources, Tls, TrustedProxies};

pub(super) fn listen(mut section: Section<'_>) -> Listen {
    let listen = Listen {
        address: section.value("address", loopback(8089), values::address),
        path_prefix: section.value("path_prefix", String::new(), path_prefix),
        trusted_proxies: section.value("trusted_proxies", TrustedProxies::default(), |value| {
            let networks = value.list("a list of networks, like [10.0.0.0/8], or `[]` for none", network)?;
            Ok(TrustedProxies::new(networks))
        }),
        tls: section.get("tls").and_then(tls),
        idle_timeout: section.value("idle_timeout", Duration::from_secs(75), timeout),
    };
    section.finish();
    listen
}

/// A key with nothing behind it could mean plain HTTP or half a file, and is a fault.
fn tls(value: Value<'_>) -> Option<Tls> {
    if value.is_left_empty() {
        value.fault(
            "`listen.tls` has no value; write `null` for plain HTTP, or give it a certificate and its private_key",
        );
    }
    if value.is_null() {
        return None;
    }
    let mut section = Section::of(value);
    let certificate = section.required(
        "certificate",
        "certificate: /etc/qstash-guard/tls.crt",
        values::needed_file,
    );
    let private_key = section.required(
        "private_key",
        "private_key: /etc/qstash-guard/tls.key",
        values::needed_file,
    );
    let client_ca = section.value("client_ca", None, values::file);
    section.finish();
    Some(Tls {
        certificate: certificate?,
        private_key: private_key?,
        client_ca,
    })
}

/// A path of whole segments that need no reading: it is compared byte by byte.
fn path_prefix(value: &Value<'_>) -> Result<String, String> {
    let text = value.text("a path prefix, like \"/qstash\", or \"\" for none")?;
    if text.is_empty() {
        return Ok(text);
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain);
    let Some(segments) = text.strip_prefix('/') else {
        return Err(format!(
            "{} does not start with a slash; write a prefix like /qstash",
            value.written()
        ));
    };
    if segments.ends_with('/') {
        return Err(format!("{} ends in a slash; leave that out", value.written()));
    }
    if !segments.split('/').all(is_segment) {
        return Err(format!(
            "{} is not a plain path: its segments may have letters, digits and -._~, like /team/qstash",
            value.written()
        ));
    }
    Ok(text)
}

/// A network in CIDR notation, or one address.
fn network(value: &Value<'_>) -> Result<IpNet, String> {
    let text = value.text("a network")?;
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse().map_err(|_| {
            format!(
                "{} is not a network; write one like 10.0.0.0/8 or fd00::/8",
                value.written()
            )
        })?,
    };
    if let IpNet::V6(mapped) = network
        && let Some(address) = mapped.addr().to_ipv4_mapped()
        && let Some(length) = mapped.prefix_len().checked_sub(96)
    {
        return Err(format!(
            "{} is a network of IPv4 addresses, which are compared as such; write {address}/{length}",
            value.written()
        ));
    }
    if network.trunc() != network {
        return Err(format!(
            "{} has bits behind its prefix length; did you mean {}?",
            value.written(),
            network.trunc()
        ));
    }
    Ok(network)
}

/// `admin: null` turns the port off; a key with nothing behind it could mean that or the defaults, and is a fault.
pub(super) fn admin(value: Option<Value<'_>>, listen: SocketAddr) -> Option<Admin> {
    let default = Admin {
        address: loopback(9089),
        token_file: None,
    };
    let Some(value) = value else { return Some(default) };
    if value.is_left_empty() {
        value.fault(
            "`admin` has no value; write `null` to turn the admin port off, or leave the key out for its defaults",
        );
    }
    if value.is_null() {
        return None;
    }
    let mut section = Section::of(value);
    let address = section.value("address", default.address, |value| {
        let address = values::address(value)?;
        if address == listen && address.port() != 0 {
            return Err("admin.address is the same as listen.address; give the two different ports".to_owned());
        }
        Ok(address)
    });
    let token_file = section.value("token_file", None, values::file);
    section.finish();
    Some(Admin { address, token_file })
}

pub(super) fn resources(mut section: Section<'_>) -> Resources {
    let size = |range| move |value: &Value<'_>| values::size(value, range).map(in_memory);
    let resources = Resources {
        max_connections: section.value("max_connections", 10_000, |value| {
            values::whole(value, keys::CONNECTIONS).map(in_memory)
        }),
        max_inspected_body: section.value("max_inspected_body", 64 << 10, size(keys::INSPECTED_BODY)),
        header_read_timeout: section.value("header_read_timeout", Duration::from_secs(10), timeout),
        body_idle_timeout: section.value("body_idle_timeout", Duration::from_mins(1), timeout),
        max_header_bytes: section.value("max_header_bytes", 64 << 10, size(keys::HEAD)),
        shutdown_delay: section.value("shutdown_delay", Duration::ZERO, |value| {
            values::duration(value, keys::DELAY)
        }),
        shutdown_grace: section.value("shutdown_grace", Duration::from_secs(30), timeout),
    };
    section.finish();
    resources
}

fn timeout(value: &Value<'_>) -> Result<Duration, String> {
    values::duration(value, SHORTEST..=LONGEST)
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Every range above fits 32 bits.
fn in_memory(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
