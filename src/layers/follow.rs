//! Follows a bulk action to its end: asks QStash for it, at a growing distance and for an hour at most, and records what
//! it took in all.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::credential::Credential;
use super::guarded::Guarded;
use super::overrun::{Said, Tell};
use super::owed::Owed;
use super::pace::Pace;
use crate::audit::{Event, Outcome, Record, Trail};
use crate::telemetry::Metrics;
use crate::upstream::{ActionTarget, BulkAction, Client, NoAction};

/// Follows the bulk actions that one core's requests began.
#[derive(Clone)]
pub struct Follower {
    /// Over which QStash is asked.
    pub client: Client,
    /// Where ends are recorded.
    pub trail: Trail,
    /// Where overruns are counted.
    pub metrics: Metrics,
    /// Where the tasks run, to be waited for at shutdown.
    pub tasks: TaskTracker,
    /// The word to stop.
    pub stopping: CancellationToken,
    /// One permit for each action that may be followed, shared by all cores.
    pub slots: Arc<Semaphore>,
}

/// So many bulk actions are followed at a time: each holds its caller's credential and asks once a minute.
pub const MOST_FOLLOWED: usize = 256;

/// How following ends.
enum End {
    Finished(BulkAction),
    /// With what was known last, and why no more is.
    Unknown(BulkAction, String),
}

impl Follower {
    /// Follows the action of this id, which a request began that was sent at `since`. Its record is written even where
    /// the end is never seen; then it says so.
    pub(super) fn follow(&self, mut guarded: Guarded, id: String, credential: Option<Credential>, since: Instant) {
        let owed = Owed {
            record: Some(Record {
                result: Some(Outcome::Uncertain),
                action_id: Some(id.clone()),
                ..guarded.record(Event::BulkActionFinished)
            }),
            otherwise: "the guard stopped before the end of the bulk action was known",
            gone: None,
            since,
            trail: self.trail.clone(),
        };
        let follower = self.clone();
        let slot = Arc::clone(&self.slots).try_acquire_owned();
        let target = ActionTarget::new(guarded.operation, &id);
        let tasks = &self.tasks;
        tasks.spawn(async move {
            let unknown = |why: String| End::Unknown(BulkAction::default(), why);
            let end = match (slot, target) {
                (_, None) => unknown("not followed: its id is no segment of a path".to_owned()),
                (Err(_), _) => unknown(format!(
                    "not followed: {MOST_FOLLOWED} bulk actions are followed already"
                )),
                (Ok(_slot), Some(target)) => follower.to_its_end(&mut guarded, &id, &target, credential).await,
            };
            follower.record(owed, &guarded, end).await;
        });
    }

    async fn to_its_end(
        &self,
        guarded: &mut Guarded,
        id: &str,
        target: &ActionTarget,
        credential: Option<Credential>,
    ) -> End {
        let authorization = credential.as_ref().and_then(Credential::to_authorization);
        drop(credential);
        let began = Instant::now();
        let (mut waited, mut known, mut last) = (None, BulkAction::default(), None);
        loop {
            let refused = matches!(&last, Some(Err(error)) if NoAction::is_refusal(error));
            let Some(wait) = Pace::HOUR.next(waited, began.elapsed(), refused) else {
                return End::Unknown(known, format!("not followed any longer: {}", standing(last.as_ref())));
            };
            waited = Some(wait);
            let asked = async {
                tokio::time::sleep(wait).await;
                self.client
                    .bulk_action(target, authorization.as_ref(), Pace::HOUR.answer, &self.metrics)
                    .await
            };
            let heard = tokio::select! {
                biased;
                () = self.stopping.cancelled() => {
                    let standing = standing(last.as_ref());
                    return End::Unknown(known, format!("not followed to its end, since the guard stopped: {standing}"));
                }
                asked = asked => asked,
            };
            let (request_id, action_id) = (guarded.request_id, id);
            match &heard {
                Ok(action) => {
                    tracing::debug!(
                        %request_id, action_id, finished = action.finished, total = action.total,
                        processed = action.processed, "asked QStash for a bulk action"
                    );
                    known = *action;
                    let said = Said {
                        action_id: Some(id.to_owned()),
                        total: known.total,
                        processed: known.processed,
                        ..Said::default()
                    };
                    let tell = Tell {
                        trail: &self.trail,
                        metrics: &self.metrics,
                    };
                    if let Some(recorded) = guarded.held_against(&said, tell) {
                        recorded.await;
                    }
                    if known.finished {
                        if let Some(went) = known.processed.or(known.total) {
                            let before = guarded.part.map_or(0, |part| part.before);
                            guarded.account(went.saturating_add(before), &self.metrics).await;
                        }
                        return End::Finished(known);
                    }
                }
                Err(error) => tracing::debug!(%request_id, action_id, %error, "asked QStash for a bulk action in vain"),
            }
            last = Some(heard);
        }
    }

    async fn record(&self, mut owed: Owed, guarded: &Guarded, end: End) {
        let Some(record) = owed.record.take() else { return };
        let (request_id, action_id) = (guarded.request_id, record.action_id.clone());
        let (action, result, detail) = match end {
            End::Finished(action) => (action, None, None),
            End::Unknown(action, why) => {
                tracing::warn!(%request_id, action_id, "the end of a bulk action is not known: {why}");
                (action, record.result, Some(why))
            }
        };
        let record = Record {
            result,
            total: action.total,
            processed: action.processed,
            duration_ms: Some(Record::millis(owed.since.elapsed())),
            detail,
            ..record
        };
        if let Err(error) = self.trail.commit(record).await {
            tracing::error!(%error, "the end of a bulk action is not recorded yet; it will be as soon as the trail can be written");
        }
    }
}

/// What was heard of an action last.
fn standing(last: Option<&Result<BulkAction, NoAction>>) -> String {
    match last {
        None => "QStash was not asked yet".to_owned(),
        Some(Ok(_)) => "it was in progress".to_owned(),
        Some(Err(error)) => error.to_string(),
    }
}
