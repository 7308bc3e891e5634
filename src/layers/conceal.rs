//! Keeps the guard's token out of answers: a server that redirects, or quotes a target that it does not understand, would
//! show a client what the guard put into it.
//!
//! What stands around a body is looked through always: headers, trailers and the words behind the status. So is a body, as it
//! passes. Where the status is no success it is read before, in its coding too: there servers quote requests, and little is held
//! back by it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRAILER};
use http::{HeaderMap, HeaderValue};
use http_body::{Body as _, Frame};
use pin_project_lite::pin_project;

use super::body::ReplyBody;
use super::broker::Held;
use super::exchange::Reply;
use super::masked::Masked;
use crate::http1::{Spelled as _, Spelling};
use crate::policy::{Code, Refusal};
use crate::upstream::{Download, decoded};

pin_project! {
    /// The future of a layer below which the guard's token was put in.
    #[project = ConcealedProjected]
    pub enum Concealed<F> {
        /// The layers below answer; `held` is what their answer must not show.
        Answering { #[pin] future: F, held: Option<Arc<Held>> },
        /// The answer's body is being read.
        Reading { reading: Pin<Box<dyn Future<Output = Reply> + Send>> },
    }
}

impl<F> Concealed<F> {
    /// Conceals this token, if there is one.
    pub(super) fn of(held: Option<Arc<Held>>, future: F) -> Self {
        Concealed::Answering { future, held }
    }
}

impl<F: Future<Output = Result<Reply, Infallible>>> Future for Concealed<F> {
    type Output = Result<Reply, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let reading = match self.as_mut().project() {
                ConcealedProjected::Reading { reading } => return reading.as_mut().poll(cx).map(Ok),
                ConcealedProjected::Answering { future, held } => {
                    let Ok(mut reply) = ready!(future.poll(cx));
                    let Some(held) = held.take() else {
                        return Poll::Ready(Ok(reply));
                    };
                    conceal_headers(reply.response.headers_mut(), &held);
                    conceal_reason(reply.response.body_mut(), &held);
                    if reply.response.status().is_success() || reply.response.body().is_end_stream() {
                        mask(reply.response.body_mut(), held);
                        return Poll::Ready(Ok(reply));
                    }
                    Box::pin(conceal_body(reply, held))
                }
            };
            self.set(Concealed::Reading { reading });
        }
    }
}

pub(super) fn conceal_headers(headers: &mut HeaderMap, held: &Held) {
    for value in headers.values_mut() {
        if held.is_in(value.as_bytes()) {
            *value = HeaderValue::from_static("***");
        }
    }
}

/// Without words of its own a status has those of HTTP.
fn conceal_reason(body: &mut ReplyBody, held: &Held) {
    let shows_it = body
        .spelling()
        .and_then(Spelling::reason)
        .is_some_and(|reason| held.is_in(reason));
    if shows_it && let Some(download) = body.download_mut() {
        download.forget_reason();
    }
}

/// Masks the token in a body that is passed on, and in its trailers.
fn mask(body: &mut ReplyBody, held: Arc<Held>) {
    if !matches!(body, ReplyBody::Own(_)) && !body.is_end_stream() {
        let passed_on = std::mem::replace(body, ReplyBody::Own(None));
        *body = ReplyBody::Masked(Box::new(Masked::new(passed_on, held)));
    }
}

/// Reads a body as far as it may hold the token, and leaves it out where it does. What is longer goes on from there.
async fn conceal_body(mut reply: Reply, held: Arc<Held>) -> Reply {
    let body = std::mem::replace(reply.response.body_mut(), ReplyBody::Own(None));
    let (mut frames, mut rest) = match body {
        ReplyBody::Own(_) | ReplyBody::Masked(_) => {
            *reply.response.body_mut() = body;
            return reply;
        }
        ReplyBody::Stream(download) => (VecDeque::new(), download),
        ReplyBody::Read(parts) => *parts,
    };
    let mut length: usize = frames.iter().map(length_of).sum();
    while length < MOST {
        match next_frame(&mut rest).await {
            None => break,
            Some(Ok(frame)) => {
                length += length_of(&frame);
                frames.push_back(frame);
            }
            Some(Err(_)) => {
                let refusal = Refusal::new(Code::UpstreamFailed, BROKE_OFF);
                return Reply {
                    decision: reply.decision,
                    rule: reply.rule,
                    ..Reply::failed(None, reply.operation, refusal)
                };
            }
        }
    }
    let mut text = Vec::with_capacity(length);
    let data = frames.iter().filter_map(Frame::data_ref);
    data.for_each(|data| text.extend_from_slice(data));
    let headers = reply.response.headers_mut();
    let left_out = match plain(&text, headers) {
        Some(plain) if held.is_in(&plain) => Some(LEFT_OUT),
        Some(_) => None,
        None => Some(NOT_READ),
    };
    *reply.response.body_mut() = if let Some(left_out) = left_out {
        for name in [CONTENT_LENGTH, CONTENT_ENCODING, TRAILER] {
            headers.remove(name);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        ReplyBody::Own(Some(Bytes::from_static(left_out)))
    } else {
        ReplyBody::Read(Box::new((frames, rest)))
    };
    mask(reply.response.body_mut(), held);
    reply
}

/// A body without its coding; `None` where that is none that the guard reads, or not what the body is in.
fn plain<'b>(body: &'b [u8], headers: &HeaderMap) -> Option<Cow<'b, [u8]>> {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes);
    let (coding, another) = (codings.next().unwrap_or_default(), codings.next());
    if body.is_empty() || (another.is_none() && matches!(coding, b"" | b"identity")) {
        return Some(Cow::Borrowed(body));
    }
    let decoded = decoded(body, Some(coding), MOST).filter(|_| another.is_none())?;
    // One of an unknown coding is as it was.
    matches!(decoded, Cow::Owned(_)).then_some(decoded)
}

fn length_of(frame: &Frame<Bytes>) -> usize {
    frame.data_ref().map_or(0, Bytes::len)
}

async fn next_frame(download: &mut Download) -> Option<Result<Frame<Bytes>, crate::upstream::BodyFault>> {
    let mut download = pin!(download);
    poll_fn(|cx| download.as_mut().poll_frame(cx)).await
}

/// The most bytes that are looked through: a quoted target is shorter.
const MOST: usize = 256 * 1024;
const BROKE_OFF: &str =
    "QStash's answer broke off in the middle; check what became of the request before you repeat it.";
/// In the shape of QStash's errors.
const LEFT_OUT: &[u8] = br#"{"error":"QStash's answer quoted the guard's own credential and is left out."}"#;
const NOT_READ: &[u8] = br#"{"error":"QStash's answer has a Content-Encoding in which the guard cannot look for its own credential, and is left out; ask for another one by Accept-Encoding."}"#;
