//! The configuration read again while the guard runs.
//!
//! One task does it, one reload after the other: on SIGHUP, and when the file was changed. A request is judged by the
//! snapshot that it began with; the next one takes the new one. Nothing waits and nothing is closed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::signal::unix::Signal;
use tokio::time::MissedTickBehavior;

use super::certificates::Certificates;
use crate::audit::{Event, Record, Recorded, Trail};
use crate::config::{self, Faults, Loaded, Settings, Watched};
use crate::layers::exchange::Snapshot;
use crate::limits::Limiter;
use crate::policy::Mode;
use crate::server::Drain;
use crate::telemetry::{Metrics, logs};

/// How often the file is looked at. A change is taken at the second look that finds it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// So many bytes of a fault are recorded; the log has all of it.
const MOST_OF_A_FAULT: usize = 1024;

/// What requests are judged by, built from settings. Limits that stay as they were keep their state; all else that a
/// snapshot holds begins anew.
pub(super) fn snapshot(settings: &Settings, present: Option<&Snapshot>) -> Snapshot {
    let limits = settings.limits.clone();
    Snapshot {
        policy: settings.policy.clone(),
        credentials: settings.credentials,
        limits: Arc::new(match present {
            None => Limiter::new(limits),
            Some(present) => present.limits.renewed(limits),
        }),
        record_all: settings.audit.record == Recorded::All,
    }
}

/// What is said of monitor mode in records of the policy; nothing where violations are refused.
pub(super) fn rehearsal(settings: &Settings) -> &'static str {
    match settings.policy.mode {
        Mode::Enforce => "",
        Mode::Monitor => ", mode monitor: nothing is refused",
    }
}

/// Reloads a running guard.
pub(super) struct Reloader {
    /// The configuration.
    pub(super) watched: Watched,
    /// Asks for a reload at once.
    pub(super) hangups: Signal,
    /// What is in force.
    pub(super) running: Settings,
    /// Where the cores take it from.
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    /// Where reloads are recorded.
    pub(super) trail: Trail,
    /// Where they are counted.
    pub(super) metrics: Metrics,
    /// What clients are shown, where TLS is spoken.
    pub(super) certificates: Option<Certificates>,
}

/// Why the configuration was read again.
#[derive(Clone, Copy, Debug)]
enum Cause {
    Hangup,
    Changed,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Hangup => "by SIGHUP",
            Cause::Changed => "the file changed",
        })
    }
}

impl Reloader {
    /// Reloads until the drain starts.
    pub(super) async fn run(mut self, drain: Drain) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = drain.started() => return,
                Some(()) = self.hangups.recv() => {
                    if let Err(error) = self.trail.reopen().await {
                        tracing::error!(%error, "the audit trail cannot be opened again");
                    }
                    let read = self.read(|watched| Some(watched.load(&config::process_environment)));
                    if let Some(result) = read.await {
                        self.take(Cause::Hangup, result).await;
                    }
                    if let Some(certificates) = &mut self.certificates {
                        certificates.reload().await;
                    }
                }
                _ = looks.tick() => {
                    let read = self.read(|watched| watched.look(&config::process_environment));
                    if let Some(result) = read.await {
                        self.take(Cause::Changed, result).await;
                    }
                    if let Some(certificates) = &mut self.certificates {
                        certificates.look().await;
                    }
                }
            }
        }
    }

    /// Reads on a thread that may block: a file on a network may hang, and the admin port must not.
    async fn read<T: Send + 'static>(
        &mut self,
        read: impl FnOnce(&mut Watched) -> Option<T> + Send + 'static,
    ) -> Option<T> {
        let mut watched = self.watched.clone();
        let done = tokio::task::spawn_blocking(move || {
            let read = read(&mut watched);
            (watched, read)
        });
        match done.await {
            Ok((watched, read)) => {
                self.watched = watched;
                read
            }
            Err(error) => {
                tracing::error!(%error, "the configuration could not be read");
                None
            }
        }
    }

    async fn take(&mut self, cause: Cause, result: Result<Loaded, Faults>) {
        match result {
            Ok(loaded) => self.load(cause, loaded).await,
            Err(faults) => self.reject(cause, &faults).await,
        }
    }

    async fn load(&mut self, cause: Cause, mut loaded: Loaded) {
        let held = loaded.hold(&self.running);
        let Loaded { settings, warnings, .. } = loaded;
        let (policy, before) = (&settings.policy.digest, &self.running.policy.digest);
        let change = if policy == before {
            "as before".to_owned()
        } else {
            format!("before: {before}")
        };
        let rest = if held.is_empty() {
            String::new()
        } else {
            format!("; takes effect after a restart: {}", held.join(", "))
        };
        let detail = format!("{cause}; {change}{}{rest}", rehearsal(&settings));
        // First the record, then the policy: no record that was judged by it stands before its own. It is owed to a trail
        // that fails, so that it comes first once the trail can be written; whoever tightens a policy is not kept from it.
        self.record(Record {
            policy: Some(policy.clone()),
            detail: Some(detail),
            ..Record::new(Event::PolicyLoaded)
        })
        .await;
        let next = snapshot(&settings, Some(&self.snapshot.load()));
        self.snapshot.store(Arc::new(next));
        logs::set_level(settings.log.level);
        self.metrics.policy_loaded();
        let config = self.watched.name();
        tracing::info!(config, %policy, %before, %cause, "policy loaded");
        for warning in &warnings {
            tracing::warn!("{}", warning.message());
        }
        if !held.is_empty() {
            tracing::warn!(config, "takes effect after a restart: {}", held.join(", "));
        }
        self.running = settings;
    }

    async fn reject(&self, cause: Cause, faults: &Faults) {
        let policy = &self.running.policy.digest;
        let first = faults.iter().next().map_or("", |fault| fault.message());
        let end = first.floor_char_boundary(MOST_OF_A_FAULT);
        let detail = match faults.len() {
            1 => format!("{cause}; {}", &first[..end]),
            faults => format!("{cause}; {faults} faults, the first: {}", &first[..end]),
        };
        self.metrics.policy_rejected();
        tracing::error!(
            config = self.watched.name(),
            policy,
            %cause,
            %faults,
            "the new configuration is faulty; the policy in force stays"
        );
        self.record(Record {
            policy: Some(policy.clone()),
            detail: Some(detail),
            ..Record::new(Event::PolicyRejected)
        })
        .await;
    }

    async fn record(&self, record: Record) {
        if let Err(error) = self.trail.commit(record).await {
            tracing::error!(%error, "a reload is not recorded yet; it will be as soon as the trail can be written");
        }
    }
}
