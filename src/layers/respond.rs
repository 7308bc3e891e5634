//! The only maker of the guard's own answers: JSON in the shape of QStash's errors, so that every SDK shows its text.

use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use uuid::Uuid;

use super::body::ReplyBody;
use crate::limits::whole_seconds;
use crate::policy::{Code, Refusal};

/// The answer to a refused request.
pub fn refusal(refusal: &Refusal, request_id: Uuid) -> Response<ReplyBody> {
    let text = Answer {
        // The one text that every SDK shows: it says where to read on.
        error: format!(
            "{} (qstash-guard: {})",
            refusal.message(),
            refusal.code().documentation()
        ),
        code: refusal.code().as_str(),
        violations: refusal
            .violations()
            .map(|violation| Broken {
                code: violation.code.as_str(),
                message: &violation.message,
            })
            .collect(),
        rule: refusal.rule().map(|rule| &**rule),
        limit: refusal.limit().map(|limit| limit.name.as_str()),
        request_id,
    };
    // Strings and numbers alone: this cannot fail, and if it did an empty body would still carry status and code.
    let body = serde_json::to_vec(&text).unwrap_or_default();
    let mut response = Response::new(ReplyBody::Own(Some(Bytes::from(body))));
    *response.status_mut() = StatusCode::from_u16(refusal.code().status()).unwrap_or(StatusCode::FORBIDDEN);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(GUARD_CODE, HeaderValue::from_static(refusal.code().as_str()));
    if let Ok(id) = HeaderValue::try_from(request_id.to_string()) {
        headers.insert(GUARD_REQUEST_ID, id);
    }
    if refusal.code() == Code::Unauthenticated {
        // A 401 names the scheme that it asks for (RFC 9110 section 11.6.1).
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some((limit, wait)) = refusal
        .limit()
        .and_then(|limit| limit.retry_after.map(|wait| (limit, wait)))
    {
        // Upstash's SDKs raise their rate-limit error on these names; on `RateLimit-*` they would say "daily limit".
        let reset = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |now| (now + wait).as_secs() + 1);
        headers.insert(RETRY_AFTER, whole_seconds(wait).into());
        headers.insert(BURST_LIMIT, limit.burst.into());
        headers.insert(BURST_REMAINING, limit.remaining.into());
        headers.insert(BURST_RESET, reset.into());
    }
    response
}

#[derive(Serialize)]
struct Answer<'a> {
    error: String,
    code: &'static str,
    violations: Vec<Broken<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'a str>,
    request_id: Uuid,
}

#[derive(Serialize)]
struct Broken<'a> {
    code: &'static str,
    message: &'a str,
}

const GUARD_CODE: HeaderName = HeaderName::from_static("qstash-guard-code");
const GUARD_REQUEST_ID: HeaderName = HeaderName::from_static("qstash-guard-request-id");
const BURST_LIMIT: HeaderName = HeaderName::from_static("burst-ratelimit-limit");
const BURST_REMAINING: HeaderName = HeaderName::from_static("burst-ratelimit-remaining");
const BURST_RESET: HeaderName = HeaderName::from_static("burst-ratelimit-reset");
