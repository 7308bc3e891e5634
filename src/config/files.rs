//! The files that a configuration names, checked with the places that name them.

use jiff::Timestamp;

use super::compile::Loaded;
use super::fault::{Fault, Faults, Warning};
use super::source::Place;
use crate::audit::signing::SigningKey;
use crate::server::tls::TlsFiles;
use crate::upstream;

impl Loaded {
    /// Reads the certificates and keys that the configuration names, as a start would; what is worth knowing of them at
    /// this time comes to the warnings. Blocks.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn check_files(&mut self, now: Timestamp) -> Result<(), Faults> {
        let (mut faults, mut warnings) = (Vec::new(), Vec::new());
        if let Some(tls) = &self.settings.listen.tls {
            match TlsFiles::read(tls).identity() {
                Ok(identity) => warnings.extend(identity.out_of_date(now).map(|what| Warning {
                    message: format!("the certificate in {} {what}", tls.certificate.display()),
                    place: self.place_of("listen.tls.certificate"),
                })),
                Err(found) => faults.extend(found.0.iter().map(|fault| self.fault_of(fault.key, fault.to_string()))),
            }
        }
        if let Err(error) = upstream::client_config(self.settings.upstream.ca_file.as_deref()) {
            faults.push(self.fault_of("upstream.ca_file", error.to_string()));
        }
        match self.settings.audit.signing_key.as_deref().map(SigningKey::read) {
            None => {}
            Some(Ok(key)) => warnings.extend(key.exposed().map(|what| Warning {
                message: format!("audit.signing_key_file {what}"),
                place: self.place_of("audit.signing_key_file"),
            })),
            Some(Err(fault)) => {
                faults.push(self.fault_of("audit.signing_key_file", format!("audit.signing_key_file {fault}")));
            }
        }
        self.warnings.append(&mut warnings);
        if faults.is_empty() {
            return Ok(());
        }
        Err(Faults::new(self.source.clone(), faults))
    }

    fn place_of(&self, key: &str) -> Option<Place> {
        self.files.iter().find(|(path, _)| path == key).map(|(_, place)| *place)
    }

    fn fault_of(&self, key: &str, message: String) -> Fault {
        match self.place_of(key) {
            Some(place) => Fault::new(place, message),
            None => Fault::of_file(message),
        }
    }
}
