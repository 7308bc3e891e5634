//! A store that several guards count in: Redis or Valkey, asked by one atomic script.
//!
//! One connection serves all cores: only limited requests ask, and their questions travel on it one behind the other. A
//! question waits `timeout` at most. The first that fails closes the connection, and until it is there again nobody
//! waits: questions fail at once.

mod address;
mod keeper;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, Script};
use rustls::ClientConfig;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

pub use address::Address;

use super::settings::OnError;

/// `rate_limit_store`, where it is not in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Where it is; `None` is memory.
    pub address: Option<Address>,
    /// How long a question waits for its answer.
    pub timeout: Duration,
    /// What happens without an answer.
    pub on_error: OnError,
}

/// What a store tells of itself, for metrics.
pub trait Observe: Send + Sync {
    /// It answers from now on, or no longer does.
    fn store_answers(&self, answers: bool);
    /// A question had no answer.
    fn store_failed(&self);
    /// A request passed uncounted for want of an answer.
    fn passed_uncounted(&self);
}

/// What a bucket is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The bucket's key in the store.
    pub key: String,
    /// How long one unit takes to come back, rounded up to whole microseconds.
    pub interval: Duration,
    /// How much a full bucket holds.
    pub burst: u32,
    /// How much to take.
    pub cost: u32,
    /// Whether to take what is there, where that is less.
    pub at_most: bool,
}

/// What a bucket answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// How long until it could be taken; nothing where it was.
    pub wait: Option<Duration>,
    /// What is left.
    pub left: u32,
    /// When, by the store's clock, since the Unix epoch.
    pub at: Duration,
}

/// A question had no answer. It may have been counted all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store of limits does not answer")]
pub struct Unanswered;

/// A handle of the store, for any thread and runtime.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    address: Address,
    timeout: Duration,
    on_error: OnError,
    tls: Arc<ClientConfig>,
    script: Script,
    /// The connection; none while the store does not answer.
    link: ArcSwapOption<Link>,
    /// Wakes whoever connects again.
    lost: Notify,
    observe: Arc<dyn Observe>,
}

struct Link {
    connection: MultiplexedConnection,
    /// The task that reads and writes; without it a server that hangs would hold the connection for ever.
    driver: AbortHandle,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Store {
    /// Connects, once and for a moment, then keeps the store connected for as long as the present runtime lives. One that
    /// does not answer is logged and tried again.
    pub async fn open(
        address: Address,
        timeout: Duration,
        on_error: OnError,
        tls: Arc<ClientConfig>,
        observe: Arc<dyn Observe>,
    ) -> Self {
        let shared = Arc::new(Shared {
            address,
            timeout,
            on_error,
            tls,
            script: Script::new(SCRIPT),
            link: ArcSwapOption::empty(),
            lost: Notify::new(),
            observe,
        });
        shared.observe.store_answers(false);
        let mut keeper = keeper::Keeper::of(Arc::clone(&shared));
        keeper.connect().await;
        tokio::spawn(keeper.run());
        Store(shared)
    }

    /// Whether it answers.
    pub fn is_up(&self) -> bool {
        self.0.link.load().is_some()
    }

    /// What happens without an answer.
    pub fn on_error(&self) -> OnError {
        self.0.on_error
    }

    /// Takes from a bucket.
    ///
    /// # Errors
    /// [`Unanswered`] at once while the store is known not to answer, else after `timeout` at most.
    pub async fn take(&self, question: &Question) -> Result<Taken, Unanswered> {
        let Some(link) = self.0.link.load_full() else {
            self.0.observe.store_failed();
            return Err(Unanswered);
        };
        self.0.asked_in_time(&link, question).await.map_err(|why| {
            self.0.lose(&link, &why);
            self.0.observe.store_failed();
            Unanswered
        })
    }

    /// Counts a request that passed uncounted.
    pub(super) fn passed_uncounted(&self) {
        self.0.observe.passed_uncounted();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Store").field(&self.0.address).finish()
    }
}

impl Shared {
    /// Asks over a connection, and waits `timeout` at most; else says why there is no answer.
    async fn asked_in_time(&self, link: &Link, question: &Question) -> Result<Taken, String> {
        match tokio::time::timeout(self.timeout, self.ask(link, question)).await {
            Ok(answer) => answer.map_err(|error| told(&error)),
            Err(_) => Err(format!("no answer within {:?}", self.timeout)),
        }
    }

    async fn ask(&self, link: &Link, question: &Question) -> Result<Taken, RedisError> {
        let mut connection = link.connection.clone();
        let interval = question.interval.as_nanos().div_ceil(1000).max(1);
        let (taken, wait, left, at): (u8, u64, u32, u64) = self
            .script
            .key(&question.key)
            .arg(u64::try_from(interval).unwrap_or(u64::MAX))
            .arg(question.burst)
            .arg(question.cost)
            .arg(u8::from(question.at_most))
            .invoke_async(&mut connection)
            .await?;
        Ok(Taken {
            wait: (taken == 0).then(|| Duration::from_micros(wait)),
            left,
            at: Duration::from_micros(at),
        })
    }

    /// Gives a connection up, if that is not done yet.
    fn lose(&self, link: &Arc<Link>, why: &str) {
        let present = self.link.compare_and_swap(&Some(Arc::clone(link)), None);
        if present.as_ref().is_some_and(|present| Arc::ptr_eq(present, link)) {
            self.observe.store_answers(false);
            tracing::warn!(store = %self.address, on_error = %self.on_error, "the store of limits is lost: {why}");
            self.lost.notify_one();
        }
    }
}

/// What went wrong, without what the server says beyond its code: some repeat the command, and with it a password.
fn told(error: &RedisError) -> String {
    match error.kind() {
        ErrorKind::Io => error.to_string(),
        ErrorKind::AuthenticationFailed => "it refuses the user or the password".to_owned(),
        _ => match error.code() {
            Some(code) if code.len() < 32 && code.bytes().all(|b| b.is_ascii_uppercase()) => {
                format!("it answers {code}")
            }
            _ => format!("its answer is not understood ({})", error.category()),
        },
    }
}

/// The script, as the server runs it.
pub const SCRIPT: &str = include_str!("gcra.lua");
