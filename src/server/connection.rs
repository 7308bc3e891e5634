//! One core's connections: accepts them, finds out which HTTP they speak, bounds how long they may do nothing, and
//! lets them finish at shutdown.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use arc_swap::ArcSwap;
use bytes::BytesMut;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::activity::{Activity, Expired, Timeouts};
use super::client_ip::TrustedProxies;
use super::drain::Drain;
use super::io::ClientIo;
use super::listener::pause_after;
use super::settings::{Listen, Resources};
use super::watch::{Ended, watch};
use crate::layers::body::ReplyBody;
use crate::layers::exchange::{Exchange, Origin, Snapshot};
use crate::stack::Stack;
use crate::telemetry::Metrics;
use crate::upstream::BodyFault;

/// The connections of one core.
#[derive(Clone)]
pub struct Connections<S> {
    stack: S,
    shared: Arc<Shared>,
}

struct Shared {
    snapshot: Arc<ArcSwap<Snapshot>>,
    slots: Arc<Semaphore>,
    metrics: Metrics,
    timeouts: Timeouts,
    max_header_bytes: usize,
    trusted_proxies: TrustedProxies,
    drain: Drain,
    open: TaskTracker,
}

impl<S: Stack> Connections<S> {
    /// Connections that are answered by `stack`. `slots` bounds them over all cores; once `drain` has started, they
    /// finish what they do.
    pub fn new(
        stack: S,
        snapshot: Arc<ArcSwap<Snapshot>>,
        (listen, resources): (&Listen, &Resources),
        slots: Arc<Semaphore>,
        metrics: Metrics,
        drain: Drain,
    ) -> Self {
        let shared = Shared {
            snapshot,
            slots,
            metrics,
            timeouts: Timeouts {
                head: resources.header_read_timeout,
                idle: listen.idle_timeout,
                body_idle: resources.body_idle_timeout,
            },
            max_header_bytes: resources.max_header_bytes,
            trusted_proxies: listen.trusted_proxies.clone(),
            drain,
            open: TaskTracker::new(),
        };
        Connections {
            stack,
            shared: Arc::new(shared),
        }
    }

    /// Accepts connections until draining starts; gives the tracker of those that are still open.
    pub async fn accept(self, listener: TcpListener) -> TaskTracker {
        let shared = &self.shared;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shared.drain.started() => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    pause_after(&error).await;
                    continue;
                }
            };
            // The slot is waited for with the connection in hand: another core's listener may have one waiting, and a
            // slot held by an empty hand would keep it out.
            let slot = tokio::select! {
                slot = Arc::clone(&shared.slots).acquire_owned() => slot,
                () = shared.drain.started() => break,
            };
            let connections = self.clone();
            shared.open.spawn(async move {
                let _slot = slot;
                let metrics = connections.shared.metrics.clone();
                metrics.connection_opened();
                connections.serve(stream, peer).await;
                metrics.connection_closed();
            });
        }
        shared.open.close();
        shared.open.clone()
    }

    async fn serve(self, mut stream: TcpStream, peer: SocketAddr) {
        let _ = stream.set_nodelay(true);
        let activity = Arc::new(Activity::new(self.shared.timeouts));
        let sniffed = {
            let sniffing = pin!(sniff(&mut stream, &activity));
            watch(sniffing, &activity, &self.shared.drain, |_| false).await
        };
        let (first, protocol) = match sniffed {
            Ended::Itself(Some(sniffed)) => sniffed,
            Ended::Itself(None) | Ended::Expired(Expired::Idle | Expired::Stalled) | Ended::Drained => return,
            Ended::Expired(Expired::Head) => return self.shared.metrics.malformed(),
        };
        match protocol {
            Protocol::Http1 => self.serve_http1(stream, first, activity, peer.ip()).await,
            // Boxed: few connections speak it, and its state is the larger one.
            Protocol::Http2 => Box::pin(self.serve_http2(stream, first, activity, peer.ip())).await,
        }
    }

    async fn serve_http1(self, stream: TcpStream, first: BytesMut, activity: Arc<Activity>, client: IpAddr) {
        let shared = Arc::clone(&self.shared);
        let io = TokioIo::new(ClientIo::new(stream, first, Arc::clone(&activity), true));
        let service = self.service(&activity, client);
        let connection = http1::Builder::new()
            .preserve_header_case(true)
            .auto_date_header(false)
            .max_header_size(shared.max_header_bytes)
            .header_read_timeout(None)
            .serve_connection(io, service_fn(service));
        let connection = pin!(connection);
        let ended = watch(connection, &activity, &shared.drain, |connection| {
            connection.graceful_shutdown();
            true
        })
        .await;
        shared.note_end(&ended);
    }

    async fn serve_http2(self, stream: TcpStream, first: BytesMut, activity: Arc<Activity>, client: IpAddr) {
        let shared = Arc::clone(&self.shared);
        activity.preface_ended();
        let io = TokioIo::new(ClientIo::new(stream, first, Arc::clone(&activity), false));
        let service = self.service(&activity, client);
        let connection = http2::Builder::new(TokioExecutor::new())
            .auto_date_header(false)
            .max_header_list_size(u32::try_from(shared.max_header_bytes).unwrap_or(u32::MAX))
            .serve_connection(io, service_fn(service));
        let connection = pin!(connection);
        let ended = watch(connection, &activity, &shared.drain, |connection| {
            connection.graceful_shutdown();
            true
        })
        .await;
        shared.note_end(&ended);
    }

    fn service(
        self,
        activity: &Arc<Activity>,
        client: IpAddr,
    ) -> impl Fn(Request<Incoming>) -> Answering<S::Future> + use<S> {
        // hyper calls through a shared reference, tower through an exclusive one; a connection's requests are called
        // one at a time, so the lock is never waited for.
        let (stack, shared) = (Mutex::new(self.stack), self.shared);
        let activity = Arc::clone(activity);
        move |request| {
            let in_flight = InFlight::new(&activity);
            let (head, body) = request.into_parts();
            let origin = Origin {
                client: shared.trusted_proxies.client(client, &head.headers),
                started: Instant::now(),
                caller: None,
                snapshot: shared.snapshot.load_full(),
            };
            let future = stack
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .call(Exchange { head, body, origin });
            Answering {
                future,
                in_flight: Some(in_flight),
            }
        }
    }
}

