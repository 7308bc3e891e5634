//! Records a guarded request before it is sent and after it was answered, whatever becomes of the client.
//!
//! The intent is on disk before a byte is forwarded. From then on the request belongs to a task of its own: a client
//! that hangs up, a panic or a lost upstream cannot keep the outcome from being written. The outcome is written before
//! the client sees the answer's head, so an upstream that breaks in the middle can still be answered for.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::FutureExt;
use http::Request;
use http::header::CONTENT_ENCODING;
use http_body::Body;
use tokio_util::task::TaskTracker;
use tower::{Layer, Service};
use uuid::Uuid;

use super::answer::{self, Answered};
use super::body::ReplyBody;
use super::exchange::{Origin, Reply, Subject};
use super::owed::Owed;
use super::passage::{Judged, Outbound, Selected};
use super::permitted::Permitted;
use crate::audit::{Event, OnFailure, Outcome, Record, SelectionRecord, Trail};
use crate::limits::Charge;
use crate::policy::{Code, Refusal, Treatment};
use crate::qstash::operation::Operation;
use crate::telemetry::Metrics;
use crate::upstream::Download;

/// Layer of [`AuditCancel`].
#[derive(Clone)]
pub struct AuditCancelLayer {
    /// The trail.
    pub trail: Trail,
    /// What happens while it cannot be written.
    pub on_failure: OnFailure,
    /// Where the tasks of guarded requests run, to be waited for at shutdown.
    pub tasks: TaskTracker,
    /// Where cancelled messages are counted.
    pub metrics: Metrics,
}

/// See the module.
#[derive(Clone)]
pub struct AuditCancel<S> {
    inner: S,
    layer: Arc<AuditCancelLayer>,
}

impl<S> Layer<S> for AuditCancelLayer {
    type Service = AuditCancel<S>;

    fn layer(&self, inner: S) -> AuditCancel<S> {
        AuditCancel {
            inner,
            layer: Arc::new(self.clone()),
        }
    }
}

impl<S> Service<Judged> for AuditCancel<S>
where
    S: Service<Outbound, Response = Reply, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, judged: Judged) -> Self::Future {
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let layer = Arc::clone(&self.layer);
        Box::pin(async move {
            let treatment = judged.origin.snapshot.policy.operations.of(judged.operation);
            Ok(match treatment {
                Treatment::Guard => layer.guarded(inner, judged).await,
                Treatment::Allow | Treatment::Deny => layer.unguarded(inner, judged).await,
            })
        })
    }
}

impl AuditCancelLayer {
    async fn guarded<S>(self: Arc<Self>, mut inner: S, judged: Judged) -> Reply
    where
        S: Service<Outbound, Response = Reply, Error = Infallible> + Send + 'static,
        S::Future: Send,
    {
        let request_id = Uuid::now_v7();
        let mut intent = judged
            .subject()
            .record(Event::Intent, judged.operation, Some(request_id));
        intent.selection = judged.selected.as_ref().map(|selected| selected.to_record(usize::MAX));
        let Judged {
            head,
            body,
            operation,
            selected,
            ruling,
            origin,
        } = judged;
        let Permitted { permit, noted, charged } = match Permitted::of(ruling) {
            Ok(permitted) => permitted,
            Err(refusal) => {
                return Reply::refused(&Subject::of(&head, &origin), operation, refusal);
            }
        };
        noted.note_in(&mut intent);
        let caller = intent.caller.clone().unwrap_or_default();
        let outcome = Record {
            request_id: Some(request_id),
            caller: intent.caller.clone(),
            client: intent.client,
            operation: intent.operation,
            policy: intent.policy.clone(),
            result: Some(Outcome::Uncertain),
            ..Record::new(Event::Outcome)
        };
        let tasks = self.tasks.clone();
        // From here on the client may leave: an intent that is being written will be on disk, and owes an outcome.
        let task = tasks.spawn(async move {
            if let Err(error) = self.trail.commit(intent).await {
                tracing::error!(%error, "the audit trail could not be written");
                if self.on_failure == OnFailure::Deny {
                    let refusal = Refusal::new(
                        Code::AuditUnavailable,
                        "The audit trail cannot be written, so nothing was sent; try again, and tell whoever runs the guard.",
                    );
                    let subject = Subject::of(&head, &origin);
                    let mut reply = Reply::refused_as(request_id, &subject, operation, refusal);
                    if let (Some(record), Some(selected)) = (&mut reply.denied, &selected) {
                        record.selection = Some(selected.to_record(SelectionRecord::IDS_OF_A_DENIAL));
                    }
                    return reply;
                }
            }
            let outbound = Outbound {
                request: Request::from_parts(head, body),
                operation,
                permit,
                guarded: true,
                request_id: Some(request_id),
            };
            let sent = Instant::now();
            let mut outcome = Owed {
                record: Some(outcome),
                otherwise: "the guard stopped before the answer",
                since: sent,
                trail: self.trail.clone(),
            };
            let forwarded = AssertUnwindSafe(inner.call(outbound)).catch_unwind().await;
            let Ok(Ok(reply)) = forwarded else {
                let refusal = Refusal::new(Code::InternalError, PANICKED);
                self.conclude(&mut outcome, &origin, &Answered::default(), None, Some("the guard failed"))
                    .await;
                return Reply::failed(Some(request_id), operation, refusal);
            };
            let mut reply = reply;
            let (answered, body, broken) = collect(&mut reply).await;
            if broken {
                let refusal = Refusal::new(Code::UpstreamFailed, BROKE_OFF);
                reply = Reply::failed(Some(request_id), operation, refusal);
            } else if let Some(body) = body {
                *reply.response.body_mut() = body;
            }
            let status = reply.refusal.is_none().then(|| reply.response.status().as_u16());
            let error = reply.refusal.as_ref().map(|refusal| refusal.code().as_str());
            self.conclude(&mut outcome, &origin, &answered, status.or(answered.status), error)
                .await;
            if charged {
                settle(&origin, operation, &caller, selected.as_ref(), &answered).await;
            }
            noted.note_on(&mut reply);
            reply
        });
        task.await.unwrap_or_else(|_| {
            let refusal = Refusal::new(Code::InternalError, PANICKED);
            Reply::failed(Some(request_id), operation, refusal)
        })
    }

