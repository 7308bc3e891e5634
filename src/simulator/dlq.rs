//! `/v2/dlq` (QStash API: DLQ).

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Outcome, Refusal},
    fields::Fields,
    filters::{self, Filter},
    message::{Message, now},
    routes::Call,
    store::{Store, published_json},
};

/// The status that every message in the DLQ is said to have failed with.
pub(super) const RESPONSE_STATUS: u16 = 503;

/// `GET /v2/dlq`, oldest first.
pub(super) fn list(store: &Store, call: &Call) -> Outcome {
    let (indexes, cursor) = page(store, &Fields::read(&call.query, b"")?)?;
    let messages = indexes
        .iter()
        .filter_map(|index| Some(to_json(store.message(*index)?, *index)));
    let mut answer = json!({ "messages": messages.collect::<Vec<_>>() });
    if let Some(cursor) = cursor {
        answer["cursor"] = cursor.into();
    }
    Ok(Answer::ok(answer))
}

/// `GET /v2/dlq/{dlqId}`.
pub(super) fn get(store: &Store, id: &str) -> Outcome {
    let index = find(store, id)?;
    let message = store.message(index).ok_or_else(not_found)?;
    Ok(Answer::ok(to_json(message, index)))
}

/// `DELETE /v2/dlq/{dlqId}`.
pub(super) fn delete(store: &mut Store, id: &str) -> Outcome {
    let index = find(store, id)?;
    store.bury(index);
    Ok(Answer::done())
}

/// `DELETE /v2/dlq`: at most `count` of the matches, and a cursor when more are left.
pub(super) fn bulk_delete(store: &mut Store, call: &Call) -> Outcome {
    let fields = Fields::read(&call.query, &call.body)?;
    let ids = fields.list("dlqIds")?;
    let (indexes, cursor) = if ids.is_empty() {
        page(store, &fields)?
    } else {
        (ids.iter().filter_map(|id| index_of(id)).collect(), None)
    };
    let deleted = indexes.into_iter().filter(|index| store.bury(*index)).count();
    let mut answer = json!({ "deleted": deleted });
    if let Some(cursor) = cursor {
        answer["cursor"] = cursor.into();
    }
    Ok(Answer::ok(answer))
}

/// `POST /v2/dlq/retry/{dlqId}`.
pub(super) fn retry(store: &mut Store, id: &str) -> Outcome {
    let index = find(store, id)?;
    let answer = republish(store, index).ok_or_else(not_found)?;
    Ok(Answer::with(StatusCode::CREATED, answer))
}

/// `POST /v2/dlq/retry`.
pub(super) fn bulk_retry(store: &mut Store, call: &Call) -> Outcome {
    let fields = Fields::read(&call.query, &call.body)?;
    let ids = fields.list("dlqIds")?;
    let (indexes, cursor) = if ids.is_empty() {
        page(store, &fields)?
    } else {
        (ids.iter().map(|id| find(store, id)).collect::<Result<_, _>>()?, None)
    };
    let responses: Vec<Value> = indexes
        .into_iter()
        .filter_map(|index| republish(store, index))
        .collect();
    let answer = json!({ "cursor": cursor.unwrap_or_default(), "responses": responses });
    Ok(Answer::with(StatusCode::CREATED, answer))
}

/// A copy takes the message's place, and waits wherever it goes, or it would be back at once.
fn republish(store: &mut Store, index: usize) -> Option<Value> {
    if !store.bury(index) {
        return None;
    }
    let time = now();
    let copy = Message {
        created_at: time,
        not_before: time,
        ..store.message(index)?.clone()
    };
    Some(published_json(store.add_waiting(copy), false))
}

/// The matches of one page, and the cursor of the next when there is one.
fn page(store: &Store, fields: &Fields<'_>) -> Result<(Vec<usize>, Option<String>), Refusal> {
    let filter = Filter::read(fields, filters::DLQ)?;
    let count = fields.positive("count")?.unwrap_or(100).min(100);
    let after = match fields.text("cursor")? {
        Some(cursor) => Some(index_of(&cursor).ok_or_else(|| Refusal::bad_request("invalid cursor"))?),
        None => None,
    };
    let mut found = store
        .dead(&filter)
        .map(|(index, _)| index)
        .filter(|index| after.is_none_or(|after| *index > after));
    let page: Vec<usize> = found.by_ref().take(count).collect();
    let more = found.next().is_some();
    let cursor = page.last().filter(|_| more).map(|last| dlq_id(*last));
    Ok((page, cursor))
}

fn to_json(message: &Message, index: usize) -> Value {
    let mut shown = message.to_json(index);
    shown.insert("dlqId".to_owned(), dlq_id(index).into());
    shown.insert("responseStatus".to_owned(), RESPONSE_STATUS.into());
    shown.insert("responseBody".to_owned(), "Service Unavailable".into());
    Value::Object(shown)
}

fn find(store: &Store, id: &str) -> Result<usize, Refusal> {
    index_of(id).filter(|index| store.is_dead(*index)).ok_or_else(not_found)
}

fn dlq_id(index: usize) -> String {
    format!("dlq_{index:016x}")
}

fn index_of(id: &str) -> Option<usize> {
    let index = usize::from_str_radix(id.strip_prefix("dlq_")?, 16).ok()?;
    (dlq_id(index) == id).then_some(index)
}

fn not_found() -> Refusal {
    Refusal::not_found("dlq message")
}
