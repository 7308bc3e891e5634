//! `/v2/schedules` (QStash API: Schedules). None ever fires.

use serde_json::{Value, json};

use super::{
    answer::{Answer, Outcome, Refusal},
    message::{Message, headers_json},
    publish::Draft,
    queues::is_name,
    routes::Call,
    store::Store,
};

/// A schedule: what it would publish, and when.
pub(super) struct Schedule {
    cron: String,
    destination: String,
    message: Message,
    paused: bool,
}

impl Schedule {
    fn to_json(&self, id: &str) -> Value {
        let mut shown = json!({
            "scheduleId": id,
            "cron": self.cron,
            "destination": self.destination,
            "createdAt": self.message.created_at,
            "method": self.message.method,
            "header": headers_json(&self.message.headers),
            "retries": self.message.max_retries,
            "callerIp": self.message.caller_ip.to_string(),
            "isPaused": self.paused,
        });
        if let Ok(body) = str::from_utf8(&self.message.body) {
            shown["body"] = body.into();
        }
        if let Some(key) = &self.message.flow_control_key {
            shown["flowControlKey"] = json!(key);
        }
        if !self.message.labels.is_empty() {
            shown["label"] = self.message.labels.join(",").into();
            shown["labels"] = json!(self.message.labels);
        }
        shown
    }
}

/// `POST /v2/schedules/{destination}`, which also overwrites one of the same id.
pub(super) fn create(store: &mut Store, call: &Call, destination: &str) -> Outcome {
    let draft = Draft::of_call(call, destination, None)?;
    let cron = draft
        .setting("upstash-cron")
        .ok_or_else(|| Refusal::bad_request("missing header Upstash-Cron"))?;
    // The number of schedules names the next one, or one after it: they can't all be taken.
    let free = || {
        (store.schedules.len()..=2 * store.schedules.len())
            .map(|n| format!("scd_{n:016x}"))
            .find(|id| !store.schedules.contains_key(id))
    };
    let id = draft
        .setting("upstash-schedule-id")
        .map(str::to_owned)
        .or_else(free)
        .unwrap_or_default();
    if !is_name(&id) {
        return Err(Refusal::bad_request("invalid schedule id"));
    }
    let schedule = Schedule {
        cron: cron.to_owned(),
        destination: draft.destination().to_owned(),
        message: draft.into_message(),
        paused: false,
    };
    store.schedules.insert(id.clone(), schedule);
    Ok(Answer::ok(json!({ "scheduleId": id })))
}

/// `GET /v2/schedules`.
pub(super) fn list(store: &Store) -> Answer {
    let shown = store.schedules.iter().map(|(id, schedule)| schedule.to_json(id));
    Answer::ok(shown.collect())
}

/// `GET /v2/schedules/{scheduleId}`.
pub(super) fn get(store: &Store, id: &str) -> Outcome {
    let schedule = store.schedules.get(id).ok_or_else(|| Refusal::not_found("schedule"))?;
    Ok(Answer::ok(schedule.to_json(id)))
}

/// `DELETE /v2/schedules/{scheduleId}`.
pub(super) fn delete(store: &mut Store, id: &str) -> Outcome {
    store
        .schedules
        .remove(id)
        .ok_or_else(|| Refusal::not_found("schedule"))?;
    Ok(Answer::done())
}

/// `/v2/schedules/{scheduleId}/pause` and `/resume`, POST in the API's description and PATCH in official clients.
pub(super) fn pause(store: &mut Store, id: &str, paused: bool) -> Outcome {
    let schedule = store
        .schedules
        .get_mut(id)
        .ok_or_else(|| Refusal::not_found("schedule"))?;
    schedule.paused = paused;
    Ok(Answer::done())
}
