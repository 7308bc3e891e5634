//! Sending one request: over a kept connection if there is one, over a new one otherwise.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use rustls::ClientConfig;

use super::body::{BodyFault, Download, Lease, Progress, Upload};
use super::connect::{ConnectError, Connector};
use super::headers;
use super::pool::{Alarm, Link, Pool};
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
    /// most; nothing else is. A kept connection gets the request at once, before the future is polled.
    ///
    /// # Errors
    /// [`SendError`], which tells whether anything may have been sent.
    pub fn send(
        &self,
        mut request: Request<Upload>,
        retries: u32,
    ) -> Sending<impl Future<Output = Sent> + Send + use<>> {
        let inner = Arc::clone(&self.0);
        headers::prepare_request(&mut request, &inner.host, &inner.prefix);
        let progress = request.body().progress();
        match inner.pool.take_ready() {
            Some(mut link) => Sending::Kept {
                answer: link.sender.try_send_request(request),
                wait: Wait::new(inner.response_timeout),
                link: Some(link),
                progress,
                retries,
                inner,
            },
            None => Sending::Anew {
                future: anew(inner, Box::new(request), progress, retries),
            },
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
    /// The same over a connection that may have to be made first.
    async fn send_anew(
        &self,
        mut request: Box<Request<Upload>>,
        progress: Option<Arc<Progress>>,
        retries: u32,
    ) -> Result<Response<Download>, SendError> {
        let mut left = retries;
        loop {
            // The last try is never left to a connection that may have died unseen.
            let kept = if left == 0 { None } else { self.pool.take().await };
            let mut link = match kept {
                Some(link) => link,
                None => match self.connect().await {
                    Ok(link) => link,
                    Err(error) if left == 0 => return Err(SendError::Unreachable(error.to_string())),
                    Err(_) => {
                        left -= 1;
                        continue;
                    }
                },
            };
            let mut answer = pin!(link.sender.try_send_request(*request));
            let mut wait = Wait::new(self.response_timeout);
            let answer = poll_fn(|cx| wait.poll(answer.as_mut(), &mut link.alarm, progress.as_deref(), cx)).await;
            match answer {
                Ok(response) => return self.accepted(response, link, progress),
                Err(Tried::Failed(error)) => return Err(error),
                Err(Tried::Unsent(_)) if left == 0 => return Err(SendError::closed()),
                Err(Tried::Unsent(unsent)) => {
                    left -= 1;
                    request = unsent;
                }
            }
        }
    }

    async fn connect(&self) -> Result<Link, ConnectError> {
        let stream = self.connector.connect().await?;
        let (sender, connection) = http1::Builder::new()
            .preserve_header_case(true)
            .max_header_size(self.max_head)
            .handshake(TokioIo::new(stream))
            .await?;
        // What goes wrong on the connection reaches whoever waits for an answer on it.
        tokio::spawn(connection);
        Ok(Link::new(sender))
    }

    fn accepted(
        &self,
        response: Response<Incoming>,
        link: Link,
        progress: Option<Arc<Progress>>,
    ) -> Result<Response<Download>, SendError> {
        // Nothing asked for another protocol, so nothing may switch to one.
        if response.status().is_informational() {
            return Err(SendError::Failed(format!(
                "the upstream answered {}",
                response.status()
            )));
        }
        let lease = Lease {
            link,
            pool: self.pool.clone(),
            progress,
        };
        Ok(response.map(|incoming| Download::new(incoming, lease, self.body_idle)))
    }
}

fn anew(
    inner: Arc<Inner>,
    request: Box<Request<Upload>>,
    progress: Option<Arc<Progress>>,
    retries: u32,
) -> Pin<Box<dyn Future<Output = Result<Response<Download>, SendError>> + Send>> {
    Box::pin(async move { inner.send_anew(request, progress, retries).await })
}

pin_project! {
    /// The future of [`Client::send`]. Written by hand: what nearly every request needs is small, and is not moved from
    /// state to state.
    #[project = SendingProjected]
    pub enum Sending<A> {
        /// A kept connection has the request.
        Kept {
            #[pin]
            answer: A,
            link: Option<Link>,
            wait: Wait,
            progress: Option<Arc<Progress>>,
            retries: u32,
            inner: Arc<Inner>,
        },
        /// A connection has to be found or made.
        Anew {
            future: Pin<Box<dyn Future<Output = Result<Response<Download>, SendError>> + Send>>,
        },
    }
}

impl<A: Future<Output = Sent>> Future for Sending<A> {
    type Output = Result<Response<Download>, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let future = match self.as_mut().project() {
                SendingProjected::Anew { future } => return future.as_mut().poll(cx),
                SendingProjected::Kept {
                    answer,
                    link,
                    wait,
                    progress,
                    retries,
                    inner,
                } => {
                    // Taken once, as the answer comes; polled again, the future stays pending.
                    let Some(alarm) = link.as_mut().map(|link| &mut link.alarm) else {
                        return Poll::Pending;
                    };
                    let answer = ready!(wait.poll(answer, alarm, progress.as_deref(), cx));
                    match (answer, link.take()) {
                        (Ok(response), Some(link)) => {
                            return Poll::Ready(inner.accepted(response, link, progress.take()));
                        }
                        (Err(Tried::Failed(error)), _) => return Poll::Ready(Err(error)),
                        (Err(Tried::Unsent(request)), _) if *retries > 0 => {
                            anew(Arc::clone(inner), request, progress.take(), *retries - 1)
                        }
                        (Ok(_), None) | (Err(Tried::Unsent(_)), _) => return Poll::Ready(Err(SendError::closed())),
                    }
                }
            };
            self.set(Sending::Anew { future });
        }
    }
}

