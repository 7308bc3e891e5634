//! The composition root: settings in, a running guard out.

mod background;
mod certificates;
mod reload;
mod token;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::Signal;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use self::certificates::Certificates;
use crate::audit::{Event, Record, StartFault, Trail, TrailError};
use crate::config::{Settings, Watched};
use crate::layers::exchange::Snapshot;
use crate::layers::follow::MOST_FOLLOWED;
use crate::layers::suppressed::Suppressed;
use crate::limits::{Store, StoreSettings};
use crate::server::admin::Admin;
use crate::server::tls::TlsFaults;
use crate::server::{BindError, Connections, Drain, Listeners};
use crate::stack::{self, Parts};
use crate::telemetry::Metrics;
use crate::upstream::{Client, TlsError, client_config};
use token::TokenHolder;

pub use token::TokenFault;

/// Why a guard does not start, or not end, as it should.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The trail.
    #[error(transparent)]
    Trail(#[from] StartFault),
    /// The trail, at the end.
    #[error("the audit trail could not be closed: {0}")]
    Close(#[from] TrailError),
    /// An address.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The upstream's roots.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The guard's own token.
    #[error(transparent)]
    Token(#[from] TokenFault),
    /// The certificate for clients.
    #[error(transparent)]
    Certificate(#[from] TlsFaults),
    /// The system.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The metrics.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// A guard that serves.
pub struct Guard {
    address: SocketAddr,
    admin: Option<SocketAddr>,
    trail: Trail,
    ready: Arc<AtomicBool>,
    drain: Drain,
    cores: Vec<JoinHandle<()>>,
    main: Runtime,
    suppressed: Arc<Suppressed>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    metrics: Metrics,
    token: Option<TokenHolder>,
    certificates: Option<Certificates>,
    settings: Settings,
}

impl Guard {
    /// Starts a guard on a runtime of its own.
    ///
    /// # Errors
    /// See [`Guard::start_on`].
    pub fn start(settings: Settings, cores: usize) -> Result<Self, GuardError> {
        Guard::start_on(Builder::new_current_thread().enable_all().build()?, settings, cores)
    }

    /// Starts a guard: the trail first, then the ports, then one thread for each of `cores`. What is no request runs on
    /// `main`: the admin port, reloads, and the end.
    ///
    /// # Errors
    /// [`GuardError`]; then nothing is left running.
    pub fn start_on(main: Runtime, settings: Settings, cores: usize) -> Result<Self, GuardError> {
        let metrics = Metrics::new()?;
        let tls = client_config(settings.upstream.ca_file.as_deref())?;
        let token = settings.token.clone().map(TokenHolder::open).transpose()?;
        let certificates = settings.listen.tls.clone().map(Certificates::load).transpose()?;

        // The trail is opened, locked and written before a port opens: a guard that cannot write it does not serve.
        let origin = &settings.upstream.origin;
        let started = Record {
            policy: Some(settings.policy.digest.clone()),
            detail: Some(format!(
                "version {}, upstream {}{}",
                env!("CARGO_PKG_VERSION"),
                origin.host_header(),
                reload::rehearsal(&settings)
            )),
            ..Record::new(Event::Started)
        };
        let opened = Trail::open(&settings.audit, instance(), started, Arc::new(metrics.clone()))?;
        let trail = opened.trail;
        if let Some(set_aside) = &opened.set_aside {
            tracing::warn!(?set_aside, "the trail's last lines were torn and are set aside");
        }
        if let Some(failure) = &opened.failure {
            tracing::error!(error = %failure, "the audit trail cannot be written; guarded requests pass unrecorded");
        }

        let listeners = Listeners::bind(settings.listen.address, cores)?;
        let admin_listeners = settings
            .admin
            .as_ref()
            .map(|admin| Listeners::bind(admin.address, 1))
            .transpose()?;

        // It keeps itself connected on `main`. One that cannot be reached is no reason not to serve.
        let store = settings.store.address.clone().map(|address| {
            let StoreSettings { timeout, on_error, .. } = settings.store;
            let (tls, observe) = (Arc::clone(&tls), Arc::new(metrics.clone()));
            main.block_on(Store::open(address, timeout, on_error, tls, observe))
        });
        let snapshot = reload::first(&settings, token.as_ref(), store.clone());
        let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
        let drain = Drain::default();
        let suppressed = Arc::new(Suppressed::default());
        let slots = settings.resources.max_connections.min(Semaphore::MAX_PERMITS);
        metrics.may_be_open(slots);
        let slots = Arc::new(Semaphore::new(slots));
        let followed = Arc::new(Semaphore::new(MOST_FOLLOWED));
        let address = listeners.address;
        let mut threads = Vec::new();
        for (core, socket) in listeners.sockets.into_iter().enumerate() {
            let resources = &settings.resources;
            let client = Client::new(
                &settings.upstream,
                Arc::clone(&tls),
                resources.body_idle_timeout,
                resources.max_header_bytes,
            )?;
            let tasks = TaskTracker::new();
            let parts = Parts {
                metrics: metrics.clone(),
                trail: trail.clone(),
                on_failure: settings.audit.on_failure,
                suppressed: Arc::clone(&suppressed),
                tasks: tasks.clone(),
                path_prefix: settings.listen.path_prefix.as_str().into(),
                stopping: drain.token(),
                followed: Arc::clone(&followed),
                max_inspected_body: resources.max_inspected_body,
                body_idle: resources.body_idle_timeout,
            };
            let connections = Connections::new(
                stack::build(parts, client.clone()),
                Arc::clone(&snapshot),
                (&settings.listen, resources),
                certificates.as_ref().map(|own| own.presented().clone()),
                Arc::clone(&slots),
                metrics.clone(),
                drain.clone(),
            );
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let (grace, sweep_every) = (resources.shutdown_grace, settings.upstream.idle_timeout);
            let thread = std::thread::Builder::new()
                .name(format!("core-{core}"))
                .spawn(move || {
                    runtime.block_on(async move {
                        let sweeping = tokio::spawn(sweep(client, sweep_every));
                        match tokio::net::TcpListener::from_std(socket) {
                            Ok(listener) => {
                                let open = connections.accept(listener).await;
                                finish(&open, &tasks, grace).await;
                            }
                            Err(error) => tracing::error!(%error, "a core cannot listen"),
                        }
                        sweeping.abort();
                    });
                    runtime.shutdown_timeout(Duration::from_secs(1));
                })?;
            threads.push(thread);
        }

        let ready = Arc::new(AtomicBool::new(true));
        let admin = match (admin_listeners, &settings.admin) {
            (Some(Listeners { address, sockets }), Some(admin)) => {
                let service = Admin {
                    metrics: metrics.clone(),
                    trail: trail.clone(),
                    store,
                    ready: Arc::clone(&ready),
                    token_file: admin.token_file.clone(),
                    loopback: address.ip().is_loopback(),
                };
                let _context = main.enter();
                if let Some(socket) = sockets.into_iter().next() {
                    main.spawn(service.serve(tokio::net::TcpListener::from_std(socket)?));
                }
                Some(address)
            }
            _ => None,
        };
        main.spawn(housekeep(trail.clone(), Arc::clone(&suppressed), Arc::clone(&snapshot)));
        Ok(Guard {
            address,
            admin,
            trail,
            ready,
            drain,
            cores: threads,
            main,
            suppressed,
            snapshot,
            metrics,
            token,
            certificates,
            settings,
        })
    }
}

impl Guard {
    /// The address that is served, its port known.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The admin address, if there is one.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// From now on reloads the configuration and the certificate when they change and with each of `hangups`, which also
    /// reopens an audit file that was moved away. The settings that the guard runs with were loaded from `watched`.
    pub fn reload_from(&mut self, watched: Watched, hangups: Signal) {
        let reloader = reload::Reloader {
            watched,
            hangups,
            token: self.token.take(),
            waiting: None,
            running: self.settings.clone(),
            snapshot: Arc::clone(&self.snapshot),
            trail: self.trail.clone(),
            metrics: self.metrics.clone(),
            certificates: self.certificates.clone(),
        };
        self.main.spawn(reloader.run(self.drain.clone()));
    }

    /// Serves until `told` resolves, then shuts down: readyz fails, `shutdown_delay` passes, requests in flight finish
    /// within `shutdown_grace`, the trail is closed.
    ///
    /// # Errors
    /// If the trail could not be closed with its last record.
    pub fn run_until(self, told: impl Future<Output = ()>) -> Result<(), GuardError> {
        let Guard {
            trail,
            ready,
            drain,
            cores,
            main,
            suppressed,
            settings,
            ..
        } = self;
        let ended = main.block_on(async {
            told.await;
            ready.store(false, Ordering::Release);
            tokio::time::sleep(settings.resources.shutdown_delay).await;
            drain.start();
            // The admin port goes on answering while the cores finish: they are joined off this thread.
            let joined = tokio::task::spawn_blocking(move || cores.into_iter().all(|core| core.join().is_ok()));
            if !joined.await.unwrap_or(false) {
                tracing::error!("a core ended by a panic");
            }
            if let Some(record) = suppressed.take_record()
                && let Err(error) = trail.commit(record).await
            {
                tracing::error!(%error, "the number of unrecorded denials could not be recorded");
            }
            let (seq, hash) = trail.close(Record::new(Event::Stopped)).await?;
            tracing::info!(seq, hash, "stopped");
            Ok(())
        });
        // A configuration that is just being read may hang in the disk; nobody waits for it any more.
        main.shutdown_background();
        ended
    }
}

/// Waits for what is open, `grace` at most. A guarded request whose client left counts too: its outcome is awaited.
async fn finish(open: &TaskTracker, tasks: &TaskTracker, grace: Duration) {
    tasks.close();
    let all = async {
        open.wait().await;
        tasks.wait().await;
    };
    if tokio::time::timeout(grace, all).await.is_err() {
        tracing::warn!(
            connections = open.len(),
            guarded = tasks.len(),
            "shutdown_grace is over; closing what is open"
        );
    }
}

/// Closes upstream connections that were not used for too long.
async fn sweep(client: Client, every: Duration) {
    let mut ticks = tokio::time::interval((every / 4).max(Duration::from_millis(100)));
    loop {
        ticks.tick().await;
        client.sweep();
    }
}

/// Once a minute: records how many denials were not, and forgets callers whose limits are full again.
async fn housekeep(trail: Trail, suppressed: Arc<Suppressed>, snapshot: Arc<ArcSwap<Snapshot>>) {
    let mut ticks = tokio::time::interval(Duration::from_mins(1));
    loop {
        ticks.tick().await;
        snapshot.load().limits.sweep();
        if let Some(record) = suppressed.take_record()
            && let Err(error) = trail.commit(record).await
        {
            tracing::error!(%error, "the number of unrecorded denials could not be recorded");
        }
    }
}

/// The name of this host or pod.
fn instance() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
