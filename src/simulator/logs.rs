//! `GET /v2/logs` (QStash API: List logs), and `GET /v2/events`, its older name that clients still use.

use serde_json::{Value, json};

use super::{
    answer::{Answer, Outcome, Refusal},
    fields::Fields,
    filters::{self, Filter},
    query::Query,
    store::{Entry, Store},
};

const STATES: &[&str] = &[
    "CREATED",
    "ACTIVE",
    "RETRY",
    "ERROR",
    "IN_PROGRESS",
    "DELIVERED",
    "FAILED",
    "CANCEL_REQUESTED",
    "CANCELLED",
];

/// Entries newest first, one for each state that a message came into: a cancelled message has a CANCELLED and still its
/// CREATED entry. `list` is what the answer calls the entries: `logs` in the API's description, `events` for clients of
/// the older name, which take host, path, caller and flow control key as filters too.
pub(super) fn list(store: &Store, query: &Query, list: &str) -> Outcome {
    let fields = Fields::read(query, b"")?;
    let known = if list == "events" {
        filters::CANCEL
    } else {
        filters::LOGS
    };
    // Dates are those of the entry here, not of the message.
    let dates = (fields.integer("fromDate")?, fields.integer("toDate")?);
    let filter = Filter::read(&fields, known)?.undated();
    let state = fields.text("state")?;
    if state.as_deref().is_some_and(|state| !STATES.contains(&state)) {
        return Err(Refusal::bad_request("invalid state"));
    }
    let count = fields.positive("count")?.unwrap_or(100).min(100);
    let end = match fields.text("cursor")? {
        Some(cursor) => cursor.parse().map_err(|_| Refusal::bad_request("invalid cursor"))?,
        None => usize::MAX,
    };
    let newer = store.log().get(..end).unwrap_or(store.log());
    let mut found = newer.iter().enumerate().rev().filter(|(_, entry)| {
        dates.0.is_none_or(|from| entry.time >= from)
            && dates.1.is_none_or(|to| entry.time <= to)
            && state.as_deref().is_none_or(|state| state == entry.state.name())
            && store
                .message(entry.index)
                .is_some_and(|message| filter.matches(entry.index, message))
    });
    let page: Vec<(usize, &Entry)> = found.by_ref().take(count).collect();
    let mut answer = json!({});
    if let (Some((last, _)), Some(_)) = (page.last(), found.next()) {
        answer["cursor"] = last.to_string().into();
    }
    answer[list] = page.iter().filter_map(|(_, entry)| entry_json(store, entry)).collect();
    Ok(Answer::ok(answer))
}

fn entry_json(store: &Store, entry: &Entry) -> Option<Value> {
    let mut shown = store.message(entry.index)?.to_log_json(entry.index);
    shown.insert("time".to_owned(), entry.time.into());
    shown.insert("state".to_owned(), entry.state.name().into());
    Some(Value::Object(shown))
}