/// How long an answer is waited for.
#[derive(Debug)]
pub struct Wait {
    deadline: Instant,
    timeout: Duration,
    /// The frames of the request that were taken when the deadline was last moved.
    taken: u64,
}

impl Wait {
    fn new(timeout: Duration) -> Self {
        Wait {
            deadline: Instant::now() + timeout,
            timeout,
            taken: 0,
        }
    }

    /// The response head; `upstream.response_timeout` from the end of the request at most.
    fn poll(
        &mut self,
        answer: Pin<&mut impl Future<Output = Sent>>,
        alarm: &mut Alarm,
        progress: Option<&Progress>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<Incoming>, Tried>> {
        if let Poll::Ready(answer) = answer.poll(cx) {
            return Poll::Ready(answer.map_err(|error| Tried::of(error, progress)));
        }
        while alarm.poll_at(self.deadline, cx).is_ready() {
            match self.later(progress) {
                Some(later) if later > self.deadline => self.deadline = later,
                _ => return Poll::Ready(Err(Tried::Failed(SendError::Timeout(self.timeout)))),
            }
        }
        Poll::Pending
    }

    /// Until when it is waited on. The clock starts at the end of the request; before, with whatever the upstream takes
    /// of it.
    fn later(&mut self, progress: Option<&Progress>) -> Option<Instant> {
        let progress = progress?;
        if let Some(done) = progress.done_at() {
            return Some(done + self.timeout);
        }
        if !progress.is_waiting_for_client() {
            if progress.frames() == self.taken {
                return None;
            }
            self.taken = progress.frames();
        }
        Some(Instant::now() + self.timeout)
    }
}

impl SendError {
    fn closed() -> Self {
        SendError::Unreachable("the connection was closed".to_owned())
    }
}

/// What hyper says of a request it was given.
type Sent = Result<Response<Incoming>, TrySendError<Request<Upload>>>;

/// What became of a try that brought no answer.
enum Tried {
    /// Nothing was written; here is the request again.
    Unsent(Box<Request<Upload>>),
    Failed(SendError),
}

impl Tried {
    fn of(mut error: TrySendError<Request<Upload>>, progress: Option<&Progress>) -> Self {
        match (error.take_message(), progress.and_then(Progress::fault)) {
            (Some(request), _) => Tried::Unsent(Box::new(request)),
            (None, Some(fault)) => Tried::Failed(SendError::Body(fault)),
            (None, None) => Tried::Failed(SendError::Failed(cause(error.error()))),
        }
    }
}

/// An error with its source, since hyper's own text leaves that out.
fn cause(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
