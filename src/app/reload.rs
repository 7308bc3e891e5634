//! The configuration read again while the guard runs.
//!
//! One task does it, one reload after the other: on SIGHUP, and when the file was changed. A request is judged by the
//! snapshot that it began with; the next one takes the new one. Nothing waits and nothing is closed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::signal::unix::Signal;
use tokio::task::JoinError;
use tokio::time::MissedTickBehavior;

use super::background::{Background, finished};
use super::certificates::Certificates;
use super::token::TokenHolder;
use crate::audit::{Event, Record, Recorded, Trail};
use crate::config::{self, Faults, Loaded, Settings, Watched};
use crate::layers::TokenSource;
use crate::layers::exchange::Snapshot;
use crate::layers::overrun::Overruns;
use crate::limits::{Limiter, Store};
use crate::policy::Mode;
use crate::server::Drain;
use crate::telemetry::{Metrics, logs};

/// How often the file is looked at. A change is taken at the second look that finds it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// So many bytes of a fault are recorded; the log has all of it.
const MOST_OF_A_FAULT: usize = 1024;

/// What requests are judged by at first.
pub(super) fn first(settings: &Settings, token: Option<&TokenHolder>, store: Option<Store>) -> Snapshot {
    let limits = Limiter::new(settings.limits.clone()).sharing(store);
    snapshot(settings, token, limits, Arc::default())
}

/// What they are judged by next. Limits that stay as they were keep their state; all else that a snapshot holds begins
/// anew.
fn next(settings: &Settings, token: Option<&TokenHolder>, present: &Snapshot) -> Snapshot {
    // The same one, so that a cancel of the policy before that overruns its cap now is not overlooked.
    present.overruns.forget();
    let limits = present.limits.renewed(settings.limits.clone());
    snapshot(settings, token, limits, Arc::clone(&present.overruns))
}

