//! `/v2/messages`: bulk cancel, and one message.

use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    answer::{Answer, Outcome, Refusal},
    fields::Fields,
    filters::{self, Filter},
    handle::Shared,
    message::{message_id, message_index, now},
    options::CountHandling,
    routes::Call,
    store::Store,
};

/// `DELETE /v2/messages` (QStash API: Bulk cancel).
pub(super) async fn bulk_cancel(shared: &Shared, call: &Call) -> Outcome {
    let fields = Fields::read(&call.query, &call.body)?;
    match shared.options.count {
        CountHandling::Honoured => scan(&mut shared.store(), &fields),
        CountHandling::Ignored => act(shared, &fields).await,
    }
}

/// The cancel before September 2026: one message after the other, and over when it is answered. "If an individual message
/// cannot be cancelled, it will not continue and will return an error"; with which status is not documented.
fn scan(store: &mut Store, fields: &Fields<'_>) -> Outcome {
    let limit = fields.positive("count")?.unwrap_or(usize::MAX);
    let ids = fields.list("messageIds")?;
    let indexes: Vec<usize> = if ids.is_empty() {
        let filter = Filter::read(fields, filters::CANCEL)?;
        store.matching(&filter).take(limit).map(|(index, _)| index).collect()
    } else {
        ids.iter().filter_map(|id| message_index(id)).collect()
    };
    let mut cancelled = 0_usize;
    for index in indexes {
        if store.is_in_flight(index) {
            return Err(in_flight(StatusCode::BAD_REQUEST, index));
        }
        cancelled += usize::from(store.cancel(index));
    }
    Ok(Answer::ok(json!({ "cancelled": cancelled })))
}

/// The cancel since September 2026: ids at once, everything else as a bulk action, whatever `count` says.
async fn act(shared: &Shared, fields: &Fields<'_>) -> Outcome {
    let ids = fields.list("messageIds")?;
    if !ids.is_empty() {
        let mut store = shared.store();
        // Unknown ids are passed over in silence, and the same id twice counts once.
        let cancelled = ids
            .iter()
            .filter_map(|id| message_index(id))
            .filter(|index| store.cancel(*index))
            .count();
        return Ok(Answer::with(StatusCode::ACCEPTED, json!({ "cancelled": cancelled })));
    }
    let filter = Filter::read(fields, filters::CANCEL)?;
    let background = fields.flag("async");
    let wait = shared.options.wait;
    let started = shared.store().start(filter, background, &shared.options)?;
    let mut answer = json!({ "cancelled": started.total });
    if background {
        answer["actionId"] = started.id.into();
        return Ok(Answer::with(StatusCode::ACCEPTED, answer));
    }
    let left = started.ends.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        sleep(left.min(wait)).await;
    }
    if left > wait {
        return Err(Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            "bulk action did not finish within the time limit, it keeps running in the background",
        ));
    }
    Ok(Answer::with(StatusCode::ACCEPTED, answer))
}

/// `DELETE /v2/messages/{messageId}`. What one in flight is answered is not documented; 404 is the one refusal that is.
pub(super) fn cancel(store: &mut Store, id: &str, count: CountHandling) -> Outcome {
    let (index, _) = store.waiting(id)?;
    if !store.cancel(index) {
        return Err(in_flight(StatusCode::NOT_FOUND, index));
    }
    let status = match count {
        CountHandling::Honoured => StatusCode::OK,
        CountHandling::Ignored => StatusCode::ACCEPTED,
    };
    Ok(Answer::with(status, json!({ "cancelled": 1 })))
}

fn in_flight(status: StatusCode, index: usize) -> Refusal {
    let id = message_id(index);
    Refusal::new(status, format!("message {id} is in flight and can not be cancelled"))
}

/// `GET /v2/messages/{messageId}`: pending messages only.
pub(super) fn get(store: &mut Store, id: &str) -> Outcome {
    let (index, message) = store.waiting(id)?;
    Ok(Answer::ok(Value::Object(message.to_json(index))))
}

/// `POST /v2/messages/{messageId}/retry` (QStash API: Retry a message now). The message is due now, and stays pending
/// all the same. The answer's body is not documented.
pub(super) fn retry(store: &mut Store, id: &str) -> Outcome {
    let (index, message) = store.waiting(id)?;
    if message.queue.is_some() {
        return Err(Refusal::bad_request(
            "messages published to a queue can not be retried now",
        ));
    }
    message.not_before = now();
    Ok(Answer::ok(json!({ "messageId": message_id(index) })))
}
