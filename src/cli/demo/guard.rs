//! The guards of the demo and their trails.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::app::{Guard, GuardError};
use crate::config;

/// A guard on a thread of its own.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), GuardError>>,
}

impl Running {
    /// Starts one before this upstream, with its trail in this folder and further sections of configuration.
    pub(super) fn start(upstream: SocketAddr, folder: &Path, sections: &str) -> io::Result<Self> {
        let trail = serde_json::Value::from(folder.join("audit.jsonl").to_string_lossy());
        let text = format!(
            "listen: {{address: '127.0.0.1:0'}}\nadmin: null\nupstream: {{url: 'http://{upstream}'}}\naudit: {{path: {trail}}}\n\
             {sections}\n"
        );
        let loaded = config::compile("demo", &text, &|_| None).map_err(io::Error::other)?;
        let guard = Guard::start(loaded.settings, 1).map_err(io::Error::other)?;
        let (stop, told) = oneshot::channel();
        let address = guard.address();
        let thread = std::thread::Builder::new().name("guard".to_owned()).spawn(move || {
            guard.run_until(async {
                let _ = told.await;
            })
        })?;
        Ok(Running { address, stop, thread })
    }

    /// Stops it, its trail written to the end.
    pub(super) async fn stop(self) -> io::Result<()> {
        let _ = self.stop.send(());
        let thread = self.thread;
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        match joined.map_err(io::Error::other)? {
            Ok(stopped) => stopped.map_err(io::Error::other),
            Err(_) => Err(io::Error::other("the guard ended by a panic")),
        }
    }
}

/// The folder of a trail, gone with it.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("qstash-guard-demo-{}", Uuid::now_v7()));
        std::fs::create_dir(&path)?;
        Ok(Folder(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            let _ = writeln!(io::stderr(), "{} could not be removed: {error}", self.0.display());
        }
    }
}
