//! `listen`, `admin` and `resources`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::config::keys::server as keys;
use crate::config::section::Section;
use crate::config::tree::Node;
use crate::config::value::Value;
use crate::config::values::{self, LONGEST, SHORTEST};
use crate::server::{Admin, Listen, Resources};

pub(super) fn listen(mut section: Section<'_>) -> Listen {
    let listen = Listen {
        address: section.value("address", loopback(8089), values::address),
        idle_timeout: section.value("idle_timeout", Duration::from_secs(75), timeout),
    };
    section.only(
        "path_prefix",
        "\"\"",
        |node| matches!(node, Node::String(text) if text.is_empty()),
    );
    section.only("tls", "null", |node| matches!(node, Node::Null));
    section.only(
        "trusted_proxies",
        "[]",
        |node| matches!(node, Node::Sequence(items) if items.is_empty()),
    );
    section.finish();
    listen
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