    /// Writes the outcome. The client is answered for what happened, also when this fails: the trail then has an
    /// intent without outcome, which `audit verify` lists.
    async fn conclude(
        &self,
        owed: &mut Owed,
        origin: &Origin,
        answered: &Answered,
        status: Option<u16>,
        error: Option<&str>,
    ) {
        let Some(record) = owed.record.take() else { return };
        let unsent = error == Some(Code::UpstreamUnreachable.as_str());
        let record = Record {
            result: Some(if unsent {
                Outcome::Unsent
            } else {
                outcome(status, answered, error.is_some())
            }),
            upstream_status: status,
            cancelled: answered.cancelled,
            action_id: answered.action_id.clone(),
            duration_ms: Some(Record::millis(owed.since.elapsed())),
            error: error.map(str::to_owned),
            ..record
        };
        if let Some(cancelled) = answered.cancelled {
            let callers = &origin.snapshot.policy.callers;
            let named = record.caller.as_deref().filter(|name| callers.is_named(name));
            self.metrics.cancelled(named, cancelled);
        }
        if let Err(error) = self.trail.commit(record).await {
            tracing::error!(%error, "the outcome of a guarded request could not be recorded");
        }
    }

    /// An unguarded request that is limited or recorded: one `passed`, once its answer's head is there.
    async fn unguarded<S>(self: Arc<Self>, mut inner: S, judged: Judged) -> Reply
    where
        S: Service<Outbound, Response = Reply, Error = Infallible> + Send + 'static,
        S::Future: Send,
    {
        let Permitted { permit, noted, .. } = match Permitted::of(judged.ruling) {
            Ok(permitted) => permitted,
            Err(refusal) => {
                return Reply::refused(&Subject::of(&judged.head, &judged.origin), judged.operation, refusal);
            }
        };
        let recorded = judged.origin.snapshot.record_all || noted.would_deny.is_some();
        let request_id = recorded.then(Uuid::now_v7);
        let passed = recorded.then(|| {
            let mut record =
                Subject::of(&judged.head, &judged.origin).record(Event::Passed, judged.operation, request_id);
            noted.note_in(&mut record);
            record
        });
        let Judged {
            head, body, operation, ..
        } = judged;
        let sent = Instant::now();
        let mut written = Owed {
            record: passed,
            otherwise: "the client left before the answer",
            since: sent,
            trail: self.trail.clone(),
        };
        let Ok(mut reply) = inner
            .call(Outbound {
                request: Request::from_parts(head, body),
                operation,
                permit,
                guarded: false,
                request_id,
            })
            .await;
        if let Some(mut record) = written.record.take() {
            record.upstream_status = reply.refusal.is_none().then(|| reply.response.status().as_u16());
            record.error = reply.refusal.as_ref().map(|refusal| refusal.code().as_str().to_owned());
            record.duration_ms = Some(Record::millis(sent.elapsed()));
            if let Err(error) = self.trail.commit(record).await {
                tracing::error!(%error, "a passed request could not be recorded");
            }
        }
        noted.note_on(&mut reply);
        reply
    }
}

/// Charges what went beyond the charge.
async fn settle(origin: &Origin, operation: Operation, caller: &str, selected: Option<&Selected>, answered: &Answered) {
    if let Some(cancelled) = answered.cancelled {
        let charge = Charge {
            operation,
            caller,
            client: origin.client,
            messages: selected.and_then(Selected::reach),
        };
        origin.snapshot.limits.settle_shared(charge, cancelled).await;
    }
}

/// What became of a guarded request.
fn outcome(status: Option<u16>, answered: &Answered, failed: bool) -> Outcome {
    match status {
        Some(200..=299) if !failed && answered.action_id.is_some() => Outcome::Accepted,
        Some(200..=299) if !failed && answered.cancelled.is_some() => Outcome::Completed,
        Some(401 | 403 | 404 | 405 | 412) if !failed => Outcome::Refused,
        _ => Outcome::Uncertain,
    }
}

/// Reads the answer's body as far as it is worth recording. Gives what it says, the body again, and whether it broke
/// off.
async fn collect(reply: &mut Reply) -> (Answered, Option<ReplyBody>, bool) {
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
        if text.len() > answer::MOST {
            let answered = Answered {
                status,
                ..Answered::default()
            };
            return (
                answered,
                Some(ReplyBody::Read(Box::new((frames, Some(download))))),
                false,
            );
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
        .map(http::HeaderValue::as_bytes);
    let answered = if broken {
        Answered::default()
    } else {
        answer::read(&text, coding)
    };
    (
        Answered { status, ..answered },
        Some(ReplyBody::Read(Box::new((frames, None)))),
        broken,
    )
}

async fn next_frame(
    download: &mut Download,
) -> Option<Result<http_body::Frame<bytes::Bytes>, crate::upstream::BodyFault>> {
    let mut download = pin!(download);
    poll_fn(|cx| download.as_mut().poll_frame(cx)).await
}

const PANICKED: &str = "The guard failed while it handled the request; check what became of it before you repeat it.";
const BROKE_OFF: &str =
    "QStash's answer broke off in the middle; check what became of the cancel before you repeat it.";
