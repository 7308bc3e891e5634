//! A client's side of a connection: one request, and its answer, which may begin before the request has ended.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::unconstrained;

use super::BodyError;
use super::decoder::Decoder;
use super::encoder::Encoder;
use super::framing::{self, Length};
use super::head::{self, ResponseHead};
use super::input::Input;
use super::output::{Output, WriteError};
use super::spelling::{Spelling, has_token, write_field, write_fields};

/// A connection to a server, between exchanges.
pub struct Conversation<T> {
    io: T,
    input: Input,
    /// Room for the next head.
    buffer: Vec<u8>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Conversation<T> {
    /// A conversation over a new connection.
    pub fn new(io: T) -> Self {
        Conversation {
            io,
            input: Input::default(),
            buffer: Vec::new(),
        }
    }

    /// Whether the server has neither ended it nor said anything that nobody asked for. Does not wait; costs no system
    /// call where nothing came.
    pub fn is_open(&mut self) -> bool {
        // A task that has done much is told to wait without a look (tokio's budget): that would hide what came.
        let looking = pin!(unconstrained(poll_fn(|cx| self.input.poll_fill(&mut self.io, 0, cx))));
        let mut cx = Context::from_waker(Waker::noop());
        looking.poll(&mut cx).is_pending() && self.input.is_empty()
    }
}

/// A request on its way.
#[derive(Debug)]
pub struct Outgoing<B> {
    output: Output,
    body: B,
    to_head: bool,
    /// When it was written to its end.
    ended: Option<Instant>,
}

impl<B: Body<Data = Bytes> + Unpin> Outgoing<B> {
    /// A request, its head spelled like another where there is one. Its framing stands in its fields: chunks, a length,
    /// or nothing for a body that knows its own.
    pub fn new<T>(request: Request<B>, spelling: Option<&Spelling>, over: &mut Conversation<T>) -> Self {
        let (head, body) = request.into_parts();
        let mut out = std::mem::take(&mut over.buffer);
        out.extend_from_slice(head.method.as_str().as_bytes());
        out.push(b' ');
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        out.extend_from_slice(target.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        let said = framing::content_length(&head.headers).ok().flatten();
        let encoder = if head.headers.contains_key(TRANSFER_ENCODING) {
            Encoder::chunked(&head.headers, true)
        } else if let Some(length) = said {
            Encoder::Exactly(length)
        } else {
            let length = body.size_hint().exact().unwrap_or(0);
            if length > 0 {
                write_field(CONTENT_LENGTH.as_str().as_bytes(), &length.into(), &mut out);
            }
            Encoder::Exactly(length)
        };
        if let (None, Some(host)) = (spelling, head.headers.get(HOST)) {
            // Where nothing says otherwise it comes first (RFC 9110 section 7.2).
            write_field(HOST.as_str().as_bytes(), host, &mut out);
            let mut others = head.headers;
            others.remove(HOST);
            write_fields(&others, None, &mut out);
        } else {
            write_fields(&head.headers, spelling, &mut out);
        }
        out.extend_from_slice(b"\r\n");
        Outgoing {
            output: Output::new(out, encoder),
            body,
            to_head: head.method == Method::HEAD,
            ended: None,
        }
    }

    fn poll_write<T: AsyncWrite + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), WriteError<B::Error>>> {
        if self.ended.is_none() {
            ready!(self.output.poll_write(io, &mut self.body, cx))?;
            self.ended = Some(Instant::now());
        }
        Poll::Ready(Ok(()))
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        match self.ended {
            Some(at) => Progress::Ended(at),
            None if self.output.starves() => Progress::Starves,
            None => Progress::Written(self.output.total()),
        }
    }
}

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many bytes are written: whoever sees the same number twice has seen the server take nothing.
    Written(u64),
    /// Its body has to give more.
    Starves,
    /// It was written to its end, then.
    Ended(Instant),
}

/// A request and its answer.
pub struct Exchange<T, B> {
    over: Conversation<T>,
    outgoing: Outgoing<B>,
    /// The body of the answer, once its head has come.
    decoder: Decoder,
    /// Whether the server keeps the connection open behind it.
    keep_alive: bool,
    /// Why the rest of the request is not written.
    unwritten: Option<String>,
}

