//! Asking QStash what became of a bulk action (QStash API: Get a bulk action).

use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Uri};
use http_body_util::{BodyExt, Limited};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::body::{Source, Upload};
use super::client::{Client, SendError};
use super::coding::decoded;
use super::number::whole_number;
use crate::qstash::operation::Operation;
use crate::telemetry::Metrics;

/// Where a bulk action is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionTarget(PathAndQuery);

impl ActionTarget {
    /// The target for the action of this id that an operation began. `None` where the id is not one segment of a path:
    /// it comes from an answer, and must not lead elsewhere.
    pub fn new(operation: Operation, id: &str) -> Option<Self> {
        let leads_elsewhere = |byte: u8| !byte.is_ascii_graphic() || b"/\\?#%;".contains(&byte);
        if id.is_empty() || id.bytes().all(|byte| byte == b'.') || id.bytes().any(leads_elsewhere) {
            return None;
        }
        let of = match operation {
            Operation::WorkflowsBulkCancel => "/v2/workflows/bulkActions/",
            _ => "/v2/bulkActions/",
        };
        let target = format!("{of}{}", utf8_percent_encode(id, SEGMENT));
        PathAndQuery::try_from(target).ok().map(ActionTarget)
    }

    /// The target as a request line has it.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// As far as QStash tells of a bulk action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BulkAction {
    /// Whether it has ended.
    pub finished: bool,
    /// How many messages matched when it began.
    pub total: Option<u64>,
    /// How many of them it is done with.
    pub processed: Option<u64>,
}

/// Why nothing is known of a bulk action.
#[derive(Debug, thiserror::Error)]
pub enum NoAction {
    /// An answer of this status.
    #[error("QStash answered {0}")]
    Status(u16),
    /// No answer.
    #[error("QStash gave no answer")]
    Unanswered(#[source] SendError),
    /// No answer in time, or one that broke off or is too long.
    #[error("QStash's answer did not come to its end")]
    Incomplete,
    /// An answer that is no bulk action.
    #[error("QStash's answer is no bulk action")]
    Unreadable,
}

impl NoAction {
    /// Whether QStash refused to tell, which asking again seldom changes: the credential is not taken any more, or it
    /// knows no such action.
    pub fn is_refusal(&self) -> bool {
        matches!(self, NoAction::Status(401 | 403 | 404 | 405))
    }
}

impl Client {
    /// Asks for a bulk action once, with this Authorization; the answer is waited for `within` at most.
    ///
    /// # Errors
    /// Why nothing is known of it. Nothing that was sent or received stands in the error's text.
    pub async fn bulk_action(
        &self,
        target: &ActionTarget,
        authorization: Option<&HeaderValue>,
        within: Duration,
        metrics: &Metrics,
    ) -> Result<BulkAction, NoAction> {
        tokio::time::timeout(within, self.ask(target, authorization, within, metrics))
            .await
            .unwrap_or(Err(NoAction::Incomplete))
    }

    async fn ask(
        &self,
        target: &ActionTarget,
        authorization: Option<&HeaderValue>,
        within: Duration,
        metrics: &Metrics,
    ) -> Result<BulkAction, NoAction> {
        let mut request = Request::new(Upload::new(Source::Read(None), within));
        *request.uri_mut() = Uri::from(target.0.clone());
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let answer = self.send_timed(request, RETRIES, metrics).await;
        let response = answer.map_err(NoAction::Unanswered)?;
        if !response.status().is_success() {
            return Err(NoAction::Status(response.status().as_u16()));
        }
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MOST).collect().await;
        let body = body.map_err(|_| NoAction::Incomplete)?.to_bytes();
        let coding = head.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
        let answer = decoded(&body, coding, MOST).and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        answer
            .filter(|answer| answer["state"].is_string())
            .map(|answer| BulkAction {
                finished: answer["state"] == "FINISHED"
                    || whole_number(&answer["completedAt"]).is_some_and(|at| at > 0),
                total: whole_number(&answer["total"]),
                processed: whole_number(&answer["processed"]),
            })
            .ok_or(NoAction::Unreadable)
    }
}

/// How often a question is sent again of which the upstream saw nothing.
const RETRIES: u32 = 1;

/// The most bytes of an answer that are read, compressed and not.
const MOST: usize = 64 * 1024;

/// What stands for itself in a segment (RFC 3986 section 2.3); all else is percent-encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_becomes_one_segment_or_none() {
        let target = |id| ActionTarget::new(Operation::MessagesBulkCancel, id).map(|target| target.as_str().to_owned());
        for (id, expected) in [
            ("ba_1", "/v2/bulkActions/ba_1"),
            ("a-b.c~d", "/v2/bulkActions/a-b.c~d"),
            ("a==", "/v2/bulkActions/a%3D%3D"),
            ("a&b+c:d@e", "/v2/bulkActions/a%26b%2Bc%3Ad%40e"),
        ] {
            assert_eq!(target(id).as_deref(), Some(expected));
        }
        for id in [
            "",
            ".",
            "..",
            "a/b",
            "a\\b",
            "../messages",
            "a?x=1",
            "a#b",
            "a%2fb",
            "a;b",
            "a b",
            "a\r\nb",
            "ä",
        ] {
            assert_eq!(target(id), None, "{id:?}");
        }
        let of_workflows = ActionTarget::new(Operation::WorkflowsBulkCancel, "ba_1");
        assert_eq!(of_workflows.unwrap().as_str(), "/v2/workflows/bulkActions/ba_1");
    }
}
