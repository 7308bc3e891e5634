//! Where a store is, as a URL says it.

use std::fmt;

use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};
use zeroize::Zeroizing;

/// A store's address and what it asks for. Shown as host and port alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// The host, without brackets where it is an IPv6 address.
    pub(super) host: String,
    /// The port.
    pub(super) port: u16,
    /// Whether it is spoken to over TLS.
    pub(super) tls: bool,
    database: i64,
    user: Option<String>,
    password: Option<Zeroizing<String>>,
}

impl Address {
    /// Reads `redis://` or, for TLS, `rediss://`, then `[[user]:password@]host[:port][/database]`.
    ///
    /// # Errors
    /// What is wrong, in words that follow the name of the key and hold nothing of the URL.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        let (tls, rest) = match url.split_once("://") {
            Some(("redis", rest)) => (false, rest),
            Some(("rediss", rest)) => (true, rest),
            _ => return Err("is neither `memory` nor a redis:// or rediss:// URL"),
        };
        if rest.contains(['?', '#']) {
            return Err(
                "has a query or a fragment, which a store's URL does not take; in a password write %3F and %23",
            );
        }
        // TLS is the guard's own; the client is to read the rest alone.
        let read = Zeroizing::new(format!("redis://{rest}"));
        let info = read.as_str().into_connection_info().map_err(|_| UNREADABLE)?;
        let ConnectionAddr::Tcp(host, port) = info.addr() else {
            return Err(UNREADABLE);
        };
        let settings = info.redis_settings();
        if host.is_empty() || *port == 0 || settings.db() < 0 {
            return Err(UNREADABLE);
        }
        Ok(Address {
            host: host.clone(),
            port: *port,
            tls,
            database: settings.db(),
            user: settings.username().map(str::to_owned),
            password: settings.password().map(|password| Zeroizing::new(password.to_owned())),
        })
    }

    /// What a connection begins with.
    pub(super) fn login(&self) -> RedisConnectionInfo {
        let mut login = RedisConnectionInfo::default()
            .set_db(self.database)
            .set_skip_set_lib_name();
        if let Some(user) = &self.user {
            login = login.set_username(user);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password.as_str());
        }
        login
    }
}

const UNREADABLE: &str = "cannot be read; write it like `redis://host:6379` or `rediss://:password@host:6379/0`, what is \
                          special in a password percent-encoded";

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address { host, port, .. } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_shown_without_what_is_secret() {
        let address = Address::parse("rediss://guard:s3cr%2Ft@store.example:6380/2").unwrap();
        let password = Zeroizing::new("s3cr/t".to_owned());
        assert_eq!(
            (address.tls, address.database, &address.user, &address.password),
            (true, 2, &Some("guard".to_owned()), &Some(password))
        );
        assert_eq!(
            format!("{address} {address:?}"),
            "store.example:6380 store.example:6380"
        );
        assert!(!format!("{:?}", address.login()).contains("s3cr"));
        let plain = Address::parse("redis://[::1]").unwrap();
        assert_eq!(
            (plain.to_string().as_str(), plain.tls, plain.database),
            ("[::1]:6379", false, 0)
        );
        assert_eq!((&plain.user, &plain.password), (&None, &None));
        assert_eq!(Address::parse("redis://:p@h").unwrap().user, None);
    }

    #[test]
    fn what_is_no_url_of_a_store_is_told_without_it() {
        for url in [
            "",
            "memory",
            "http://:s3cr3t@h",
            "valkey://:s3cr3t@h",
            "redis:/:s3cr3t@h",
            "redis://",
            "redis:///0",
            "redis://:s3cr3t@",
            "redis://:s3cr3t@h:65536",
            "redis://:s3cr3t@h:0",
            "redis://:s3cr3t@h/x",
            "redis://:s3cr3t@h/-1",
            "redis://:s3cr3t@h/0/1",
            "redis://:s3cr3t@h?protocol=resp3",
            "rediss://:s3cr3t@h#insecure",
            "redis://:s3cr3t@h h",
            "redis+unix:///tmp/s3cr3t",
        ] {
            let told = Address::parse(url).unwrap_err();
            assert!(!told.contains("s3cr3t"), "{url}: {told}");
        }
    }
}
