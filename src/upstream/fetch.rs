//! Requests that the guard sends itself, on behalf of a caller: without a body, their answers read whole.

use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::Body as _;
use zeroize::Zeroizing;

use super::body::{Download, Source, Upload};
use super::client::{Client, SendError};
use crate::qstash::credential;
use crate::telemetry::Metrics;

/// What a caller's request lends to those that the guard sends for it: its credential as it would be forwarded, and its
/// `User-Agent`. Nothing of it can be printed.
#[derive(Clone)]
pub struct Lent {
    headers: HeaderMap,
    pair: Option<String>,
    /// What of it is secret, overwritten when it goes.
    secrets: Vec<Zeroizing<Vec<u8>>>,
}

impl Lent {
    /// What this head lends; an Authorization header, the query's token pair, or both.
    pub fn of(head: &http::request::Parts) -> Self {
        let mut headers = HeaderMap::new();
        let mut secrets = Vec::new();
        for line in head.headers.get_all(AUTHORIZATION) {
            let mut line = line.clone();
            let secret = line.as_bytes().split(u8::is_ascii_whitespace).next_back();
            secrets.extend(secret.map(|secret| Zeroizing::new(secret.to_vec())));
            line.set_sensitive(true);
            headers.append(AUTHORIZATION, line);
        }
        if let Some(agent) = head.headers.get(USER_AGENT) {
            headers.insert(USER_AGENT, agent.clone());
        }
        let query = head.uri.query();
        let shown = credential::read([], query.map(str::as_bytes)).ok();
        let pair = shown.and_then(|shown| shown.query).zip(query);
        let in_query = pair.as_ref().and_then(|(pair, _)| pair.token.as_ref());
        let in_query = in_query.map(|token| Zeroizing::new(token.to_bearer().split_off("Bearer ".len())));
        secrets.extend(in_query);
        secrets.retain(|secret| secret.len() >= SHORTEST);
        Lent {
            headers,
            pair: pair.map(|(pair, query)| pair.of(query).to_owned()),
            secrets,
        }
    }

    /// Whether a text holds a credential that was lent. One that is too short to be a token is in no text.
    pub fn is_in(&self, text: &str) -> bool {
        let text = text.as_bytes();
        self.secrets
            .iter()
            .any(|secret| text.windows(secret.len()).any(|part| part == secret.as_slice()))
    }

    /// The query pair that holds the credential, as it was sent.
    pub fn pair(&self) -> Option<&str> {
        self.pair.as_deref()
    }

    /// A request of the guard's own with what was lent.
    ///
    /// # Errors
    /// If the target cannot be part of a request.
    pub fn request(&self, method: Method, target: &str, idle: Duration) -> Result<Request<Upload>, http::Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .body(Upload::new(Source::Read(None), idle))?;
        request.headers_mut().clone_from(&self.headers);
        // What is packed small may be large, and costs time to unpack. Whoever packs it all the same is read too.
        let plain = HeaderValue::from_static("identity");
        request.headers_mut().insert(ACCEPT_ENCODING, plain);
        Ok(request)
    }
}

/// Why an answer could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There was none.
    #[error(transparent)]
    Send(#[from] SendError),
    /// It broke off, or stood still.
    #[error("the answer broke off")]
    Broken,
    /// It is longer than it may be.
    #[error("the answer is too long")]
    TooLong,
}

impl Client {
    /// Sends a request that changes nothing, and reads its answer, of `most` bytes at most.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn fetch(
        &self,
        request: Request<Upload>,
        most: usize,
        metrics: &Metrics,
    ) -> Result<Response<Bytes>, FetchError> {
        let (head, body) = self.send_timed(request, RETRIES, metrics).await?.into_parts();
        let mut read = BytesMut::new();
        read_to_end(body, most, &mut read).await?;
        Ok(Response::from_parts(head, read.freeze()))
    }

    /// [`Client::send`], counted among what the upstream was asked.
    pub(super) async fn send_timed(
        &self,
        request: Request<Upload>,
        retries: u32,
        metrics: &Metrics,
    ) -> Result<Response<Download>, SendError> {
        let sent = Instant::now();
        let answer = self.send(request, retries).await;
        metrics.upstream_answered(sent.elapsed());
        answer
    }
}

/// Reads an answer's body into `read`, which has what came so far also where this ends before the answer does.
///
/// # Errors
/// [`FetchError`], where it is longer than `most` bytes or broke off.
pub async fn read_to_end(download: Download, most: usize, read: &mut BytesMut) -> Result<(), FetchError> {
    let mut download = pin!(download);
    while let Some(frame) = std::future::poll_fn(|cx| download.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(|_| FetchError::Broken)?;
        if let Some(data) = frame.data_ref() {
            if read.len() + data.len() > most {
                return Err(FetchError::TooLong);
            }
            read.extend_from_slice(data);
        }
    }
    Ok(())
}

/// No token that QStash gives out is shorter, in bytes.
const SHORTEST: usize = 16;
/// How often a request of which the upstream saw nothing is tried again.
const RETRIES: u32 = 2;
