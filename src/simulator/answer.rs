//! Answers in QStash's shapes.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY},
};
use http_body_util::Full;
use serde_json::{Value, json};

/// A status with a JSON body, or with none.
pub(super) struct Answer {
    status: StatusCode,
    body: Option<Value>,
}

impl Answer {
    pub(super) fn ok(body: Value) -> Self {
        Self::with(StatusCode::OK, body)
    }

    pub(super) fn with(status: StatusCode, body: Value) -> Self {
        Self {
            status,
            body: Some(body),
        }
    }

    /// 200 without a body, as the operations answer for which the API names no answer shape.
    pub(super) fn done() -> Self {
        Self {
            status: StatusCode::OK,
            body: None,
        }
    }

    /// The response, gzipped whenever there is a body and the client takes it: small answers too, for that is what
    /// catches clients and proxies which parse `{"cancelled": n}` without looking at Content-Encoding.
    pub(super) fn into_response(self, gzip: bool) -> Response<Full<Bytes>> {
        let plain = self.body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let packed = if gzip && !plain.is_empty() { pack(&plain) } else { None };
        let has_body = !plain.is_empty();
        let is_packed = packed.is_some();
        let mut response = Response::new(Full::new(Bytes::from(packed.unwrap_or(plain))));
        *response.status_mut() = self.status;
        if has_body {
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
            if is_packed {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
        }
        response
    }
}

/// A request that failed: a status and the text of QStash's `{"error": text}` (QStash API: schema Error).
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) text: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }

    pub(super) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("{what} not found"))
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::with(refusal.status, json!({ "error": refusal.text }))
    }
}

/// What a handler comes to.
pub(super) type Outcome = Result<Answer, Refusal>;

/// Whether a client takes gzip: `gzip` or `*` is listed and not with `q=0` (RFC 9110 section 12.5.3).
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let refused = weight
                .trim()
                .strip_prefix("q=")
                .is_some_and(|weight| weight.trim().parse::<f32>() == Ok(0.0));
            (name.trim().eq_ignore_ascii_case("gzip") || name.trim() == "*") && !refused
        })
}

fn pack(plain: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_when_listed_and_not_refused() {
        for (value, expected) in [
            ("gzip, deflate", true),
            ("br, GZIP;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0", false),
            ("deflate", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(takes_gzip(&headers), expected, "{value:?}");
        }
    }
}
