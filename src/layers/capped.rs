//! Cancels what was listed, in the place of the request: ids in chunks, one after another, and what became of them summed
//! up. Every other request goes to `forward` as it is.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, Method, Response};
use tower::Service;
use uuid::Uuid;

use super::answer::{self, Answered, Part};
use super::body::ReplyBody;
use super::exchange::Reply;
use super::forward::Forward;
use super::passage::{Listed, Outbound};
use crate::audit::Outcome;
use crate::policy::{Code, Permit, Refusal};
use crate::qstash::listing::chunks;
use crate::qstash::operation::Operation;
use crate::upstream::{Lent, read_to_end};

/// See the module.
#[derive(Clone)]
pub struct Capped {
    forward: Forward,
    /// How long an answer may take, from its head to its end.
    within: Duration,
}

impl Capped {
    /// Sends over `forward`; an answer's body may take this long.
    pub fn new(forward: Forward, within: Duration) -> Self {
        Capped { forward, within }
    }
}

impl Service<Outbound> for Capped {
    type Response = Reply;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.forward.poll_ready(cx)
    }

    fn call(&mut self, mut outbound: Outbound) -> Self::Future {
        let Some(listed) = outbound.listed.take() else {
            return Box::pin(self.forward.call(outbound));
        };
        let Outbound {
            request,
            operation,
            permit,
            request_id,
            ..
        } = outbound;
        let sending = Sending {
            forward: self.forward.clone(),
            within: self.within,
            operation,
            permit,
            request_id,
        };
        let (head, body) = request.into_parts();
        let (lent, idle) = (Lent::of(&head), body.idle());
        Box::pin(async move { Ok(sending.send(*listed, &lent, idle).await) })
    }
}

/// The cancels of one request.
struct Sending {
    forward: Forward,
    within: Duration,
    operation: Operation,
    permit: Permit,
    request_id: Option<Uuid>,
}

/// What became of one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// So many were cancelled.
    Cancelled(u64),
    /// None was, since QStash refused.
    Refused,
    /// None was, since nothing was sent.
    Unsent,
    /// Some may have been.
    Unknown,
}

/// What became of one chunk, and the status of its answer.
struct Met {
    fate: Fate,
    status: Option<u16>,
    /// The number in its answer, also where that leaves open what became of it.
    said: Option<u64>,
    /// The bulk action that goes on, where the answer names one.
    action_id: Option<String>,
    /// Why it is not what it should be, in words that go on after "then".
    why: String,
}

impl Sending {
    async fn send(mut self, listed: Listed, lent: &Lent, idle: Duration) -> Reply {
        let ids = match listed.found {
            Ok(ids) => ids,
            Err(message) => return self.failed(Met::none(Fate::Unsent, ""), 0, None, message),
        };
        let (mut cancelled, mut sent): (u64, u64) = (0, 0);
        let mut status = None;
        for chunk in chunks(&ids, listed.max_message_ids, lent.pair()) {
            let asked = chunk.ids.len() as u64;
            // One overrun, not one of each that is under way.
            let met = if listed.overruns.of(self.operation).listed {
                Met::none(Fate::Unsent, "QStash took more than the ids of another cancel")
            } else {
                self.send_one(lent, &chunk.target, idle).await
            };
            if met.fate != Fate::Unsent {
                sent += asked;
                tracing::debug!(
                    request_id = self.request_id.map(tracing::field::display),
                    ids = asked,
                    status = met.status,
                    cancelled = met.said,
                    "sent a cancel by ids"
                );
            }
            let part = Part {
                before: cancelled,
                ids: asked,
                sent,
            };
            // What QStash says to have taken is believed, also where it is more than the ids.
            let over = met.said.filter(|number| *number > asked);
            if let (Fate::Cancelled(number), _) | (_, Some(number)) = (met.fate, over) {
                cancelled = cancelled.saturating_add(number);
            }
            listed.gone.store(cancelled, Ordering::SeqCst);
            status = met.status;
            if matches!(met.fate, Fate::Cancelled(_)) && over.is_none() {
                continue;
            }
            let why = match over {
                Some(number) => format!("QStash says that it cancelled {number} for {asked} ids"),
                None => met.why.clone(),
            };
            let next = match met.fate {
                Fate::Unknown if over.is_some() => "it may not have ended, so look before you repeat it".to_owned(),
                Fate::Unknown => format!("up to {asked} more may be cancelled, so look before you repeat it"),
                _ => "nothing more was sent".to_owned(),
            };
            let message = format!(
                "Of {} messages that the cancel may take, {cancelled} were cancelled, then {why}; {next}.",
                ids.len()
            );
            return self.failed(met, cancelled, Some(part), message);
        }
        let body = serde_json::json!({ "cancelled": cancelled }).to_string();
        let mut response = Response::new(ReplyBody::Own(Some(Bytes::from(body))));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        let mut reply = Reply::forwarded(response, self.operation);
        reply.answered = Some(Box::new(Answered {
            status,
            cancelled: Some(cancelled),
            result: Some(Outcome::Completed),
            ..Answered::default()
        }));
        reply
    }

