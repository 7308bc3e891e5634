//! One line and a few numbers a request: debug for what passed, info for what was refused.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use http::{Method, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::body::ReplyBody;
use super::exchange::{Exchange, Reply};
use crate::audit::Decision;
use crate::telemetry::Metrics;

/// Layer of [`Trace`].
#[derive(Clone, Debug)]
pub struct TraceLayer {
    /// Where requests are counted and timed.
    pub metrics: Metrics,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Trace<S> {
    inner: S,
    metrics: Metrics,
}

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace {
            inner,
            metrics: self.metrics.clone(),
        }
    }
}

impl<S> Service<Exchange> for Trace<S>
where
    S: Service<Exchange, Response = Reply, Error = Infallible>,
{
    type Response = Response<ReplyBody>;
    type Error = Infallible;
    type Future = Traced<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, exchange: Exchange) -> Self::Future {
        let (method, started) = (exchange.head.method.clone(), exchange.origin.started);
        Traced {
            inner: self.inner.call(exchange),
            metrics: self.metrics.clone(),
            method,
            started,
        }
    }
}

pin_project! {
    /// The future of [`Trace`].
    pub struct Traced<F> {
        #[pin]
        inner: F,
        metrics: Metrics,
        method: Method,
        started: Instant,
    }
}

impl<F: Future<Output = Result<Reply, Infallible>>> Future for Traced<F> {
    type Output = Result<Response<ReplyBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(reply) = ready!(this.inner.poll(cx));
        let took = this.started.elapsed();
        let code = reply.refusal.as_ref().map(|refusal| refusal.code());
        this.metrics.request(reply.operation, reply.decision, code, took);
        let (operation, status, decision) = (reply.operation, reply.response.status(), reply.decision);
        let rule = reply.rule.as_deref();
        let limit = reply.refusal.as_ref().and_then(|refusal| refusal.limit());
        let limit = limit.map(|limit| limit.name.as_str());
        let ms = took.as_secs_f64() * 1e3;
        match (code, decision) {
            (Some(code), Decision::Deny) => {
                tracing::info!(%operation, method = %this.method, %status, %code, rule, limit, ms, "denied");
            }
            (Some(code), Decision::WouldDeny) => {
                tracing::info!(%operation, method = %this.method, %status, %code, rule, limit, ms, "would be denied");
            }
            _ => tracing::debug!(%operation, method = %this.method, %status, rule, ms, "request"),
        }
        Poll::Ready(Ok(reply.response))
    }
}
