//! Records a guarded request before it is sent and after it was answered, whatever becomes of the client.
//!
//! The intent is on disk before a byte is forwarded. From then on the request belongs to a task of its own: a client
//! that hangs up, a panic or a lost upstream cannot keep the outcome from being written. The outcome is written before
//! the client sees the answer's head, so an upstream that breaks in the middle can still be answered for.

use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::FutureExt;
use http::Request;
use tokio_util::task::TaskTracker;
use tower::{Layer, Service};
use uuid::Uuid;

use super::answer::Answered;
use super::collect::collect;
use super::credential::Credential;
use super::exchange::{Origin, Reply, Subject};
use super::follow::Follower;
use super::guarded::Guarded;
use super::overrun::{Said, Tell};
use super::owed::Owed;
use super::passage::{Judged, Outbound, Selected};
use super::permitted::Permitted;
use crate::audit::{Decision, Event, OnFailure, Outcome, Record, Trail};
use crate::policy::{Cap, Code, Mode, Refusal, Ruling, Treatment};
use crate::qstash::operation::Operation;
use crate::telemetry::Metrics;

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
    /// Follows bulk actions that go on behind an answer.
    pub follower: Follower,
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
        // A cap may have been overrun since the request was judged.
        let ruling = Ruling {
            verdict: ruling.verdict.and(
                origin.snapshot.policy.mode,
                overrun(&origin, operation, selected.as_ref()),
            ),
            ..ruling
        };
        let Permitted { permit, noted, charged } = match Permitted::of(ruling) {
            Ok(permitted) => permitted,
            Err(refusal) => {
                let mut reply = Reply::refused_as(request_id, &Subject::of(&head, &origin), operation, refusal);
                reply.note_selection(selected.as_ref());
                return reply;
            }
        };
        noted.note_in(&mut intent);
        let mut guarded = Guarded {
            request_id,
            operation,
            caller: intent.caller.clone().unwrap_or_default(),
            selected,
            charged,
            accounted: None,
            part: None,
            overran: false,
            origin,
        };
        let credential = Credential::of(&head);
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
                    let subject = Subject::of(&head, &guarded.origin);
                    let mut reply = Reply::refused_as(request_id, &subject, operation, refusal);
                    reply.note_selection(guarded.selected.as_ref());
                    return reply;
                }
            }
            let sent = Instant::now();
            let mut outcome = Owed {
                record: Some(Record {
                    result: Some(Outcome::Uncertain),
                    ..guarded.record(Event::Outcome)
                }),
                otherwise: "the guard stopped before the answer",
                gone: guarded.selected.as_ref().and_then(Selected::gone),
                since: sent,
                trail: self.trail.clone(),
            };
            // And again, since the intent took its time: of all that wait for the disk, one may overrun its cap.
            if guarded.origin.snapshot.policy.mode == Mode::Enforce
                && let Some(refusal) = overrun(&guarded.origin, operation, guarded.selected.as_ref())
            {
                let code = refusal.code().as_str();
                guarded
                    .conclude(&mut outcome, &Answered::default(), None, Some(code), &self.trail)
                    .await;
                let mut reply = Reply::failed(Some(request_id), operation, refusal);
                reply.decision = Decision::Deny;
                return reply;
            }
            let outbound = Outbound {
                request: Request::from_parts(head, body),
                operation,
                permit,
                guarded: true,
                request_id: Some(request_id),
                listed: guarded.selected.as_ref().and_then(|selected| selected.listed.clone()).map(Box::new),
            };
            let forwarded = AssertUnwindSafe(inner.call(outbound)).catch_unwind().await;
            let Ok(Ok(reply)) = forwarded else {
                let refusal = Refusal::new(Code::InternalError, PANICKED);
                guarded
                    .conclude(&mut outcome, &Answered::default(), None, Some("the guard failed"), &self.trail)
                    .await;
                return Reply::failed(Some(request_id), operation, refusal);
            };
            let mut reply = reply;
            let (mut answered, body, broken) = collect(operation, &mut reply).await;
            if broken {
                let refusal = Refusal::new(Code::UpstreamFailed, BROKE_OFF);
                reply = Reply::failed(Some(request_id), operation, refusal);
            } else if let Some(body) = body {
                *reply.response.body_mut() = body;
            }
            // An upstream that echoes the token in place of an id gets it into no record.
            let echo = |id: &mut String| credential.as_ref().is_some_and(|token| token.is_in(id));
            answered.goes_on_unnamed |= answered.action_id.take_if(echo).is_some();
            guarded.part = answered.part;
            // What more went than was allowed closes the cap at once, before anything is written.
            let overran = guarded.held_against(&Said::from(&answered), self.tell());
            let own = reply.refusal.is_some() || answered.result.is_some();
            let status = (!own).then(|| reply.response.status().as_u16());
            let error = reply.refusal.as_ref().map(|refusal| refusal.code().as_str());
            guarded
                .conclude(&mut outcome, &answered, status.or(answered.status), error, &self.trail)
                .await;
            if let Some(cancelled) = answered.cancelled {
                guarded.account(cancelled, &self.metrics).await;
            }
            if let Some(recorded) = overran {
                recorded.await;
            }
            if let Some(id) = answered.action_id.filter(|_| guarded.origin.snapshot.follow_bulk_actions) {
                self.follower.follow(guarded, id, credential, sent);
            }
            noted.note_on(&mut reply);
            reply
        });
        task.await.unwrap_or_else(|_| {
            let refusal = Refusal::new(Code::InternalError, PANICKED);
            Reply::failed(Some(request_id), operation, refusal)
        })
    }

    fn tell(&self) -> Tell<'_> {
        Tell {
            trail: &self.trail,
            metrics: &self.metrics,
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
            gone: None,
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
                listed: None,
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

/// The refusal of a cancel whose cap QStash was seen not to honour. Under monitor mode it decides nothing.
fn overrun(origin: &Origin, operation: Operation, selected: Option<&Selected>) -> Option<Refusal> {
    let overrun = origin.snapshot.overruns.of(operation);
    let selected = selected?;
    // What was listed goes by ids in the query, and does not rest on `count`.
    let violation = match selected.listed {
        Some(_) => overrun.violation_of(operation, Cap::Listed)?,
        None => origin
            .snapshot
            .policy
            .overrun_violation(operation, overrun, &selected.selection)?,
    };
    Refusal::of(vec![violation])
}

const PANICKED: &str = "The guard failed while it handled the request; check what became of it before you repeat it.";
const BROKE_OFF: &str =
    "QStash's answer broke off in the middle; check what became of the cancel before you repeat it.";
