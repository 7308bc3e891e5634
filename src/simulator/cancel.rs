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
    let limit = match shared.options.count {
        CountHandling::Honoured => fields.positive("count")?.unwrap_or(usize::MAX),
        CountHandling::Ignored => usize::MAX,
    };
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
    let filter = Filter::read(&fields, filters::CANCEL)?;
    let background = fields.flag("async");
    let wait = shared.options.wait;
    let started = shared.store().start(filter, limit, background, wait)?;
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

/// `DELETE /v2/messages/{messageId}`.
pub(super) fn cancel(store: &mut Store, id: &str) -> Outcome {
    let (index, _) = store.waiting(id)?;
    store.cancel(index);
    Ok(Answer::with(StatusCode::ACCEPTED, json!({ "cancelled": 1 })))
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
