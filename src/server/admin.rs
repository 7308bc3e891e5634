//! The admin port: health, metrics, and the head of the trail.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

use super::listener::pause_after;
use crate::audit::Trail;
use crate::limits::Store;
use crate::qstash::credential::bearer_token;
use crate::telemetry::Metrics;

/// What the admin port tells.
pub struct Admin {
    /// What is counted.
    pub metrics: Metrics,
    /// What is recorded.
    pub trail: Trail,
    /// Where limits are counted, if not in memory.
    pub store: Option<Store>,
    /// Whether the guard takes requests: from the open port until it is told to stop.
    pub ready: Arc<AtomicBool>,
    /// The file with the bearer token for `/audit`.
    pub token_file: Option<PathBuf>,
    /// Whether only this machine can reach the port.
    pub loopback: bool,
}

impl Admin {
    /// Answers as long as it is polled.
    pub async fn serve(self, listener: TcpListener) {
        let admin = Arc::new(self);
        loop {
            let (stream, _) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    pause_after(&error).await;
                    continue;
                }
            };
            let admin = Arc::clone(&admin);
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let answer = admin.answer(&request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service);
                // A client of the admin port that breaks off is nobody's loss.
                let _ = connection.await;
            });
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return respond(
                StatusCode::METHOD_NOT_ALLOWED,
                TEXT,
                "only GET is served here\n".to_owned(),
            );
        }
        match request.uri().path() {
            "/healthz" => respond(StatusCode::OK, TEXT, "alive\n".to_owned()),
            "/readyz" => self.readyz(),
            "/metrics" => respond(StatusCode::OK, "text/plain; version=0.0.4", self.metrics.render()),
            "/audit/head" if self.serves_audit(request) => {
                let (seq, hash) = self.trail.head();
                respond(
                    StatusCode::OK,
                    JSON,
                    serde_json::json!({"seq": seq, "hash": hash}).to_string(),
                )
            }
            _ => respond(
                StatusCode::NOT_FOUND,
                TEXT,
                "not found; /healthz, /readyz, /metrics and /audit/head are here\n".to_owned(),
            ),
        }
    }

    /// Ready from the open port until SIGTERM. A failing trail or store shows in the body alone: taking the guard out of service
    /// would stop the traffic that can still pass.
    fn readyz(&self) -> Response<Full<Bytes>> {
        let ready = self.ready.load(Ordering::Acquire);
        let status = if ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        let trail = if self.trail.is_failed() { "failing" } else { "ok" };
        let mut text = serde_json::json!({"status": if ready { "ready" } else { "stopping" }, "trail": trail});
        if let Some(store) = &self.store {
            text["store"] = if store.is_up() { "ok" } else { "failing" }.into();
        }
        respond(status, JSON, text.to_string())
    }

    fn serves_audit(&self, request: &Request<Incoming>) -> bool {
        let Some(file) = &self.token_file else {
            return self.loopback;
        };
        // Read anew each time: the file may be replaced, and nobody asks often.
        let Ok(expected) = std::fs::read(file) else {
            return false;
        };
        let shown = request
            .headers()
            .get(AUTHORIZATION)
            .map(HeaderValue::as_bytes)
            .and_then(bearer_token);
        let expected = expected.trim_ascii();
        // Digests are compared, so that how long it takes tells nothing of the token.
        !expected.is_empty() && shown.is_some_and(|shown| Sha256::digest(shown) == Sha256::digest(expected))
    }
}

fn respond(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
