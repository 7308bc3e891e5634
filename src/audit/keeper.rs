//! The thread that looks after rotated files: it compresses them, and has those that are too many recorded and removed.
//! Nothing it does keeps the writer waiting, and nothing that fails here fails the trail.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender};
use tokio::sync::oneshot;

use super::compress::{compress, settle};
use super::event::Event;
use super::record::Record;
use super::rotated::{Rotated, Rotations, file_name};
use super::trail::Observe;
use super::writer::{Control, Entry};

/// The handle; the thread ends soon after it goes.
pub(super) struct Keeper {
    wake: Sender<()>,
    /// Whether files that are too many are the thread's to remove. Once they are, they stay so.
    prunes: Arc<AtomicBool>,
}

impl Keeper {
    /// Starts the thread, which does nothing before it is woken: until then the trail may be another guard's.
    pub(super) fn start(
        rotations: Rotations,
        compress: bool,
        control: Sender<Control>,
        observe: Arc<dyn Observe>,
    ) -> io::Result<Self> {
        // One that waits is enough: each time all is looked through.
        let (wake, woken) = crossbeam_channel::bounded(1);
        let prunes = Arc::new(AtomicBool::new(compress));
        let keeping = Keeping {
            prunes: Arc::clone(&prunes),
            rotations,
            compress,
            control,
            observe,
        };
        thread::Builder::new()
            .name("audit-keeper".to_owned())
            .spawn(move || keeping.run(&woken))?;
        Ok(Keeper { wake, prunes })
    }

    /// Says that the trail was opened, or a file rotated.
    pub(super) fn wake(&self) {
        _ = self.wake.try_send(());
    }

    /// Whether the thread removes these files, too many as they are, and not the writer. It does from when on some of them
    /// are compressed: what such a file holds takes reading it, and nobody should wait for that.
    pub(super) fn prunes(&self, surplus: &[Rotated]) -> bool {
        let any = surplus.iter().any(|file| file.is_compressed);
        self.prunes.fetch_or(any, Ordering::SeqCst) || any
    }
}

struct Keeping {
    prunes: Arc<AtomicBool>,
    rotations: Rotations,
    compress: bool,
    control: Sender<Control>,
    observe: Arc<dyn Observe>,
}

impl Keeping {
    fn run(self, woken: &Receiver<()>) {
        let mut tidy = false;
        while woken.recv().is_ok() {
            if !tidy {
                match self.tidy() {
                    Ok(()) => tidy = true,
                    Err(error) => self.failed("what an earlier guard left half compressed cannot be removed", &error),
                }
            }
            if let Err(error) = self.prune() {
                tracing::warn!(%error, "old files of the audit trail cannot be removed; the next rotation tries again");
                self.observe.failed();
            }
            if self.compress
                && let Err(error) = self.compress_all()
            {
                self.failed(
                    "a rotated file of the audit trail is not compressed; it stays as it is",
                    &error,
                );
            }
        }
    }

    fn failed(&self, what: &'static str, error: &io::Error) {
        tracing::warn!(%error, "{what}; the next rotation or start tries again");
        self.observe.compress_failed();
    }

    /// Removes what a crash left unfinished, and one of each two copies.
    fn tidy(&self) -> io::Result<()> {
        let unfinished = self.rotations.unfinished()?;
        for path in &unfinished {
            fs::remove_file(path)?;
        }
        if !unfinished.is_empty() {
            self.rotations.sync()?;
        }
        for file in self.rotations.all()? {
            if file.is_plain && file.is_compressed && !settle(&self.rotations, &file)? {
                tracing::warn!(
                    file = file_name(&file.plain),
                    "its compressed copy was not the same, and is set aside"
                );
            }
        }
        Ok(())
    }

    /// Has the files that are too many recorded, then removes them, as the writer does where none is compressed.
    fn prune(&self) -> io::Result<()> {
        if !self.prunes.load(Ordering::SeqCst) {
            return Ok(());
        }
        let surplus = self.rotations.surplus()?;
        if surplus.is_empty() {
            return Ok(());
        }
        let files: Vec<String> = surplus.iter().map(Rotated::describe).collect::<io::Result<_>>()?;
        let (reply, result) = oneshot::channel();
        let entry = Entry {
            record: Box::new(pruned(&files)),
            reply: Some(reply),
        };
        if self.control.send(Control::Write(entry)).is_err() {
            return Ok(());
        }
        match result.blocking_recv() {
            Ok(Ok(_)) => self.rotations.remove(&surplus),
            // The trail has failed, and said so, or was closed.
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }

    fn compress_all(&self) -> io::Result<()> {
        let mut first = Ok(());
        for file in self.rotations.all()? {
            if file.is_plain && !file.is_compressed {
                first = first.and(compress(&self.rotations, &file));
            }
        }
        first
    }
}

/// The record of files that are about to be removed.
pub(super) fn pruned(files: &[String]) -> Record {
    Record {
        detail: Some(files.join("; ")),
        ..Record::new(Event::Pruned)
    }
}
