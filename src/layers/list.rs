//! Finds the messages that a cancel may take, where the guard enforces its cap. Nothing is cancelled here: the ids go on in
//! the place of the filter, so that limits charge them and the intent names them.

use std::convert::Infallible;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use tower::{Layer, Service};

use super::exchange::Reply;
use super::passage::{Judged, Listed};
use crate::audit::SelectionRecord;
use crate::policy::{GuardedCap, Refusal, not_resolvable};
use crate::telemetry::Metrics;
use crate::upstream::{Client, Lent, ListError, list};

/// Layer of [`List`].
#[derive(Clone)]
pub struct ListLayer {
    /// Where the listing is asked for.
    pub client: Client,
    /// Where listings run, to be waited for at shutdown.
    pub tasks: TaskTracker,
    /// Where the questions are counted.
    pub metrics: Metrics,
}

/// See the module.
#[derive(Clone)]
pub struct List<S> {
    inner: S,
    layer: ListLayer,
}

impl<S> Layer<S> for ListLayer {
    type Service = List<S>;

    fn layer(&self, inner: S) -> List<S> {
        List {
            inner,
            layer: self.clone(),
        }
    }
}

impl<S> Service<Judged> for List<S>
where
    S: Service<Judged, Response = Reply, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = Either<S::Future, Pin<Box<dyn Future<Output = Result<Reply, Infallible>> + Send>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, judged: Judged) -> Self::Future {
        let Some(cap) = judged.selected.as_ref().and_then(|selected| selected.cap) else {
            return Either::Left(self.inner.call(judged));
        };
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let layer = self.layer.clone();
        let (answer, answered) = oneshot::channel();
        // A task of its own sees the client leave, and can still say so in the trail.
        let task = self.layer.tasks.spawn(run(inner, layer, judged, cap, answer));
        Either::Right(Box::pin(async move {
            if let Ok(reply) = answered.await {
                return Ok(reply);
            }
            // The task panicked before anything was sent: what stands above records that of a panic.
            let panic = task.await.err().and_then(|error| error.try_into_panic().ok());
            resume_unwind(panic.unwrap_or_else(|| Box::new("the listing was stopped")))
        }))
    }
}

/// Lists, and hands the request on with what was found. A client that leaves ends the listing: nobody waits for what it
/// would cancel, and a client that asks again would have it cancelled twice.
async fn run<S>(mut inner: S, layer: ListLayer, mut judged: Judged, cap: GuardedCap, mut answer: oneshot::Sender<Reply>)
where
    S: Service<Judged, Response = Reply, Error = Infallible>,
{
    let Some(selected) = &mut judged.selected else { return };
    let lent = Lent::of(&judged.head);
    let found = tokio::select! {
        found = list(&layer.client, &lent, &selected.selection, cap.count, &layer.metrics) => found,
        () = answer.closed() => Err(ListError::Failed("the client left before it ended".to_owned())),
    };
    let found = match found {
        Ok(ids) => Ok(ids),
        Err(ListError::Failed(why)) => Err(format!(
            "The guard caps this cancel itself, and listing what it selects failed: {why}. Nothing was cancelled."
        )),
        Err(ListError::Unresolvable(filter)) => {
            let record = selected.to_record(SelectionRecord::IDS_OF_A_DENIAL);
            let violation = not_resolvable(&filter);
            let refusal = Refusal::new(violation.code, violation.message);
            let mut reply = Reply::refused(&judged.subject(), judged.operation, refusal);
            if let Some(denied) = &mut reply.denied {
                denied.selection = Some(record);
            }
            let _ = answer.send(reply);
            return;
        }
    };
    selected.listed = Some(Listed {
        found,
        max_message_ids: cap.max_message_ids,
        gone: Arc::default(),
        overruns: Arc::clone(&judged.origin.snapshot.overruns),
    });
    let Ok(reply) = inner.call(judged).await;
    let _ = answer.send(reply);
}
