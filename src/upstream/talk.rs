//! One request and its answer, over one connection.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body::{Frame, SizeHint};

use super::body::Upload;
use super::client::SendError;
use super::connect::Stream;
use super::pool::{Alarm, Link, Pool};
use crate::http1::{Answered, BodyError, Exchange, ExchangeError, Outgoing, Progress};

/// See the module. It lies in one place from the first byte of the request to the last of the answer, and is handed on by
/// pointer.
pub(super) struct Talk {
    exchange: Exchange<Stream, Upload>,
    alarm: Alarm,
    is_tls: bool,
    pool: Pool,
    deadline: Instant,
    timeout: Duration,
    /// How far the request was when the deadline was last moved.
    seen: Option<Progress>,
}

/// Why a try brought no answer.
pub(super) enum Tried {
    /// Nothing was written.
    Unsent,
    Failed(SendError),
}

impl Talk {
    /// A request over a connection of this pool.
    pub(super) fn new(link: Link, pool: Pool, mut request: Request<Upload>, timeout: Duration) -> Box<Self> {
        let Link {
            mut conversation,
            alarm,
            is_tls,
        } = link;
        let spelling = request.body_mut().take_spelling();
        let outgoing = Outgoing::new(request, spelling.as_ref(), &mut conversation);
        Box::new(Talk {
            exchange: Exchange::new(conversation, outgoing),
            alarm,
            is_tls,
            pool,
            deadline: Instant::now() + timeout,
            timeout,
            seen: None,
        })
    }

    /// The same request over another connection.
    pub(super) fn over(self, link: Link) -> Box<Self> {
        Box::new(Talk {
            exchange: Exchange::new(link.conversation, self.exchange.into_outgoing()),
            alarm: link.alarm,
            is_tls: link.is_tls,
            pool: self.pool,
            deadline: Instant::now() + self.timeout,
            timeout: self.timeout,
            seen: None,
        })
    }

    /// The response head, of `max_head` bytes at most; `upstream.response_timeout` from the end of the request at most.
    pub(super) fn poll_head(&mut self, max_head: usize, cx: &mut Context<'_>) -> Poll<Result<Answered, Tried>> {
        if let Poll::Ready(answered) = self.exchange.poll_head(max_head, cx) {
            return Poll::Ready(answered.map_err(|error| match error {
                // What TLS was given may have gone in part, whatever it says.
                ExchangeError::Unsent if self.is_tls => {
                    Tried::Failed(SendError::Failed("its TLS connection broke".to_owned()))
                }
                ExchangeError::Unsent => Tried::Unsent,
                ExchangeError::Failed(error) => Tried::Failed(SendError::Failed(error)),
                ExchangeError::Body(fault) => Tried::Failed(SendError::Body(fault)),
            }));
        }
        while self.alarm.poll_at(self.deadline, cx).is_ready() {
            match self.later() {
                Some(later) if later > self.deadline => self.deadline = later,
                _ => return Poll::Ready(Err(Tried::Failed(SendError::Timeout(self.timeout)))),
            }
        }
        Poll::Pending
    }

    /// Until when it is waited on. The clock starts at the end of the request; before, with whatever the upstream takes
    /// of it. That the client sends is for the body's own bound.
    fn later(&mut self) -> Option<Instant> {
        let progress = self.exchange.progress();
        match progress {
            Progress::Ended(at) => return Some(at + self.timeout),
            Progress::Written(_) if self.seen == Some(progress) => return None,
            Progress::Written(_) | Progress::Starves => self.seen = Some(progress),
        }
        Some(Instant::now() + self.timeout)
    }

    /// The next frame of the answer's body.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.exchange.poll_frame(cx)
    }

    /// Bytes of the request that were written so far.
    pub(super) fn written(&self) -> u64 {
        self.exchange.written()
    }

    /// Whether the answer has ended.
    pub(super) fn is_end(&self) -> bool {
        self.exchange.is_end()
    }

    /// What is left of the answer's body.
    pub(super) fn size_hint(&self) -> SizeHint {
        self.exchange.size_hint()
    }

    /// Gives the connection back to its pool, where it may be used again.
    pub(super) fn release(self) {
        if let Some(conversation) = self.exchange.end() {
            self.pool.put(Link {
                conversation,
                alarm: self.alarm,
                is_tls: self.is_tls,
            });
        }
    }
}
