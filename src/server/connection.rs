//! One core's connections: accepts them, finds out which HTTP they speak, bounds how long they may do nothing, and
//! lets them finish at shutdown.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use bytes::BytesMut;
use http::{Request, request};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use super::activity::{Activity, Expired, Timeouts};
use super::client_ip::TrustedProxies;
use super::drain::Drain;
use super::in_flight::{Answering, InFlight};
use super::io::ClientIo;
use super::listener::pause_after;
use super::settings::{Listen, Resources};
use super::tls::{self, Presented, Secured, Unopened};
use super::watch::{Ended, watch};
use crate::http1::{self, Finish, ServeError};
use crate::layers::exchange::{Exchange, Origin, Snapshot};
use crate::stack::Stack;
use crate::telemetry::Metrics;
use crate::upstream::{BodyFault, ClientBody};

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
    tls: Option<Presented>,
    drain: Drain,
    open: TaskTracker,
}

impl<S: Stack> Connections<S> {
    /// Connections that are answered by `stack`, over TLS where there is something to present. `slots` bounds them over
    /// all cores; once `drain` has started, they finish what they do.
    pub fn new(
        stack: S,
        snapshot: Arc<ArcSwap<Snapshot>>,
        (listen, resources): (&Listen, &Resources),
        tls: Option<Presented>,
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
            tls,
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
            let _ = stream.set_nodelay(true);
            let Ok(slot) = slot else { break };
            let (connections, held) = (self.clone(), Held::new(slot, &shared.metrics));
            // Two futures, so that a connection without TLS holds no room for it.
            match &shared.tls {
                None => shared.open.spawn(connections.serve(held, stream, peer)),
                Some(tls) => shared
                    .open
                    .spawn(connections.serve_tls(held, stream, peer, tls.config())),
            };
        }
        shared.open.close();
        shared.open.clone()
    }

    async fn serve(self, _held: Held, stream: TcpStream, peer: SocketAddr) {
        let activity = Arc::new(Activity::new(self.shared.timeouts));
        self.converse(stream, Peer::at(peer), activity, false).await;
    }

    async fn serve_tls(self, _held: Held, stream: TcpStream, peer: SocketAddr, config: Arc<ServerConfig>) {
        let activity = Arc::new(Activity::new(self.shared.timeouts));
        let opened = {
            let opening = pin!(tls::open(stream, peer.ip(), config, &activity));
            watch(opening, &activity, &self.shared.drain, |_| false).await
        };
        let secured = match opened {
            Ended::Itself(Ok(secured)) => secured,
            Ended::Itself(Err(Unopened::HungUp))
            | Ended::Expired(Expired::Idle | Expired::Stalled)
            | Ended::Drained => {
                return;
            }
            Ended::Itself(Err(Unopened::Refused)) | Ended::Expired(Expired::Head) => {
                return self.shared.metrics.malformed();
            }
        };
        activity.opening_ended();
        let Secured {
            stream,
            certificate,
            is_http2,
        } = secured;
        let peer = Peer {
            certificate,
            ..Peer::at(peer)
        };
        self.converse(stream, peer, activity, is_http2).await;
    }

    /// Serves an open connection. Where HTTP/2 is agreed upon, its preface must come; else it may.
    async fn converse<T>(self, mut stream: T, peer: Peer, activity: Arc<Activity>, is_http2: bool)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
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
            Protocol::Http1 if !is_http2 => self.serve_http1(stream, first, activity, peer).await,
            // Boxed: few connections speak it, and its state is the larger one.
            Protocol::Http1 | Protocol::Http2 => Box::pin(self.serve_http2(stream, first, activity, peer)).await,
        }
    }

    async fn serve_http1<T>(self, stream: T, first: BytesMut, activity: Arc<Activity>, peer: Peer)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let io = ClientIo::new(stream, first, Arc::clone(&activity), true);
        let service = self.service(&activity, peer);
        let answering = |head, body| {
            let answering = service(head, ClientBody::Http1(body));
            async move {
                let Ok(response) = answering.await;
                response
            }
        };
        let finish = Finish::default();
        let connection = pin!(http1::serve(io, shared.max_header_bytes, &finish, answering));
        let ended = watch(connection, &activity, &shared.drain, |_| {
            finish.give();
            true
        })
        .await;
        match ended {
            Ended::Expired(Expired::Head) => shared.metrics.malformed(),
            Ended::Itself(Err(ServeError::Malformed(lingering))) => {
                shared.metrics.malformed();
                lingering.await;
            }
            _ => {}
        }
    }

    async fn serve_http2<T>(self, stream: T, first: BytesMut, activity: Arc<Activity>, peer: Peer)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        activity.opening_ended();
        let io = TokioIo::new(ClientIo::new(stream, first, Arc::clone(&activity), false));
        let service = self.service(&activity, peer);
        let service = move |request: Request<Incoming>| {
            let (head, body) = request.into_parts();
            service(head, ClientBody::Http2(body))
        };
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
        peer: Peer,
    ) -> impl Fn(request::Parts, ClientBody) -> Answering<S::Future> + use<S> {
        // A connection calls through a shared reference, tower through an exclusive one; its requests are called
        // one at a time, so the lock is never waited for.
        let (stack, shared) = (Mutex::new(self.stack), self.shared);
        let activity = Arc::clone(activity);
        move |head, body| {
            let in_flight = InFlight::new(&activity);
            let origin = Origin {
                client: shared.trusted_proxies.client(peer.address, &head.headers),
                certificate: peer.certificate.clone(),
                started: Instant::now(),
                caller: None,
                snapshot: shared.snapshot.load_full(),
            };
            let future = stack
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .call(Exchange { head, body, origin });
            Answering::new(future, in_flight)
        }
    }
}

/// Who is at the other end.
struct Peer {
    address: IpAddr,
    /// The caller that its certificate names.
    certificate: Option<Arc<str>>,
}

impl Peer {
    fn at(address: SocketAddr) -> Self {
        Peer {
            address: address.ip(),
            certificate: None,
        }
    }
}

/// A connection that counts, and holds its slot, as long as this is there.
struct Held {
    _slot: OwnedSemaphorePermit,
    metrics: Metrics,
}

impl Held {
    fn new(slot: OwnedSemaphorePermit, metrics: &Metrics) -> Self {
        metrics.connection_opened();
        Held {
            _slot: slot,
            metrics: metrics.clone(),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.metrics.connection_closed();
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
