//! `/v2/queues` (QStash API: Queues).

use serde_json::{Value, json};

use super::{
    answer::{Answer, Outcome, Refusal},
    fields::Fields,
    filters::Filter,
    message::now,
    routes::Call,
    store::Store,
};

/// A queue. Times are in milliseconds since the Unix epoch.
pub(super) struct Queue {
    created_at: i64,
    updated_at: i64,
    parallelism: usize,
    paused: bool,
}

impl Queue {
    pub(super) fn new(parallelism: usize) -> Self {
        let time = now();
        Self {
            created_at: time,
            updated_at: time,
            parallelism,
            paused: false,
        }
    }

    fn to_json(&self, name: &str, lag: usize) -> Value {
        json!({
            "name": name,
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
            "parallelism": self.parallelism,
            "paused": self.paused,
            "lag": lag,
        })
    }
}

/// `GET /v2/queues`.
pub(super) fn list(store: &Store) -> Answer {
    let shown = store
        .queues
        .iter()
        .map(|(name, queue)| queue.to_json(name, lag(store, name)));
    Answer::ok(shown.collect())
}

/// `GET /v2/queues/{queueName}`.
pub(super) fn get(store: &Store, name: &str) -> Outcome {
    check_name(name)?;
    let queue = store.queues.get(name).ok_or_else(|| Refusal::not_found("queue"))?;
    Ok(Answer::ok(queue.to_json(name, lag(store, name))))
}

/// `POST /v2/queues`.
pub(super) fn upsert(store: &mut Store, call: &Call) -> Outcome {
    let fields = Fields::read(&call.query, &call.body)?;
    let name = fields.text("queueName")?.unwrap_or_default();
    check_name(&name)?;
    let parallelism = fields.positive("parallelism")?.unwrap_or(1);
    let queue = store.queues.entry(name).or_insert_with(|| Queue::new(parallelism));
    queue.parallelism = parallelism;
    queue.updated_at = now();
    Ok(Answer::done())
}

/// `DELETE /v2/queues/{queueName}`. Its pending messages go with it, which QStash's API doesn't say either way.
pub(super) fn delete(store: &mut Store, name: &str) -> Outcome {
    store.queues.remove(name).ok_or_else(|| Refusal::not_found("queue"))?;
    let filter = Filter::one("queueName", name);
    let indexes: Vec<usize> = store.matching(&filter).map(|(index, _)| index).collect();
    for index in indexes {
        store.cancel(index);
    }
    Ok(Answer::done())
}

/// `POST /v2/queues/{queueName}/pause` and `/resume`.
pub(super) fn pause(store: &mut Store, name: &str, paused: bool) -> Outcome {
    check_name(name)?;
    let queue = store.queues.get_mut(name).ok_or_else(|| Refusal::not_found("queue"))?;
    queue.paused = paused;
    queue.updated_at = now();
    Ok(Answer::done())
}

/// Names of queues and ids of schedules: letters, digits, hyphens, periods and underscores (QStash API: Upsert a queue).
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// Refuses a name that no queue can have.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    if is_name(name) {
        Ok(())
    } else {
        Err(Refusal::bad_request("invalid queue name"))
    }
}

fn lag(store: &Store, name: &str) -> usize {
    store.matching(&Filter::one("queueName", name)).count()
}
