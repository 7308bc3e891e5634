//! Sending one request: over a kept connection if there is one, over a new one otherwise.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Response, request};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;

use super::body::{BodyFault, Download, Lease, Progress, Upload};
use super::connect::{ConnectError, Connector};
use super::headers;
use super::pool::Pool;
use super::settings::Settings;

/// Sends requests to the upstream, for one core. Cloning shares its connections.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    connector: Connector,
    pool: Pool,
    host: HeaderValue,
    prefix: String,
    response_timeout: Duration,
    body_idle: Duration,
    max_head: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No byte of the request was sent.
    #[error("{0}")]
    Unreachable(String),
    /// The connection broke, or the answer was none, after something may have been sent.
    #[error("{0}")]
    Failed(String),
    /// No response head within `upstream.response_timeout`.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The client's body did not come to its end.
    #[error("{0}")]
    Body(#[from] BodyFault),
}

impl Client {
    /// A client of the upstream, its own pool empty. `body_idle` bounds how long an answer's body may stand still,
    /// `max_head` the bytes of an answer's head.
    ///
    /// # Errors
    /// If the upstream's host is no name that TLS can check.
    pub fn new(settings: &Settings, tls: Arc<ClientConfig>, body_idle: Duration, max_head: usize) -> io::Result<Self> {
        let origin = &settings.origin;
        Ok(Client(Arc::new(Inner {
            connector: Connector::new(origin, tls, settings.connect_timeout)?,
            pool: Pool::new(settings.idle_timeout),
            host: HeaderValue::from_str(&origin.host_header()).map_err(io::Error::other)?,
            prefix: origin.prefix.clone(),
            response_timeout: settings.response_timeout,
            body_idle,
            max_head,
        })))
    }

    /// Sends a request and waits for the response head. What the upstream never saw is tried again, `retries` times at
    /// most; nothing else is.
    ///
    /// # Errors
    /// [`SendError`], which tells whether anything may have been sent.
    pub async fn send(
        &self,
        mut head: request::Parts,
        body: Upload,
        retries: u32,
    ) -> Result<Response<Download>, SendError> {
        let inner = &*self.0;
        headers::prepare_request(&mut head, &body, &inner.host, &inner.prefix);
        let mut request = Request::from_parts(head, body);
        let progress = request.body().progress();
        let mut left = retries;
        loop {
            // The last try is never left to a connection that may have died unseen.
            let kept = if left == 0 && retries > 0 {
                None
            } else {
                inner.pool.take().await
            };
            let mut sender = match kept {
                Some(sender) => sender,
                None => match inner.connect().await {
                    Ok(sender) => sender,
                    Err(error) if left == 0 => return Err(SendError::Unreachable(error.to_string())),
                    Err(_) => {
                        left -= 1;
                        continue;
                    }
                },
            };
            let answer = inner.answer(&mut sender, request, progress.as_deref()).await;
            match answer {
                // Nothing asked for another protocol, so nothing may switch to one.
                Ok(response) if response.status().is_informational() => {
                    return Err(SendError::Failed(format!(
                        "the upstream answered {}",
                        response.status()
                    )));
                }
                Ok(response) => {
                    let lease = Lease {
                        sender,
                        pool: inner.pool.clone(),
                        progress,
                    };
                    return Ok(response.map(|incoming| Download::new(incoming, lease, inner.body_idle)));
                }
                Err(Tried::Unsent(unsent)) if left > 0 => {
                    left -= 1;
                    request = *unsent;
                }
                Err(Tried::Unsent(_)) => return Err(SendError::Unreachable("the connection was closed".to_owned())),
                Err(Tried::Failed(error)) => return Err(error),
            }
        }
    }

    /// Closes connections that have been unused for too long.
    pub fn sweep(&self) {
        self.0.pool.sweep();
    }
}

impl Inner {
    async fn connect(&self) -> Result<SendRequest<Upload>, ConnectError> {
        let stream = self.connector.connect().await?;
        let (sender, connection) = http1::Builder::new()
            .preserve_header_case(true)
            .max_header_size(self.max_head)
            .handshake(TokioIo::new(stream))
            .await?;
        // What goes wrong on the connection reaches whoever waits for an answer on it.
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn answer(
        &self,
        sender: &mut SendRequest<Upload>,
        request: Request<Upload>,
        progress: Option<&Progress>,
    ) -> Result<Response<hyper::body::Incoming>, Tried> {
        let mut answer = std::pin::pin!(sender.try_send_request(request));
        let mut wait = self.response_timeout;
        let mut taken = 0;
        loop {
            let Ok(answer) = tokio::time::timeout(wait, answer.as_mut()).await else {
                // The clock starts at the end of the request; before, with whatever the upstream takes of it.
                wait = match progress {
                    None => Duration::ZERO,
                    Some(progress) => match progress.done_at() {
                        Some(done) => self.response_timeout.saturating_sub(done.elapsed()),
                        None if progress.is_waiting_for_client() => self.response_timeout,
                        None if progress.frames() == taken => Duration::ZERO,
                        None => {
                            taken = progress.frames();
                            self.response_timeout
                        }
                    },
                };
                if wait.is_zero() {
                    return Err(Tried::Failed(SendError::Timeout(self.response_timeout)));
                }
                continue;
            };
            return answer.map_err(
                |mut error| match (error.take_message(), progress.and_then(Progress::fault)) {
                    (Some(request), _) => Tried::Unsent(Box::new(request)),
                    (None, Some(fault)) => Tried::Failed(SendError::Body(fault)),
                    (None, None) => Tried::Failed(SendError::Failed(cause(error.error()))),
                },
            );
        }
    }
}

/// What became of a try that brought no answer.
enum Tried {
    /// Nothing was written; here is the request again.
    Unsent(Box<Request<Upload>>),
    Failed(SendError),
}

/// An error with its source, since hyper's own text leaves that out.
fn cause(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
