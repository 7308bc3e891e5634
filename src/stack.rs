//! The order of the layers, on one screen. A request goes through from top to bottom, its answer back up.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceBuilder};

use crate::audit::{OnFailure, Trail};
use crate::layers::audit_cancel::AuditCancelLayer;
use crate::layers::body::ReplyBody;
use crate::layers::capped::Capped;
use crate::layers::catch_panic::CatchPanicLayer;
use crate::layers::classify::Classify;
use crate::layers::credentials::CredentialsLayer;
use crate::layers::enforce::EnforceLayer;
use crate::layers::exchange::Exchange;
use crate::layers::follow::Follower;
use crate::layers::forward::Forward;
use crate::layers::limit::{LimitLayer, Side};
use crate::layers::list::ListLayer;
use crate::layers::prefix::PrefixLayer;
use crate::layers::record_denial::RecordDenialLayer;
use crate::layers::suppressed::Suppressed;
use crate::layers::trace::TraceLayer;
use crate::layers::well_formed::WellFormedLayer;
use crate::telemetry::Metrics;
use crate::upstream::Client;

/// What the layers share.
#[derive(Clone)]
pub struct Parts {
    /// Where requests are counted.
    pub metrics: Metrics,
    /// Where they are recorded.
    pub trail: Trail,
    /// What happens while they cannot be.
    pub on_failure: OnFailure,
    /// Denials that leave no record of their own.
    pub suppressed: Arc<Suppressed>,
    /// Where guarded requests run.
    pub tasks: TaskTracker,
    /// The path prefix that is served; empty for every path.
    pub path_prefix: Arc<str>,
    /// The word to stop what goes on behind them.
    pub stopping: CancellationToken,
    /// One permit for each bulk action that is followed.
    pub followed: Arc<Semaphore>,
    /// The most bytes of a body that are read to judge it.
    pub max_inspected_body: usize,
    /// How long a body may stand still.
    pub body_idle: Duration,
}

/// The stack over one core's client.
pub fn build(parts: Parts, client: Client) -> impl Stack {
    let Parts {
        metrics,
        trail,
        on_failure,
        suppressed,
        tasks,
        path_prefix,
        stopping,
        followed,
        max_inspected_body,
        body_idle,
    } = parts;
    let follower = Follower {
        client: client.clone(),
        trail: trail.clone(),
        metrics: metrics.clone(),
        tasks: tasks.clone(),
        stopping,
        slots: followed,
    };
    let forward = Forward::new(client.clone(), metrics.clone());
    let capped = Capped::new(forward.clone(), client.response_timeout());

    let judged = ServiceBuilder::new()
        // Judges first: what is refused costs no limit and no intent.
        .layer(EnforceLayer { max_inspected_body, body_idle })
        // Charges only what the policy allows, and before the intent, which says that it goes on.
        .layer(LimitLayer { metrics: metrics.clone(), side: Side::Before })
        // Finds what a cancel may take, where the guard enforces its cap; passes everything else on.
        .layer(ListLayer { client, tasks: tasks.clone(), metrics: metrics.clone() })
        // Charges messages as far as they became known only now.
        .layer(LimitLayer { metrics: metrics.clone(), side: Side::After })
        // The intent is on disk before forward writes a byte; the outcome follows whatever happens below.
        .layer(AuditCancelLayer { trail: trail.clone(), on_failure, tasks, metrics: metrics.clone(), follower })
        // Sends what was found, in the place of a request that was listed; forwards everything else.
        .service(capped);

    ServiceBuilder::new()
        // Outermost, so that it times and counts every answer, refusals too.
        .layer(TraceLayer { metrics: metrics.clone() })
        // Above every layer that refuses, so that each refusal leaves its one record.
        .layer(RecordDenialLayer { trail, suppressed })
        // Below the record, so that a panic is recorded like a refusal.
        .layer(CatchPanicLayer)
        // Before anything is read out of the head.
        .layer(WellFormedLayer)
        // Before anything is read out of the path.
        .layer(PrefixLayer { prefix: path_prefix })
        // Before the operation is named, since the token pair goes out of the query that is judged.
        .layer(CredentialsLayer { metrics })
        // Passes most requests straight to `forward`; only guarded, limited and recorded ones go through `judged`.
        .service(Classify { forward, judged, body_idle })
}

/// A whole stack: takes a request, always has an answer.
pub trait Stack:
    Service<Exchange, Response = Response<ReplyBody>, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

impl<S> Stack for S where
    S: Service<Exchange, Response = Response<ReplyBody>, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}
