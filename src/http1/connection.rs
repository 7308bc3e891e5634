//! A server's side of a connection: requests one after another, each answered before the next is read.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, request};
use http_body::Body as HttpBody;
use http_body_util::Empty;
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Asked, Spelled};
use super::body::Body;
use super::framing::{self, Length};
use super::half::{Half, Unread};
use super::head::{BadHead, RequestHead};
use super::output::Output;

/// The word that a connection should end behind the request it is at.
#[derive(Debug, Default)]
pub struct Finish(AtomicBool);

impl Finish {
    /// Gives it. Whoever polls the connection polls it once more.
    pub fn give(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_given(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why a connection ended otherwise than it should.
pub enum ServeError {
    /// What the client sent is no request. It was told so by a status alone; what is left is to wait until it knows.
    Malformed(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// The client went before it was answered.
    Left,
    /// The connection or the answer's body broke.
    Broken,
}

/// Serves a connection until one side ends it. `service` is called with each request once its head, of `max_head` bytes
/// at most, is complete; its future is dropped if the client leaves before the answer.
///
/// # Errors
/// [`ServeError`].
pub async fn serve<T, S, F, B>(io: T, max_head: usize, finish: &Finish, service: S) -> Result<(), ServeError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Fn(request::Parts, Body) -> F,
    F: Future<Output = Response<B>>,
    B: HttpBody<Data = Bytes> + Spelled + Unpin,
{
    let half = Arc::new(Mutex::new(Half::new(io)));
    let mut buffer = Vec::new();
    loop {
        let mut head = match poll_fn(|cx| lock(&half).poll_head(max_head, finish.is_given(), cx)).await {
            Ok(Some(head)) => head,
            Ok(None) => return end(&half).await,
            Err(Unread::Broken) => return Err(ServeError::Broken),
            Err(Unread::Bad(bad)) => return Err(refuse(half, bad).await),
        };
        let mut asked = Asked::of(&head);
        let Ok(length) = framing::of_request(&mut head.parts.headers, head.has, head.parts.version) else {
            return Err(refuse(half, BadHead::Malformed).await);
        };
        let response = {
            let body = receive(&half, &mut head, length);
            let mut answering = pin!(service(head.parts, body));
            poll_fn(|cx| match answering.as_mut().poll(cx) {
                Poll::Ready(response) => Poll::Ready(Ok(response)),
                Poll::Pending => lock(&half).poll_left(cx).map(|()| Err(ServeError::Left)),
            })
            .await?
        };
        asked.keep_alive &= lock(&half).answer() && !finish.is_given();
        if poll_fn(|cx| lock(&half).poll_go_on(cx)).await.is_err() {
            return Err(ServeError::Broken);
        }
        let (head, mut body) = response.into_parts();
        let gets_content = asked.gets_content(head.status);
        let encoder = asked.write_head(head, &body, &mut buffer);
        let mut output = Output::new(std::mem::take(&mut buffer), encoder);
        poll_fn(|cx| {
            let mut io = Writer(&half);
            let written = if gets_content {
                output.poll_write(&mut io, &mut body, cx).map(|written| written.is_ok())
            } else {
                output
                    .poll_write(&mut io, &mut Empty::new(), cx)
                    .map(|written| written.is_ok())
            };
            match written {
                Poll::Ready(true) => Poll::Ready(Ok(())),
                Poll::Ready(false) => Poll::Ready(Err(ServeError::Broken)),
                Poll::Pending => lock(&half).poll_left(cx).map(|()| Err(ServeError::Left)),
            }
        })
        .await?;
        buffer = output.into_buffer();
        let next_is_found = drain(&half).await;
        // Whoever made the answer holds its request for open as long as this is there.
        if !next_is_found || !asked.keep_alive {
            discard(&half).await;
            return Ok(());
        }
        drop(body);
    }
}

/// A request's body as it is handed on: in hand, or to be read.
fn receive<T>(half: &Arc<Mutex<Half<T>>>, head: &mut RequestHead, length: Length) -> Body
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // Unlocked again before a body looks at what is left.
    let whole = lock(half).expect(head, length);
    let spelling = std::mem::take(&mut head.spelling);
    match whole {
        Some(whole) => Body::whole(whole, spelling),
        None => Body::read_from(Arc::<Mutex<Half<T>>>::clone(half), spelling),
    }
}

/// Reads what is left of the request, so that the next is found and the client is not reset while it reads its answer;
/// gives whether it came to its end.
///
/// A connection that is closed with unread bytes is reset, and a reset may take the answer with it; clients repeat a
/// cancel whose connection breaks (RFC 9112 section 9.6).
async fn drain<T>(half: &Mutex<Half<T>>) -> bool
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if lock(half).is_at_end() {
        return true;
    }
    let mut left = MOST_DRAINED;
    let drained = poll_fn(|cx| lock(half).poll_drain(&mut left, cx));
    tokio::time::timeout(LONGEST, drained).await.unwrap_or(false)
}

/// Says that nothing more comes.
async fn end<T: AsyncWrite + Unpin>(half: &Mutex<Half<T>>) -> Result<(), ServeError> {
    let ended = poll_fn(|cx| Pin::new(&mut lock(half).io).poll_shutdown(cx));
    match tokio::time::timeout(LONGEST, ended).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(ServeError::Broken),
    }
}

/// Tells a client that what it sent is no request.
async fn refuse<T>(half: Arc<Mutex<Half<T>>>, bad: BadHead) -> ServeError
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let status = match bad {
        BadHead::Malformed => "400 Bad Request",
        BadHead::TargetTooLong => "414 URI Too Long",
        BadHead::TooLarge => "431 Request Header Fields Too Large",
    };
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let mut output = Output::bare(answer.into_bytes());
    let _ = poll_fn(|cx| output.poll_write(&mut Writer(&half), &mut Empty::new(), cx)).await;
    ServeError::Malformed(Box::pin(async move { discard(&half).await }))
}

/// Ends the connection on this side, and reads on until the client does.
async fn discard<T: AsyncRead + AsyncWrite + Unpin>(half: &Mutex<Half<T>>) {
    let mut left = MOST_DRAINED;
    let ended = poll_fn(|cx| lock(half).poll_discard(&mut left, cx));
    let _ = tokio::time::timeout(LONGEST, ended).await;
}

pub(super) fn lock<T: ?Sized>(half: &Mutex<T>) -> MutexGuard<'_, T> {
    half.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection as far as it is written to. Not locked while a body is asked for its next frame: an answer's may lead to
/// its request's, which reads from the same connection.
struct Writer<'a, T>(&'a Mutex<Half<T>>);

impl<T: AsyncWrite + Unpin> AsyncWrite for Writer<'_, T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut lock(self.0).io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut lock(self.0).io).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        lock(self.0).io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(self.0).io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(self.0).io).poll_shutdown(cx)
    }
}

/// Bytes that are read on behind an answer; a client that sends more has stopped reading answers anyway.
const MOST_DRAINED: u64 = 1024 * 1024;
/// How long is read on.
const LONGEST: Duration = Duration::from_secs(5);
