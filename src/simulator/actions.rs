//! Bulk actions: what filter cancels run as since September 2026 (QStash API: List bulk actions).

use std::{collections::VecDeque, time::Duration};

use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    answer::{Answer, Outcome, Refusal},
    fields::Fields,
    filters::Filter,
    message::now,
    options::Options,
    query::Query,
    store::Store,
};

/// How many are kept. QStash keeps them for 7 days instead; a number bounds memory.
const MAX_KEPT: usize = 10_000;

/// How long one runs that nobody waits for, so that its state `IN_PROGRESS` can be seen.
const ASYNC_RUN: Duration = Duration::from_millis(10);

/// How much longer than the wait a slow one runs.
const SLOW_EXCESS: Duration = Duration::from_secs(1);

/// The bulk actions, oldest first.
#[derive(Default)]
pub(super) struct Actions {
    kept: VecDeque<Action>,
    started: u64,
    running: usize,
}

/// What a client is told of the action that its cancel runs as.
pub(super) struct Started {
    pub(super) id: String,
    /// Matches when the cancel was accepted.
    pub(super) total: usize,
    pub(super) ends: Instant,
}

struct Action {
    number: u64,
    filter: Filter,
    /// Messages from this index on came after the cancel.
    before: usize,
    total: usize,
    processed: usize,
    created_at: i64,
    completed_at: Option<i64>,
    ends: Instant,
}

impl Store {
    /// Starts to cancel all messages that match, or tells the running action with the same filter.
    pub(super) fn start(&mut self, filter: Filter, background: bool, options: &Options) -> Result<Started, Refusal> {
        let twin = self
            .actions
            .kept
            .iter()
            .find(|action| self.actions.running > 0 && action.completed_at.is_none() && action.filter == filter);
        if let Some(twin) = twin {
            return Ok(twin.started());
        }
        if self.actions.running >= options.max_running {
            return Err(Refusal::new(
                StatusCode::PRECONDITION_FAILED,
                "too many bulk actions are in progress",
            ));
        }
        let (mut total, mut slow) = (0, false);
        for (_, message) in self.matching(&filter) {
            total += 1;
            slow |= message.is_slow();
        }
        let run = match (slow, background) {
            (true, _) => options.wait + SLOW_EXCESS,
            (false, true) => ASYNC_RUN,
            (false, false) => Duration::ZERO,
        };
        let action = Action {
            number: self.actions.started,
            filter,
            before: self.published(),
            total,
            processed: 0,
            created_at: now(),
            completed_at: None,
            ends: Instant::now() + run,
        };
        let started = action.started();
        self.actions.add(action);
        self.settle();
        Ok(started)
    }

    /// Brings every action that is due to its end. Nothing runs between requests: whoever looks at the state sees to it
    /// first.
    pub(super) fn settle(&mut self) {
        if self.actions.running == 0 {
            return;
        }
        let now_instant = Instant::now();
        for position in 0..self.actions.kept.len() {
            let due = |action: &&Action| action.completed_at.is_none() && action.ends <= now_instant;
            let Some(action) = self.actions.kept.get(position).filter(due) else {
                continue;
            };
            let matching = self
                .matching(&action.filter)
                .take_while(|(index, _)| *index < action.before);
            let indexes: Vec<usize> = matching.map(|(index, _)| index).collect();
            for index in indexes {
                // One in flight stays: `cancelled` and `processed` count it all the same (QStash API: Bulk cancel).
                self.cancel(index);
            }
            self.actions.running = self.actions.running.saturating_sub(1);
            if let Some(action) = self.actions.kept.get_mut(position) {
                // Messages that were cancelled one by one meanwhile were processed as well.
                action.processed = action.total;
                action.completed_at = Some(now());
            }
        }
    }
}

impl Actions {
    fn add(&mut self, action: Action) {
        while self.kept.len() >= MAX_KEPT && self.kept.front().is_some_and(|oldest| oldest.completed_at.is_some()) {
            self.kept.pop_front();
        }
        self.kept.push_back(action);
        self.started += 1;
        self.running += 1;
    }
}

impl Action {
    fn id(&self) -> String {
        format!("ba_{:016x}", self.number)
    }

    fn state(&self) -> &'static str {
        if self.completed_at.is_some() {
            "FINISHED"
        } else {
            "IN_PROGRESS"
        }
    }

    fn started(&self) -> Started {
        Started {
            id: self.id(),
            total: self.total,
            ends: self.ends,
        }
    }

    fn to_json(&self) -> Value {
        let mut shown = json!({
            "actionId": self.id(),
            "kind": "cancel",
            "state": self.state(),
            "total": self.total,
            "processed": self.processed,
            "createdAt": self.created_at,
            "filter": self.filter.to_json(),
        });
        if let Some(time) = self.completed_at {
            shown["completedAt"] = time.into();
        }
        shown
    }
}

/// `GET /v2/bulkActions`, newest first. As on QStash, `state` thins out a page and `count` is how many are scanned.
pub(super) fn list(store: &Store, query: &Query) -> Outcome {
    let fields = Fields::read(query, b"")?;
    let count = fields.positive("count")?.unwrap_or(100).min(1000);
    let state = fields.text("state")?;
    if state
        .as_deref()
        .is_some_and(|state| state != "IN_PROGRESS" && state != "FINISHED")
    {
        return Err(Refusal::bad_request("invalid state"));
    }
    let below = match fields.text("cursor")? {
        Some(cursor) => cursor.parse().map_err(|_| Refusal::bad_request("invalid cursor"))?,
        None => u64::MAX,
    };
    let mut scanned = store.actions.kept.iter().rev().filter(|action| action.number < below);
    let page: Vec<&Action> = scanned.by_ref().take(count).collect();
    let shown = page
        .iter()
        .filter(|action| state.as_deref().is_none_or(|state| state == action.state()));
    let mut answer = json!({ "bulkActions": shown.map(|action| action.to_json()).collect::<Vec<_>>() });
    if let (Some(last), Some(_)) = (page.last(), scanned.next()) {
        answer["cursor"] = last.number.to_string().into();
    }
    Ok(Answer::ok(answer))
}

/// `GET /v2/bulkActions/{actionId}`.
pub(super) fn get(store: &Store, id: &str) -> Outcome {
    let found = store.actions.kept.iter().find(|action| action.id() == id);
    found
        .map(|action| Answer::ok(action.to_json()))
        .ok_or_else(|| Refusal::not_found("bulk action"))
}