    /// One chunk: a cancel by ids, which QStash answers when it is done.
    async fn send_one(&mut self, lent: &Lent, target: &str, idle: Duration) -> Met {
        let Ok(request) = lent.request(Method::DELETE, target, idle) else {
            return Met::none(Fate::Unsent, "the guard could not write the next cancel");
        };
        let outbound = Outbound {
            request,
            operation: self.operation,
            permit: self.permit.for_part(),
            guarded: true,
            request_id: self.request_id,
            listed: None,
        };
        let Ok(reply) = self.forward.call(outbound).await;
        if let Some(refusal) = &reply.refusal {
            return match refusal.code() {
                Code::UpstreamUnreachable => Met::none(Fate::Unsent, "QStash could not be reached"),
                Code::UpstreamTimeout => Met::none(Fate::Unknown, "QStash did not answer in time"),
                _ => Met::none(Fate::Unknown, "the connection to QStash broke"),
            };
        }
        let (head, body) = reply.response.into_parts();
        let coding = head.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
        let mut text = BytesMut::new();
        let is_whole = match body {
            ReplyBody::Stream(download) => {
                let reading = read_to_end(download, answer::MOST, &mut text);
                matches!(tokio::time::timeout(self.within, reading).await, Ok(Ok(())))
            }
            ReplyBody::Own(_) | ReplyBody::Read(_) | ReplyBody::Masked(_) => true,
        };
        Met::of(head.status.as_u16(), &answer::read(&text, coding), is_whole)
    }

    /// The answer where not all went well, with what is true of all of it.
    fn failed(&self, met: Met, cancelled: u64, part: Option<Part>, message: String) -> Reply {
        let fate = met.fate;
        let refusal = Refusal::new(Code::CapUnresolvable, message);
        let mut reply = Reply::failed(self.request_id, self.operation, refusal);
        let result = match fate {
            Fate::Unknown => Outcome::Uncertain,
            // What was cancelled before is certain, and is a number.
            _ if cancelled > 0 => Outcome::Completed,
            Fate::Refused => Outcome::Refused,
            Fate::Unsent | Fate::Cancelled(_) => Outcome::Unsent,
        };
        reply.answered = Some(Box::new(Answered {
            status: met.status,
            cancelled: (cancelled > 0 || fate != Fate::Unknown).then_some(cancelled),
            action_id: met.action_id,
            result: Some(result),
            part,
            ..Answered::default()
        }));
        reply
    }
}

impl Met {
    fn none(fate: Fate, why: &str) -> Self {
        Met {
            fate,
            status: None,
            said: None,
            action_id: None,
            why: why.to_owned(),
        }
    }

    /// What an answer says. A cancel by ids is done when it is answered (QStash API: Bulk cancel): an answer that leaves
    /// open what became of it tells nothing, and so does one that did not come to its end.
    fn of(status: u16, answered: &Answered, is_whole: bool) -> Self {
        let goes_on = answered.action_id.is_some() || answered.goes_on_unnamed;
        let fate = match (status, answered.cancelled, goes_on) {
            (200..=299, Some(cancelled), false) if is_whole => Fate::Cancelled(cancelled),
            (401 | 403 | 404 | 405 | 412, ..) => Fate::Refused,
            _ => Fate::Unknown,
        };
        let but = match (status, goes_on) {
            (300.., _) => "",
            (_, true) => " and goes on",
            (_, false) if !is_whole => ", and the answer did not come to its end",
            (_, false) => " without a number",
        };
        Met {
            fate,
            status: Some(status),
            said: answered.cancelled,
            action_id: answered.action_id.clone(),
            why: format!("QStash answered {status}{but}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_leaves_open_is_unknown() {
        let number = Answered {
            cancelled: Some(3),
            ..Answered::default()
        };
        let goes_on = Answered {
            action_id: Some("ba_1".to_owned()),
            ..number.clone()
        };
        let unnamed = Answered {
            goes_on_unnamed: true,
            ..number.clone()
        };
        let nothing = Answered::default();
        for (status, answered, fate) in [
            (200, &number, Fate::Cancelled(3)),
            (202, &number, Fate::Cancelled(3)),
            (202, &goes_on, Fate::Unknown),
            (202, &unnamed, Fate::Unknown),
            (200, &nothing, Fate::Unknown),
            (302, &number, Fate::Unknown),
            (400, &nothing, Fate::Unknown),
            (401, &nothing, Fate::Refused),
            (403, &nothing, Fate::Refused),
            (404, &nothing, Fate::Refused),
            (405, &nothing, Fate::Refused),
            (412, &nothing, Fate::Refused),
            (429, &nothing, Fate::Unknown),
            (500, &number, Fate::Unknown),
        ] {
            assert_eq!(Met::of(status, answered, true).fate, fate, "{status} {answered:?}");
        }
        assert_eq!(Met::of(200, &number, false).fate, Fate::Unknown);
        assert_eq!(Met::of(403, &nothing, false).fate, Fate::Refused);
    }
}
