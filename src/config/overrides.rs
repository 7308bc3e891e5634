//! What the command line puts in the place of the file.

use std::net::SocketAddr;

use super::compile::Loaded;
use super::fault::Faults;
use crate::server::Admin;

/// Values that stand above those of the file, at every load of it.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// In place of `listen.address`.
    pub listen: Option<SocketAddr>,
    /// In place of `admin.address`; turns the port on where the file has it off.
    pub admin: Option<SocketAddr>,
    /// In place of `upstream.url`.
    pub upstream: Option<String>,
}

impl Overrides {
    /// Puts them into a configuration.
    ///
    /// # Errors
    /// What is wrong with the upstream's URL.
    pub(super) fn apply(&self, loaded: &mut Loaded) -> Result<(), Faults> {
        let settings = &mut loaded.settings;
        if let Some(address) = self.listen {
            settings.listen.address = address;
        }
        if let Some(address) = self.admin {
            let admin = Admin {
                address,
                token_file: None,
            };
            settings.admin.get_or_insert(admin).address = address;
        }
        if let Some(url) = &self.upstream {
            loaded.set_upstream(url)?;
        }
        Ok(())
    }
}
