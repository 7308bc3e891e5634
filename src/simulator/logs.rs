//! `GET /v2/logs` (QStash API: List logs), and `GET /v2/events`, its older name that clients still use.

use serde_json::{Value, json};

use super::{
    answer::{Answer, Outcome, Refusal},
    fields::Fields,
    filters::{self, Filter},
    options::Options,
    query::Query,
    store::{Entry, State, Store},
};

/// The states that can be asked for. No entry has `IN_PROGRESS`, which stands for the three before it.
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

/// Under which name entries are listed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    /// As the API's description has it.
    Logs,
    /// As clients ask, with the host, path, caller and flow control key as filters too, all of several values.
    Events,
}

impl Listing {
    fn name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Events => "events",
        }
    }

    fn filter(self, fields: &Fields<'_>, query: &Query) -> Result<Filter, Refusal> {
        match self {
            Self::Logs => Ok(Filter::of_logs(query)),
            Self::Events => Ok(Filter::read(fields, filters::EVENTS)?.undated()),
        }
    }
}

/// Entries newest first, one for each state that a message came into: a cancelled message has a CANCELLED and still its
/// CREATED entry. A cursor stands for the entry that it was given out with, so what arrives later does not shift the pages
/// after it, and isn't on them.
pub(super) fn list(store: &mut Store, query: &Query, listing: Listing, options: &Options) -> Outcome {
    let fields = Fields::read(query, b"")?;
    let dates = (fields.integer("fromDate")?, fields.integer("toDate")?);
    let filter = listing.filter(&fields, query)?;
    let state = fields.text("state")?;
    if state.as_deref().is_some_and(|state| !STATES.contains(&state)) {
        return Err(Refusal::bad_request("invalid state"));
    }
    let count = fields.positive("count")?.unwrap_or(100).min(100);
    let log = store.log();
    let end = match fields.text("cursor")? {
        Some(cursor) => cursor
            .parse::<usize>()
            .map_err(|_| Refusal::bad_request("invalid cursor"))?
            .min(log.len()),
        None => log.len(),
    };
    // Older entries are kept no longer.
    let start = log.len().saturating_sub(options.log_entries).min(end);
    let mut found = log.iter().enumerate().take(end).skip(start).rev().filter(|(_, entry)| {
        dates.0.is_none_or(|from| entry.time >= from)
            && dates.1.is_none_or(|to| entry.time <= to)
            && state.as_deref().is_none_or(|state| is_in(entry.state, state))
            && store
                .message(entry.index)
                .is_some_and(|message| filter.matches(entry.index, message))
    });
    let page: Vec<(usize, &Entry)> = found.by_ref().take(count).collect();
    let cursor = page.last().map(|(last, _)| *last).filter(|_| found.next().is_some());
    let newest = page.first().map(|(_, entry)| entry.index);
    let mut answer = json!({});
    if let Some(cursor) = cursor {
        answer["cursor"] = cursor.to_string().into();
    }
    answer[listing.name()] = page.iter().filter_map(|(_, entry)| entry_json(store, entry)).collect();
    if let (Some(newest), Some(_)) = (newest, cursor) {
        store.arrive(newest, options.late_arrivals);
    }
    Ok(Answer::ok(answer))
}

fn is_in(state: State, asked: &str) -> bool {
    state.name() == asked || (state == State::Active && asked == "IN_PROGRESS")
}

fn entry_json(store: &Store, entry: &Entry) -> Option<Value> {
    let mut shown = store.message(entry.index)?.to_log_json(entry.index);
    shown.insert("time".to_owned(), entry.time.into());
    shown.insert("state".to_owned(), entry.state.name().into());
    Some(Value::Object(shown))
}