/// The head of an answer.
#[derive(Debug)]
pub struct Answered {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub headers: HeaderMap,
    /// How they were spelled.
    pub spelling: Spelling,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum ExchangeError<E> {
    /// Nothing of the request was written.
    Unsent,
    /// The connection broke, or what came is no answer.
    Failed(String),
    /// The request's body broke off.
    Body(E),
}

impl<T, B> Exchange<T, B>
where
    T: AsyncRead + AsyncWrite + Unpin,
    B: Body<Data = Bytes> + Unpin,
{
    /// Begins an exchange.
    pub fn new(over: Conversation<T>, outgoing: Outgoing<B>) -> Self {
        Exchange {
            over,
            outgoing,
            decoder: Decoder::new(Length::Exactly(0)),
            keep_alive: false,
            unwritten: None,
        }
    }

    /// The request, to be sent over another connection where [`ExchangeError::Unsent`] says so.
    pub fn into_outgoing(self) -> Outgoing<B> {
        self.outgoing
    }

    /// How far the request is.
    pub fn progress(&self) -> Progress {
        self.outgoing.progress()
    }

    /// The head of the answer, of `max_head` bytes at most. Interim answers are passed over.
    ///
    /// # Errors
    /// [`ExchangeError`].
    pub fn poll_head(
        &mut self,
        max_head: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Answered, ExchangeError<B::Error>>> {
        if self.unwritten.is_none() {
            match self.outgoing.poll_write(&mut self.over.io, cx) {
                Poll::Ready(Ok(())) | Poll::Pending => {}
                Poll::Ready(Err(WriteError::Body(error))) => return Poll::Ready(Err(ExchangeError::Body(error))),
                Poll::Ready(Err(WriteError::Length)) => {
                    let error = "the body is not as long as its head says".to_owned();
                    return Poll::Ready(Err(ExchangeError::Failed(error)));
                }
                Poll::Ready(Err(WriteError::Io(_))) if self.outgoing.output.total() == 0 => {
                    return Poll::Ready(Err(ExchangeError::Unsent));
                }
                // It may have answered before it stopped listening.
                Poll::Ready(Err(WriteError::Io(error))) => self.unwritten = Some(error.to_string()),
            }
        }
        let mut is_new = !self.over.input.is_empty();
        loop {
            if is_new {
                match head::take_response(&mut self.over.input.bytes, max_head) {
                    Ok(Some(head)) if head.status.is_informational() => {
                        // Nothing asked for another protocol, so nothing may switch to one.
                        if head.status == StatusCode::SWITCHING_PROTOCOLS {
                            let error = "it switched protocols, which nobody asked for".to_owned();
                            return Poll::Ready(Err(ExchangeError::Failed(error)));
                        }
                        is_new = !self.over.input.is_empty();
                        continue;
                    }
                    Ok(Some(head)) => return Poll::Ready(self.accept(head)),
                    Ok(None) => {}
                    Err(bad) => return Poll::Ready(Err(ExchangeError::Failed(format!("its answer's head: {bad}")))),
                }
            }
            let came = ready!(self.over.input.poll_fill(&mut self.over.io, 0, cx));
            is_new = true;
            let error = match (came, self.unwritten.take()) {
                (Ok(1..), unwritten) => {
                    self.unwritten = unwritten;
                    continue;
                }
                (_, Some(error)) => error,
                (Ok(0), None) => "it ended the connection before its answer".to_owned(),
                (Err(error), None) => error.to_string(),
            };
            return Poll::Ready(Err(ExchangeError::Failed(error)));
        }
    }

    fn accept(&mut self, mut head: ResponseHead) -> Result<Answered, ExchangeError<B::Error>> {
        let length = framing::of_response(
            &mut head.headers,
            head.has,
            head.version,
            head.status,
            self.outgoing.to_head,
        )
        .map_err(|_| ExchangeError::Failed("its answer's length is none".to_owned()))?;
        self.decoder = Decoder::new(length);
        let has_both = head.has.transfer_encoding && head.has.content_length;
        let says = |token| head.has.connection && has_token(&head.headers, &CONNECTION, token);
        self.keep_alive = (head.version == Version::HTTP_11 || says("keep-alive")) && !says("close") && !has_both;
        Ok(Answered {
            status: head.status,
            headers: head.headers,
            spelling: head.spelling,
        })
    }

    /// The next frame of the answer's body. Goes on writing the request where that has not ended.
    ///
    /// # Errors
    /// [`BodyError`].
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.unwritten.is_none()
            && let Poll::Ready(Err(_)) = self.outgoing.poll_write(&mut self.over.io, cx)
        {
            // The answer is there all the same.
            self.unwritten = Some(String::new());
        }
        self.decoder.poll_frame((&mut self.over.io, &mut self.over.input), cx)
    }

    /// Bytes of the request that were written so far.
    pub fn written(&self) -> u64 {
        self.outgoing.output.total()
    }

    /// Whether the answer's body was read to its end.
    pub fn is_end(&self) -> bool {
        self.decoder.is_done()
    }

    /// What is left of the answer's body.
    pub fn size_hint(&self) -> SizeHint {
        self.decoder.size_hint()
    }

    /// The connection, where it may be used again: both messages have ended, and nothing says that it will not go on.
    pub fn end(self) -> Option<Conversation<T>> {
        let ended = self.outgoing.ended.is_some() && self.decoder.is_done() && self.decoder.keeps_alive();
        if !ended || !self.keep_alive || !self.over.input.is_empty() {
            return None;
        }
        Some(Conversation {
            buffer: self.outgoing.output.into_buffer(),
            ..self.over
        })
    }
}
