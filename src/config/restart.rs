//! What cannot change while the guard runs.

use super::compile::Loaded;
use super::settings::Settings;
use crate::{audit, limits, server, telemetry, upstream};

/// Puts the running value of each key in the place of the new one, and names those that differ.
macro_rules! hold {
    ($held:ident, $new:expr, $running:expr, $($key:literal: $field:ident,)*) => {
        $(if $new.$field != $running.$field {
            $held.push($key);
            $new.$field.clone_from(&$running.$field);
        })*
    };
}

impl Loaded {
    /// Puts what cannot change while the guard runs back to its running value. Gives the keys that the new configuration
    /// has other values for: those take effect after a restart.
    ///
    /// Each section is taken apart by name, so that a key that comes to it has to be placed here or left out knowingly.
    pub fn hold(&mut self, running: &Settings) -> Vec<&'static str> {
        let mut held = Vec::new();
        let Settings {
            listen,
            admin,
            upstream,
            credentials: _,
            token: _,
            policy: _,
            limits: _,
            store,
            audit,
            resources,
            log,
        } = &mut self.settings;

        let server::Listen {
            address: _,
            path_prefix: _,
            trusted_proxies: _,
            tls: _, // its files are read again, under these names
            idle_timeout: _,
        } = listen;
        hold!(held, listen, running.listen,
            "listen.address": address,
            "listen.path_prefix": path_prefix,
            "listen.trusted_proxies": trusted_proxies,
            "listen.tls": tls,
            "listen.idle_timeout": idle_timeout,
        );

        match (&mut *admin, &running.admin) {
            (Some(new), Some(running)) => {
                let server::Admin {
                    address: _,
                    token_file: _,
                } = new;
                hold!(held, new, running,
                    "admin.address": address,
                    "admin.token_file": token_file,
                );
            }
            (None, None) => {}
            _ => {
                held.push("admin");
                admin.clone_from(&running.admin);
            }
        }

        let upstream::Settings {
            origin: _,
            ca_file: _,
            connect_timeout: _,
            response_timeout: _,
            idle_timeout: _,
        } = upstream;
        let moved = upstream.origin != running.upstream.origin;
        hold!(held, upstream, running.upstream,
            "upstream.url": origin,
            "upstream.ca_file": ca_file,
            "upstream.connect_timeout": connect_timeout,
            "upstream.response_timeout": response_timeout,
            "upstream.idle_timeout": idle_timeout,
        );

        let limits::StoreSettings {
            address: _,
            timeout: _,
            on_error: _,
        } = store;
        hold!(held, store, running.store,
            "rate_limit_store.url": address,
            "rate_limit_store.timeout": timeout,
            "rate_limit_store.on_error": on_error,
        );

        let audit::Settings {
            sink: _,
            durability: _,
            write_timeout: _,
            on_failure: _,
            record: _, // reloaded
            max_size: _,
            keep: _,
            compress: _,
            signing_key: _,
            follow_bulk_actions: _, // reloaded
        } = audit;
        hold!(held, audit, running.audit,
            "audit.path": sink,
            "audit.durability": durability,
            "audit.write_timeout": write_timeout,
            "audit.on_failure": on_failure,
            "audit.rotate.max_size": max_size,
            "audit.rotate.keep": keep,
            "audit.rotate.compress": compress,
            "audit.signing_key_file": signing_key,
        );

        let server::Resources {
            max_connections: _,
            max_inspected_body: _,
            header_read_timeout: _,
            body_idle_timeout: _,
            max_header_bytes: _,
            shutdown_delay: _,
            shutdown_grace: _,
        } = resources;
        hold!(held, resources, running.resources,
            "resources.max_connections": max_connections,
            "resources.max_inspected_body": max_inspected_body,
            "resources.header_read_timeout": header_read_timeout,
            "resources.body_idle_timeout": body_idle_timeout,
            "resources.max_header_bytes": max_header_bytes,
            "resources.shutdown_delay": shutdown_delay,
            "resources.shutdown_grace": shutdown_grace,
        );

        let telemetry::Log {
            level: _, // reloaded
            format: _,
        } = log;
        hold!(held, log, running.log, "log.format": format,);

        if moved {
            self.keep_upstream(running);
        }
        held
    }
}