impl Shared {
    fn note_end(&self, ended: &Ended<hyper::Result<()>>) {
        match ended {
            Ended::Expired(Expired::Head) => self.metrics.malformed(),
            Ended::Itself(Err(error)) if error.is_parse() || breaks_http2(error) => self.metrics.malformed(),
            _ => {}
        }
    }
}

/// Whether a connection ended because its frames made no sense. hyper says so only by what lies beneath: an error of
/// its HTTP/2 in place of the system's or of a body.
fn breaks_http2(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error);
    !error.is_user() && cause.is_some_and(|cause| !cause.is::<std::io::Error>() && !cause.is::<BodyFault>())
}

/// Which HTTP a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// Reads until it is clear whether the client sends the HTTP/2 preface (RFC 9113 section 3.4); `None` if it hung up.
async fn sniff(stream: &mut (impl AsyncRead + Unpin), activity: &Activity) -> Option<(BytesMut, Protocol)> {
    let mut first = BytesMut::new();
    loop {
        if stream.read_buf(&mut first).await.ok()? == 0 {
            return None;
        }
        activity.read();
        let most = first.len().min(PREFACE.len());
        if first[..most] != PREFACE[..most] {
            return Some((first, Protocol::Http1));
        }
        if most == PREFACE.len() {
            return Some((first, Protocol::Http2));
        }
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A request that is not answered to its end.
struct InFlight(Arc<Activity>);

impl InFlight {
    fn new(activity: &Arc<Activity>) -> Self {
        activity.request_began();
        InFlight(Arc::clone(activity))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}

pin_project_lite::pin_project! {
    /// The stack's future; hands the in-flight mark on to the body.
    struct Answering<F> {
        #[pin]
        future: F,
        in_flight: Option<InFlight>,
    }
}

impl<F: Future<Output = Result<Response<ReplyBody>, Infallible>>> Future for Answering<F> {
    type Output = Result<Response<Served>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.future.poll(cx).map(|answer| {
            answer.map(|response| {
                response.map(|body| Served {
                    body,
                    _in_flight: this.in_flight.take(),
                })
            })
        })
    }
}

/// A body that keeps its request in flight until it ends.
struct Served {
    body: ReplyBody,
    _in_flight: Option<InFlight>,
}

impl Body for Served {
    type Data = bytes::Bytes;
    type Error = BodyFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, BodyFault>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
