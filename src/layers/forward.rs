//! Sends a request to the upstream: the end of the line. Takes a [`Permit`](crate::policy::Permit) with each.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use http::Version;
use tower::Service;
use uuid::Uuid;

use super::body::ReplyBody;
use super::exchange::Reply;
use super::passage::Outbound;
use crate::policy::{Code, Refusal};
use crate::qstash::operation::Operation;
use crate::telemetry::Metrics;
use crate::upstream::{BodyFault, Client, SendError, Sending, prepare_response};

/// See the module.
#[derive(Clone)]
pub struct Forward {
    client: Client,
    metrics: Metrics,
}

impl Forward {
    /// Forwards over this client.
    pub fn new(client: Client, metrics: Metrics) -> Self {
        Forward { client, metrics }
    }
}

impl Service<Outbound> for Forward {
    type Response = Reply;
    type Error = Infallible;
    type Future = Forwarding;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, outbound: Outbound) -> Self::Future {
        // The permit has served: this is where it leads.
        let Outbound {
            request,
            operation,
            permit: _,
            guarded,
            request_id,
            listed: _,
        } = outbound;
        let retries = if guarded { GUARDED_RETRIES } else { RETRIES };
        Forwarding {
            sent: Instant::now(),
            answer: self.client.send(request, retries),
            metrics: self.metrics.clone(),
            operation,
            request_id,
        }
    }
}

/// The future of [`Forward`].
pub struct Forwarding {
    answer: Sending,
    sent: Instant,
    metrics: Metrics,
    operation: Operation,
    request_id: Option<Uuid>,
}

impl Future for Forwarding {
    type Output = Result<Reply, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let answer = ready!(Pin::new(&mut this.answer).poll(cx));
        this.metrics.upstream_answered(this.sent.elapsed());
        let operation = this.operation;
        Poll::Ready(Ok(match answer {
            Ok(mut response) => {
                prepare_response(response.headers_mut());
                // A message's version is its sender's own (RFC 9110 section 2.5), and the sender is now the guard.
                *response.version_mut() = Version::HTTP_11;
                Reply::forwarded(response.map(ReplyBody::Stream), operation)
            }
            Err(error) => {
                tracing::warn!(%operation, %error, "the upstream gave no answer");
                Reply::failed(this.request_id, operation, refusal(&error))
            }
        }))
    }
}

/// What the client is told; the cause itself, which may name addresses, stays in the log.
fn refusal(error: &SendError) -> Refusal {
    match error {
        SendError::Unreachable(_) => Refusal::new(
            Code::UpstreamUnreachable,
            "QStash could not be reached, and nothing was sent; it is safe to try again.",
        ),
        SendError::Failed(_) => Refusal::new(
            Code::UpstreamFailed,
            "The connection to QStash broke after the request was sent; check what became of it before you repeat it.",
        ),
        SendError::Timeout(after) => Refusal::new(
            Code::UpstreamTimeout,
            format!("QStash did not answer within {after:?}; the request may still take effect."),
        ),
        SendError::Body(BodyFault::Idle) => Refusal::new(
            Code::BodyTimeout,
            "No byte of the body arrived for too long; send it without pauses.",
        ),
        SendError::Body(BodyFault::Broken) => Refusal::new(
            Code::MalformedRequest,
            "The body broke off before its end; send it whole.",
        ),
    }
}

/// How often a request is tried again of which the upstream saw nothing.
const RETRIES: u32 = 3;
/// The same for guarded requests: once, so that no retry can become a second cancel unseen.
const GUARDED_RETRIES: u32 = 1;
