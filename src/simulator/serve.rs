//! HTTP/1.1 in front of the routes.

use std::{convert::Infallible, net::IpAddr, pin::pin, sync::Arc, sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    answer::{Refusal, takes_gzip},
    handle::Shared,
    routes::{self, Call},
};

/// The longest request body, in bytes: 10 MiB, about a message of the pay-as-you-go plan (QStash pricing).
const MAX_BODY: usize = 10 * 1024 * 1024;

/// How long connections may go on after the shutdown.
const DRAIN: Duration = Duration::from_secs(1);

/// How long to wait after an accept failed: by then a descriptor may be free again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Serves until `shutdown` resolves.
pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(Arc::clone(&shared), stream, peer.ip(), stopped.clone()));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    drop(stop);
    let drained = timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        connections.shutdown().await;
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream, caller: IpAddr, mut stopped: watch::Receiver<()>) {
    // Small answers should not wait for the peer's acknowledgement; without it they are only slower.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| respond(Arc::clone(&shared), request, caller));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_mins(1))
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // How a connection ends is the peer's business: a broken one leaves nothing to answer.
    tokio::select! {
        _ = connection.as_mut() => return,
        // An error is the sender's end, which is the signal.
        _ = stopped.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

async fn respond(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    caller: IpAddr,
) -> Result<Response<Full<Bytes>>, Infallible> {
    shared.requests.fetch_add(1, Ordering::Relaxed);
    let gzip = takes_gzip(request.headers());
    let (head, body) = request.into_parts();
    let answer = match collect(body).await {
        Ok(body) => routes::answer(&shared, &Call::new(head.method, &head.uri, head.headers, body, caller)).await,
        Err(refusal) => refusal.into(),
    };
    Ok(answer.into_response(gzip))
}

async fn collect(body: Incoming) -> Result<Bytes, Refusal> {
    let too_large = || Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "request body is larger than 10 MiB");
    // A length that is announced is refused before a byte of it is read.
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(too_large());
    }
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Refusal::bad_request("request body could not be read")),
    }
}
