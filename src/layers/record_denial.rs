//! Every refusal from any layer below leaves one record, written before the client sees the answer.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::exchange::{Exchange, Reply, Snapshot};
use super::suppressed::Suppressed;
use crate::audit::{Record, Trail};

/// Layer of [`RecordDenial`].
#[derive(Clone)]
pub struct RecordDenialLayer {
    /// The trail.
    pub trail: Trail,
    /// Where denials above the limit are counted.
    pub suppressed: Arc<Suppressed>,
}

/// See the module.
#[derive(Clone)]
pub struct RecordDenial<S> {
    inner: S,
    layer: Arc<RecordDenialLayer>,
}

impl<S> Layer<S> for RecordDenialLayer {
    type Service = RecordDenial<S>;

    fn layer(&self, inner: S) -> RecordDenial<S> {
        RecordDenial {
            inner,
            layer: Arc::new(self.clone()),
        }
    }
}

impl<S> Service<Exchange> for RecordDenial<S>
where
    S: Service<Exchange, Response = Reply, Error = Infallible>,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = Recording<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, exchange: Exchange) -> Self::Future {
        let (layer, snapshot) = (Arc::clone(&self.layer), Arc::clone(&exchange.origin.snapshot));
        Recording::Deciding {
            future: self.inner.call(exchange),
            layer,
            snapshot,
        }
    }
}

pin_project! {
    /// The future of [`RecordDenial`].
    #[project = RecordingProjected]
    #[expect(missing_docs, reason = "pin_project takes no comments on the fields of a variant")]
    pub enum Recording<F> {
        /// The layers below decide.
        Deciding {
            #[pin]
            future: F,
            layer: Arc<RecordDenialLayer>,
            snapshot: Arc<Snapshot>,
        },
        /// The record is being written.
        Writing {
            writing: Pin<Box<dyn Future<Output = Reply> + Send>>,
        },
    }
}

impl<F: Future<Output = Result<Reply, Infallible>>> Future for Recording<F> {
    type Output = Result<Reply, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let writing = match self.as_mut().project() {
                RecordingProjected::Deciding {
                    future,
                    layer,
                    snapshot,
                } => {
                    let Ok(mut reply) = ready!(future.poll(cx));
                    let Some(record) = reply.denied.take() else {
                        return Poll::Ready(Ok(reply));
                    };
                    if !layer.is_recorded(snapshot, &record) {
                        return Poll::Ready(Ok(reply));
                    }
                    let trail = layer.trail.clone();
                    Box::pin(async move {
                        // A denial stands, recorded or not: it let nothing through.
                        if let Err(error) = trail.commit(*record).await {
                            tracing::error!(%error, "a denial could not be recorded");
                        }
                        reply
                    })
                }
                RecordingProjected::Writing { writing } => return Poll::Ready(Ok(ready!(writing.as_mut().poll(cx)))),
            };
            self.set(Recording::Writing { writing });
        }
    }
}

impl RecordDenialLayer {
    fn is_recorded(&self, snapshot: &Snapshot, record: &Record) -> bool {
        let (Some(caller), Some(client)) = (&record.caller, record.client) else {
            return true;
        };
        let recorded = snapshot.limits.records_denial(caller, client);
        if !recorded {
            self.suppressed.count();
        }
        recorded
    }
}
