//! Reads the answer to a guarded request before the client sees it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;

use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_ENCODING;
use http_body::{Body, Frame};

use super::answer::{self, Answered};
use super::body::ReplyBody;
use super::exchange::Reply;
use crate::qstash::operation::Operation;
use crate::upstream::{BodyFault, Download};

/// Reads the answer's body as far as it is worth recording. Gives what it says, the body again, and whether it broke
/// off.
pub(super) async fn collect(operation: Operation, reply: &mut Reply) -> (Answered, Option<ReplyBody>, bool) {
    if let Some(answered) = reply.answered.take() {
        return (*answered, None, false);
    }
    if reply.refusal.is_some() {
        return (Answered::default(), None, false);
    }
    let status = Some(reply.response.status().as_u16());
    let body = std::mem::replace(reply.response.body_mut(), ReplyBody::Own(None));
    let ReplyBody::Stream(mut download) = body else {
        return (Answered::default(), Some(body), false);
    };
    let mut frames = VecDeque::new();
    let mut text = Vec::new();
    let broken = loop {
        if text.len() > answer::most(operation) {
            let answered = Answered {
                status,
                ..Answered::default()
            };
            return (answered, Some(ReplyBody::Read(Box::new((frames, download)))), false);
        }
        match next_frame(&mut download).await {
            None => break false,
            Some(Err(_)) => break true,
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    text.extend_from_slice(data);
                }
                frames.push_back(frame);
            }
        }
    };
    let coding = reply
        .response
        .headers()
        .get(CONTENT_ENCODING)
        .map(HeaderValue::as_bytes);
    // One that broke off behind its text says as much as a whole one, though not that it is all.
    let answered = answer::read_of(operation, &text, coding);
    (
        Answered { status, ..answered },
        Some(ReplyBody::Read(Box::new((frames, download)))),
        broken,
    )
}

async fn next_frame(download: &mut Download) -> Option<Result<Frame<Bytes>, BodyFault>> {
    let mut download = pin!(download);
    poll_fn(|cx| download.as_mut().poll_frame(cx)).await
}
