//! Sending one request: over a kept connection if there is one, over a new one otherwise.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderValue, Request, Response};
use rustls::ClientConfig;

use super::body::{BodyFault, Download, Upload};
use super::connect::Connector;
use super::headers;
use super::pool::{Link, Pool};
use super::settings::Settings;
use super::talk::{Talk, Tried};
use crate::http1::Answered;

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
    pub fn send(&self, mut request: Request<Upload>, retries: u32) -> Sending {
        let inner = Arc::clone(&self.0);
        headers::prepare_request(&mut request, &inner.host, &inner.prefix);
        match inner.pool.take() {
            Some(link) => Sending(Way::Kept {
                talk: Some(Talk::new(link, inner.pool.clone(), request, inner.response_timeout)),
                retries,
                inner,
            }),
            None => Sending(Way::Anew(Box::pin(async move {
                let link = inner.connect(retries).await?;
                let talk = Talk::new(link, inner.pool.clone(), request, inner.response_timeout);
                inner.insist(talk, retries).await
            }))),
        }
    }

    /// How long an answer's head may take, from the end of its request.
    pub fn response_timeout(&self) -> Duration {
        self.0.response_timeout
    }

    /// How long a body may stand still.
    pub fn body_idle(&self) -> Duration {
        self.0.body_idle
    }

    /// Closes connections that have been unused for too long.
    pub fn sweep(&self) {
        self.0.pool.sweep();
    }
}

impl Inner {
    /// A new connection, `retries` tries after the first.
    async fn connect(&self, retries: u32) -> Result<Link, SendError> {
        let mut left = retries;
        loop {
            match self.connector.connect().await {
                Ok(stream) => return Ok(Link::new(stream)),
                Err(error) if left == 0 => return Err(SendError::Unreachable(error.to_string())),
                Err(_) => left -= 1,
            }
        }
    }

    /// The answer to a request, over another connection where nothing of it could be written.
    async fn insist(&self, mut talk: Box<Talk>, retries: u32) -> Result<Response<Download>, SendError> {
        let mut left = retries;
        loop {
            match poll_fn(|cx| talk.poll_head(self.max_head, cx)).await {
                Ok(answered) => return Ok(self.accepted(answered, talk)),
                Err(Tried::Failed(error)) => return Err(error),
                Err(Tried::Unsent) if left == 0 => return Err(SendError::closed()),
                Err(Tried::Unsent) => {
                    left -= 1;
                    // The last try is never left to a connection that may have died unseen.
                    let kept = if left == 0 { None } else { self.pool.take() };
                    let link = match kept {
                        Some(link) => link,
                        None => self.connect(left).await?,
                    };
                    talk = talk.over(link);
                }
            }
        }
    }

    fn accepted(&self, answered: Answered, talk: Box<Talk>) -> Response<Download> {
        let Answered {
            status,
            headers,
            spelling,
        } = answered;
        let mut response = Response::new(Download::new(talk, spelling, self.body_idle));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

/// The future of [`Client::send`]. Written by hand: what nearly every request needs is small, and is not moved from
/// state to state.
pub struct Sending(Way);

enum Way {
    /// A kept connection has the request.
    Kept {
        /// Taken once, as the answer comes; polled again, the future stays pending.
        talk: Option<Box<Talk>>,
        /// How often the request may be tried again.
        retries: u32,
        inner: Arc<Inner>,
    },
    /// A connection has to be made.
    Anew(Pin<Box<dyn Future<Output = Result<Response<Download>, SendError>> + Send>>),
}

impl Future for Sending {
    type Output = Result<Response<Download>, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let future: Pin<Box<dyn Future<Output = _> + Send>> = match &mut self.0 {
                Way::Anew(future) => return future.as_mut().poll(cx),
                Way::Kept { talk, retries, inner } => {
                    let Some(talking) = talk else { return Poll::Pending };
                    let tried = ready!(talking.poll_head(inner.max_head, cx));
                    let Some(talk) = talk.take() else { return Poll::Pending };
                    match tried {
                        Ok(answered) => return Poll::Ready(Ok(inner.accepted(answered, talk))),
                        Err(Tried::Failed(error)) => return Poll::Ready(Err(error)),
                        Err(Tried::Unsent) if *retries == 0 => return Poll::Ready(Err(SendError::closed())),
                        Err(Tried::Unsent) => {
                            let (inner, left) = (Arc::clone(inner), *retries - 1);
                            Box::pin(async move {
                                let link = inner.connect(left).await?;
                                let talk = talk.over(link);
                                inner.insist(talk, left).await
                            })
                        }
                    }
                }
            };
            self.0 = Way::Anew(future);
        }
    }
}

impl SendError {
    fn closed() -> Self {
        SendError::Unreachable("the connection was closed".to_owned())
    }
}
