//! Lists the messages that a cancel selects, with the caller's own credential.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderValue, Method, Response, StatusCode};

use super::client::{Client, SendError};
use super::coding::{decoded, is_known};
use super::fetch::{FetchError, Lent};
use crate::qstash::listing::{self, Collector, ListingFault, Next, Unresolvable};
use crate::qstash::selection::Selection;
use crate::telemetry::Metrics;

/// The longest page that is read, in bytes. Entries hold bodies: a longer page is asked for again with fewer entries.
const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Why there are no ids. Nothing was sent but the questions.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The listing failed, for a reason that may be told.
    #[error("{0}")]
    Failed(String),
    /// Its entries do not show what this filter asks for.
    #[error("the listing does not show {0}")]
    Unresolvable(String),
}

/// The ids of up to `count` messages that the selection matches and that are not done with, as the listing has them. All
/// pages together take no longer than `upstream.response_timeout`.
///
/// # Errors
/// [`ListError`].
pub async fn list(
    client: &Client,
    lent: &Lent,
    selection: &Selection,
    count: u64,
    metrics: &Metrics,
) -> Result<Vec<String>, ListError> {
    let within = client.response_timeout();
    tokio::time::timeout(within, collect(client, lent, selection, count, metrics))
        .await
        .unwrap_or_else(|_| Err(ListError::Failed(late(within))))
}

async fn collect(
    client: &Client,
    lent: &Lent,
    selection: &Selection,
    count: u64,
    metrics: &Metrics,
) -> Result<Vec<String>, ListError> {
    let mut collector = Collector::new(selection.clone(), count);
    let mut size = listing::PAGE;
    let mut cursor = None;
    loop {
        let target = listing::target(selection, cursor.as_deref(), size, lent.pair());
        let request = lent
            .request(Method::GET, &target, client.body_idle())
            .map_err(|_| ListError::Failed("its cursor cannot be part of a request".to_owned()))?;
        let answer = client.fetch(request, MAX_PAGE_BYTES, metrics).await;
        let (status, bytes) = answer
            .as_ref()
            .ok()
            .map(|answer| (answer.status().as_u16(), answer.body().len()))
            .unzip();
        tracing::debug!(size, status, bytes, "asked QStash's listing for a page");
        let page = match answer.and_then(|answer| page(&answer)) {
            Ok(page) => page?,
            Err(FetchError::TooLong) if size > 1 => {
                size = (size / 4).max(1);
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, "QStash's listing failed");
                return Err(ListError::Failed(told(&error)));
            }
        };
        match collector.take(&page)? {
            Next::Page(next) => cursor = Some(next),
            Next::Done => break,
        }
    }
    let ids = collector.finish()?;
    // An upstream that echoes the token in place of an id gets it into no record.
    if ids.iter().any(|id| lent.is_in(id)) {
        return Err(ListingFault::Unreadable.into());
    }
    Ok(ids)
}

/// The text of a page. It was asked for as it is; what is compressed all the same is unpacked, and may be no longer then.
///
/// # Errors
/// Outside, that it is too long: fewer entries may not be. Inside, what no other question changes.
fn page(answer: &Response<Bytes>) -> Result<Result<Bytes, ListError>, FetchError> {
    let failed = |why: &str| Ok(Err(ListError::Failed(why.to_owned())));
    if answer.status() != StatusCode::OK {
        return failed(&format!("it answered {}", answer.status().as_u16()));
    }
    let mut codings = answer
        .headers()
        .get_all(CONTENT_ENCODING)
        .iter()
        .map(HeaderValue::as_bytes);
    let coding = codings.next();
    if codings.next().is_some() || !is_known(coding) {
        return failed("it answered in a coding that nobody asked for");
    }
    let text = match decoded(answer.body(), coding, MAX_PAGE_BYTES + 1) {
        Some(text) if text.len() > MAX_PAGE_BYTES => return Err(FetchError::TooLong),
        Some(Cow::Owned(text)) => text.into(),
        Some(Cow::Borrowed(_)) => answer.body().clone(),
        None => return failed("an answer is not in the coding that it names"),
    };
    Ok(Ok(text))
}

/// What a client may be told; the cause itself may name addresses.
fn told(error: &FetchError) -> String {
    let told = match error {
        FetchError::Send(SendError::Timeout(within)) => return late(*within),
        FetchError::Send(SendError::Unreachable(_)) => "QStash could not be reached",
        FetchError::Send(_) | FetchError::Broken => "the connection to QStash broke",
        FetchError::TooLong => "one entry alone is longer than 4 MiB",
    };
    told.to_owned()
}

fn late(within: Duration) -> String {
    format!("it did not end within {within:?}")
}

impl From<ListingFault> for ListError {
    fn from(fault: ListingFault) -> Self {
        ListError::Failed(fault.to_string())
    }
}

impl From<Unresolvable> for ListError {
    fn from(Unresolvable(filter): Unresolvable) -> Self {
        ListError::Unresolvable(filter)
    }
}
