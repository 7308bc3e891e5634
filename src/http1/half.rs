//! What the reading and the writing of a server's connection share.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::Version;
use http::header::EXPECT;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite};

use super::BodyError;
use super::body::Reader;
use super::decoder::Decoder;
use super::framing::Length;
use super::head::{self, BadHead, RequestHead};
use super::input::Input;

/// See the module.
pub(super) struct Half<T> {
    pub(super) io: T,
    input: Input,
    /// The body of the request that was read last.
    decoder: Decoder,
    go_on: GoOn,
    /// Whether that body broke off.
    broken: bool,
}

/// Whether a client waits for `100 Continue` before it sends its body (RFC 9110 section 10.1.1).
enum GoOn {
    NotAsked,
    /// It does, and gets it when the body is asked for.
    Asked,
    /// This much of it is to be written.
    Sending(&'static [u8]),
    /// It got its final answer instead. Whether it sends the body is its choice.
    Withheld,
}

/// Why there is no head.
pub(super) enum Unread {
    Bad(BadHead),
    Broken,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Half<T> {
    pub(super) fn new(io: T) -> Self {
        Half {
            io,
            input: Input::default(),
            decoder: Decoder::new(Length::Exactly(0)),
            go_on: GoOn::NotAsked,
            broken: false,
        }
    }

    /// The next head; `None` where the client ended the connection, or the guard does and nothing of one was read.
    pub(super) fn poll_head(
        &mut self,
        max_head: usize,
        finishing: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<RequestHead>, Unread>> {
        // A head that trickles in is not read from its start with every byte: nothing can have changed without a line.
        let mut came = self.input.bytes.len();
        loop {
            let input = &mut self.input.bytes;
            // Blank lines before a request are none of it (RFC 9112 section 2.2).
            while let [b'\n', ..] | [b'\r', b'\n', ..] = input[..] {
                input.advance(if input[0] == b'\r' { 2 } else { 1 });
            }
            came = came.min(input.len());
            let fresh = &input[input.len() - came..];
            if came > 0 && (came == input.len() || fresh.contains(&b'\n') || input.len() > max_head) {
                match head::take_request(input, max_head) {
                    Ok(Some(head)) => return Poll::Ready(Ok(Some(head))),
                    Ok(None) => {}
                    Err(bad) => return Poll::Ready(Err(Unread::Bad(bad))),
                }
            }
            let nothing_yet = input.is_empty();
            if finishing && nothing_yet {
                return Poll::Ready(Ok(None));
            }
            came = match ready!(self.input.poll_fill(&mut self.io, 0, cx)) {
                Ok(0) if nothing_yet => return Poll::Ready(Ok(None)),
                Ok(0) => {
                    // What came since the last line was not looked at yet.
                    let bad = head::take_request(&mut self.input.bytes, max_head).err();
                    return Poll::Ready(Err(bad.map_or(Unread::Broken, Unread::Bad)));
                }
                Err(_) => return Poll::Ready(Err(Unread::Broken)),
                Ok(came) => came,
            };
        }
    }

    /// Prepares for a request's body; gives it where it came with its head.
    pub(super) fn expect(&mut self, head: &RequestHead, length: Length) -> Option<Bytes> {
        self.decoder = Decoder::new(length);
        let whole = self.decoder.take_whole(&mut self.input.bytes);
        let RequestHead { parts, has, .. } = head;
        let expected = || parts.headers.get(EXPECT).filter(|_| parts.version != Version::HTTP_10);
        let waits = whole.is_none()
            && has.expect
            && expected().is_some_and(|expected| expected.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        self.go_on = if waits { GoOn::Asked } else { GoOn::NotAsked };
        whole
    }

    /// Ready once the client has left, or ended its side: nothing tells the one from the other, and whoever gave up
    /// waiting is the commoner. Looked for only when it has nothing more to send.
    pub(super) fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // One whose body broke off is to be told so.
        if self.broken || !self.decoder.is_done() || !self.input.is_empty() {
            return Poll::Pending;
        }
        match ready!(self.input.poll_fill(&mut self.io, 0, cx)) {
            Ok(0) | Err(_) => Poll::Ready(()),
            // The next request, early.
            Ok(_) => Poll::Pending,
        }
    }

    /// The request's answer begins. Gives whether another request can be found behind its body.
    pub(super) fn answer(&mut self) -> bool {
        if self.decoder.is_done() {
            return true;
        }
        if matches!(self.go_on, GoOn::Asked | GoOn::Sending(GO_ON)) {
            self.go_on = GoOn::Withheld;
        }
        !self.broken && !matches!(self.go_on, GoOn::Withheld)
    }

    /// Whether the request's body was read to its end.
    pub(super) fn is_at_end(&self) -> bool {
        self.decoder.is_done()
    }

    /// Reads whatever comes until the client has read its answer and ends the connection.
    pub(super) fn poll_discard(&mut self, left: &mut u64, cx: &mut Context<'_>) -> Poll<()> {
        if ready!(Pin::new(&mut self.io).poll_shutdown(cx)).is_err() {
            return Poll::Ready(());
        }
        while *left > 0 {
            match ready!(self.input.poll_fill(&mut self.io, 0, cx)) {
                Ok(0) | Err(_) => break,
                Ok(came) => *left = left.saturating_sub(came as u64),
            }
            self.input.bytes.clear();
        }
        Poll::Ready(())
    }

    /// Says `100 Continue` where that is owed, and to its end where it was begun.
    pub(super) fn poll_go_on(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        if matches!(self.go_on, GoOn::Asked) {
            // One that sends all the same does not wait.
            self.go_on = if self.input.is_empty() {
                GoOn::Sending(GO_ON)
            } else {
                GoOn::NotAsked
            };
        }
        while let GoOn::Sending(bytes) = self.go_on {
            let wrote = ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?;
            self.go_on = match bytes.get(wrote..) {
                Some(rest) if !rest.is_empty() => GoOn::Sending(rest),
                _ => GoOn::NotAsked,
            };
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Half<T> {
    /// Reads the request's body to its end; false where it has none that is worth it.
    pub(super) fn poll_drain(&mut self, left: &mut u64, cx: &mut Context<'_>) -> Poll<bool> {
        while !self.broken && !matches!(self.go_on, GoOn::Withheld) {
            match ready!(self.poll_frame(cx)) {
                None => return Poll::Ready(true),
                Some(Err(_)) => break,
                Some(Ok(frame)) => {
                    *left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
                    if *left == 0 {
                        break;
                    }
                }
            }
        }
        Poll::Ready(false)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Reader for Half<T> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.broken {
            return Poll::Ready(None);
        }
        let frame = match ready!(self.poll_go_on(cx)) {
            Ok(()) => ready!(self.decoder.poll_frame((&mut self.io, &mut self.input), cx)),
            Err(error) => Some(Err(error)),
        };
        self.broken = matches!(frame, Some(Err(_)));
        Poll::Ready(frame)
    }

    fn left(&self) -> (SizeHint, bool) {
        (self.decoder.size_hint(), self.decoder.is_done())
    }
}

const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
