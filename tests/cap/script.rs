//! An upstream whose listing is written by the test.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::upstream::answer;
use crate::support::{RawRequest, Upstream};

/// An entry of a message that is labelled `a`.
pub(crate) fn entry(id: &str, state: &str) -> Value {
    json!({"messageId": id, "state": state, "time": 1000, "url": "https://a.example/x", "labels": ["a"]})
}

/// Entries of messages that wait to be delivered.
pub(crate) fn waiting(ids: std::ops::Range<usize>) -> Vec<Value> {
    ids.map(|id| entry(&format!("msg_{id:03}"), "CREATED")).collect()
}

/// A page with the cursor of the next one, if there is one.
pub(crate) fn page(entries: &[Value], next: Option<&str>) -> Vec<u8> {
    answer("200 OK", &json!({"logs": entries, "cursor": next}).to_string())
}

/// The value of a query parameter as it was sent.
pub(crate) fn parameter<'r>(request: &'r RawRequest, name: &str) -> Option<&'r str> {
    let (_, query) = request.target().split_once('?')?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// How many ids a cancel has.
pub(crate) fn asked(request: &RawRequest) -> usize {
    parameter(request, "messageIds").map_or(0, |ids| ids.split(',').count())
}

/// Answers a cancel as QStash does.
pub(crate) fn done(request: &RawRequest) -> Vec<u8> {
    answer("202 Accepted", &json!({"cancelled": asked(request)}).to_string())
}

/// Serves these pages, whose cursors are their numbers, and cancels what it is asked to.
pub(crate) fn serving(pages: Vec<Vec<Value>>) -> Upstream {
    Upstream::answering(move |request| listing(&pages, request).unwrap_or_else(|| done(request)))
}

/// The page that a request asks for; `None` where it is no listing.
pub(crate) fn listing(pages: &[Vec<Value>], request: &RawRequest) -> Option<Vec<u8>> {
    if !request.line().starts_with("GET /v2/logs?") {
        return None;
    }
    let number: usize = parameter(request, "cursor").map_or(0, |cursor| cursor.parse().unwrap());
    let next = (number + 1 < pages.len()).then(|| (number + 1).to_string());
    Some(page(&pages[number], next.as_deref()))
}

/// Serves these pages, and answers the cancels one after another with what `answers` gives for their number.
pub(crate) fn cancelling(
    pages: Vec<Vec<Value>>,
    answers: impl Fn(usize, &RawRequest) -> Vec<u8> + Send + Sync + 'static,
) -> Upstream {
    let number = AtomicUsize::new(0);
    Upstream::answering(move |request| {
        listing(&pages, request).unwrap_or_else(|| answers(number.fetch_add(1, Ordering::SeqCst), request))
    })
}