fn snapshot(settings: &Settings, token: Option<&TokenHolder>, limits: Limiter, overruns: Arc<Overruns>) -> Snapshot {
    Snapshot {
        policy: settings.policy.clone(),
        credentials: settings.credentials,
        broker: token.map(|token| Arc::clone(&token.broker)),
        limits: Arc::new(limits),
        record_all: settings.audit.record == Recorded::All,
        follow_bulk_actions: settings.audit.follow_bulk_actions,
        overruns,
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
    /// The guard's own token, where it holds one.
    pub(super) token: Option<TokenHolder>,
    /// A configuration whose file with the token is not there yet.
    pub(super) waiting: Option<(Cause, Loaded)>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// SIGHUP.
    Hangup,
    /// The file changed.
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

/// The configuration as it was seen, and what is to be taken of it.
type Read = (Watched, Option<Result<Loaded, Faults>>);

/// Reads what of the configuration is asked for; for a change, only what has changed and stands still.
fn read(watched: &Watched, cause: Cause) -> Background<(Cause, Read)> {
    let mut watched = watched.clone();
    Background::new(tokio::task::spawn_blocking(move || {
        let read = match cause {
            Cause::Hangup => Some(watched.load(&config::process_environment)),
            Cause::Changed => watched.look(&config::process_environment),
        };
        (cause, (watched, read))
    }))
}

impl Reloader {
    /// Reloads until the drain starts.
    pub(super) async fn run(mut self, drain: Drain) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looked = Timestamp::now();
        // Each file by itself: one that hangs keeps no other from being read, nor the trail from being opened again.
        let (mut reading, mut token, mut certificates) = (None, None, None);
        let (mut asked, mut token_asked, mut certificates_asked) = (false, false, false);
        loop {
            tokio::select! {
                biased;
                () = drain.started() => return,
                Some(()) = self.hangups.recv() => {
                    if let Err(error) = self.trail.reopen().await {
                        tracing::error!(%error, "the audit trail cannot be opened again");
                    }
                    (asked, token_asked, certificates_asked) = (true, true, true);
                }
                looked = finished(&mut token) => self.take_token(looked),
                looked = finished(&mut certificates) => match looked {
                    Ok(looked) => self.certificates = Some(looked),
                    Err(error) => tracing::error!(%error, "the certificate could not be read again"),
                },
                done = finished(&mut reading) => {
                    match done {
                        Ok((cause, (watched, result))) => {
                            self.watched = watched;
                            if let Some(result) = result {
                                self.take(cause, result).await;
                            } else if let Some((cause, loaded)) = self.waiting.take() {
                                self.load(cause, loaded, true).await;
                            }
                        }
                        Err(error) => tracing::error!(%error, "the configuration could not be read"),
                    }
                }
                _ = looks.tick() => {
                    looked = self.tell_of_expired(looked);
                    match &mut reading {
                        None => reading = Some(read(&self.watched, Cause::Changed)),
                        Some(reading) => reading.tell_if_late("the configuration"),
                    }
                    match &mut token {
                        None => token = self.look_at_token(false),
                        Some(token) => token.tell_if_late("the token"),
                    }
                    match &mut certificates {
                        None => certificates = self.look_at_certificates(false),
                        Some(certificates) => certificates.tell_if_late("the certificate"),
                    }
                }
            }
            // What was being read already may have been read too early.
            if asked && reading.is_none() {
                asked = false;
                reading = Some(read(&self.watched, Cause::Hangup));
            }
            if token_asked && token.is_none() {
                token_asked = false;
                token = self.look_at_token(true);
            }
            if certificates_asked && certificates.is_none() {
                certificates_asked = false;
                certificates = self.look_at_certificates(true);
            }
        }
    }

    /// Says which rules have expired since then; gives the time up to which that is now said.
    fn tell_of_expired(&self, since: Timestamp) -> Timestamp {
        let now = Timestamp::now();
        for rule in self.running.policy.rules.iter() {
            if rule.has_expired(now) && !rule.has_expired(since) {
                tracing::warn!(rule = &*rule.name, "the rule has expired and is skipped from now on");
            }
        }
        now
    }

    /// Looks at the file of the token that is in force.
    fn look_at_token(&self, at_once: bool) -> Option<Background<TokenHolder>> {
        let mut token = self.token.clone()?;
        Some(Background::new(tokio::task::spawn_blocking(move || {
            token.look(at_once);
            token
        })))
    }

    /// Keeps what was seen of the token's file, unless another configuration has another token by now.
    fn take_token(&mut self, looked: Result<TokenHolder, JoinError>) {
        match looked {
            Ok(token) => {
                if let Some(present) = self
                    .token
                    .as_mut()
                    .filter(|present| Arc::ptr_eq(&present.broker, &token.broker))
                {
                    *present = token;
                }
            }
            Err(error) => tracing::error!(%error, "the token could not be read again"),
        }
    }

    /// Looks at the files of the certificate.
    fn look_at_certificates(&self, at_once: bool) -> Option<Background<Certificates>> {
        let mut certificates = self.certificates.clone()?;
        Some(Background::new(tokio::spawn(async move {
            if at_once {
                certificates.reload().await;
            } else {
                certificates.look().await;
            }
            certificates
        })))
    }

    /// The holder of the token that new settings ask for: the one that is in force, where the source is the same.
    async fn token_for(&self, source: Option<TokenSource>) -> Result<Option<TokenHolder>, String> {
        let Some(source) = source else { return Ok(None) };
        if let Some(token) = self.token.as_ref().filter(|token| token.comes_from(&source)) {
            return Ok(Some(token.clone()));
        }
        let opened = tokio::task::spawn_blocking(|| TokenHolder::open(source)).await;
        match opened {
            Ok(opened) => opened.map(Some).map_err(|fault| fault.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn take(&mut self, cause: Cause, result: Result<Loaded, Faults>) {
        self.waiting = None;
        match result {
            Ok(loaded) => self.load(cause, loaded, false).await,
            Err(faults) => self.reject(cause, &first_fault(&faults), &faults).await,
        }
    }

    /// Puts a configuration in force. Where its file with the token cannot be used it is rejected, once, and waits for that
    /// file: the two may be written in either order.
    async fn load(&mut self, cause: Cause, mut loaded: Loaded, has_waited: bool) {
        match self.token_for(loaded.settings.token.clone()).await {
            Ok(token) => self.token = token,
            Err(fault) => {
                if !has_waited {
                    self.reject(cause, &fault, &fault).await;
                }
                self.waiting = Some((cause, loaded));
                return;
            }
        }
        let held = loaded.hold(&self.running);
        let warnings: Vec<_> = loaded.warnings_at(Timestamp::now()).cloned().collect();
        let settings = loaded.settings;
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
        let present = self.snapshot.load_full();
        let anew = present.limits.begin_anew(&settings.limits);
        let anew = if anew.is_empty() {
            String::new()
        } else {
            format!("; limits that begin with full buckets: {}", anew.join(", "))
        };
        let again = if present.overruns.any() {
            "; caps that were overrun are trusted again"
        } else {
            ""
        };
        let detail = format!("{cause}; {change}{}{anew}{rest}{again}", rehearsal(&settings));
        // First the record, then the policy: no record that was judged by it stands before its own. It is owed to a trail
        // that fails, so that it comes first once the trail can be written; whoever tightens a policy is not kept from it.
        self.record(Record {
            policy: Some(policy.clone()),
            detail: Some(detail),
            ..Record::new(Event::PolicyLoaded)
        })
        .await;
        let next = next(&settings, self.token.as_ref(), &present);
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

    /// Leaves the policy as it is; `first` is what the record says, `faults` what the log says.
    async fn reject(&self, cause: Cause, first: &str, faults: &(dyn fmt::Display + Sync)) {
        let policy = &self.running.policy.digest;
        let end = first.floor_char_boundary(MOST_OF_A_FAULT);
        let detail = format!("{cause}; {}", &first[..end]);
        self.metrics.policy_rejected();
        tracing::error!(
            config = self.watched.name(),
            policy,
            %cause,
            faults = %faults,
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

/// How many faults there are, and the first of them.
fn first_fault(faults: &Faults) -> String {
    let first = faults.iter().next().map_or("", |fault| fault.message());
    match faults.len() {
        1 => first.to_owned(),
        faults => format!("{faults} faults, the first: {first}"),
    }
}
