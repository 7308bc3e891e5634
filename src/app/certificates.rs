//! The certificate for clients, read again when its files change.

use jiff::Timestamp;

use crate::config::{Look, Looks};
use crate::server::Tls;
use crate::server::tls::{Identity, Presented, TlsFaults, TlsFiles};

/// What is presented to clients, and what of its files was seen last.
#[derive(Clone, Debug)]
pub(super) struct Certificates {
    files: Tls,
    looks: Looks,
    presented: Presented,
}

impl Certificates {
    /// Reads the files. Blocks.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(super) fn load(files: Tls) -> Result<Self, TlsFaults> {
        let read = TlsFiles::read(&files);
        let identity = read.identity()?;
        warn_if_out_of_date(&files, &identity);
        let mut looks = Looks::default();
        looks.take(Look::at(read.contents()));
        Ok(Certificates {
            files,
            looks,
            presented: Presented::new(identity),
        })
    }

    /// What new connections shake hands with.
    pub(super) fn presented(&self) -> &Presented {
        &self.presented
    }

    /// Reads the files again.
    pub(super) async fn reload(&mut self) {
        self.read(|looks, now| {
            looks.take(now);
            true
        })
        .await;
    }

    /// Looks at the files, and reads them where they are not what was taken last. A certificate that has changed before
    /// its key is faulty, and the next look finds both.
    pub(super) async fn look(&mut self) {
        self.read(Looks::find_change).await;
    }

    /// Reads on a thread that may block: a file on a network may hang, and the admin port must not.
    async fn read(&mut self, is_taken: impl FnOnce(&mut Looks, Look) -> bool) {
        let files = self.files.clone();
        let read = tokio::task::spawn_blocking(move || {
            let read = TlsFiles::read(&files);
            (Look::at(read.contents()), read)
        });
        let (look, read) = match read.await {
            Ok(read) => read,
            Err(error) => return tracing::error!(%error, "the certificate could not be read"),
        };
        if !is_taken(&mut self.looks, look) {
            return;
        }
        let certificate = self.files.certificate.display();
        match read.identity() {
            Ok(identity) => {
                tracing::info!(%certificate, not_after = %identity.not_after(), "certificate loaded");
                warn_if_out_of_date(&self.files, &identity);
                self.presented.replace(identity);
            }
            Err(faults) => tracing::error!(
                %certificate,
                %faults,
                "the new certificate cannot be used; the one in force stays"
            ),
        }
    }
}

fn warn_if_out_of_date(files: &Tls, identity: &Identity) {
    if let Some(what) = identity.out_of_date(Timestamp::now()) {
        tracing::warn!("the certificate in {} {what}", files.certificate.display());
    }
}
