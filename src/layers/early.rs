//! An answer that is known at once, or the future of one.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::exchange::Reply;

pin_project! {
    /// The future of a layer that may answer itself. Its own answer is boxed: futures are moved from layer to layer, and
    /// most carry none.
    #[project = EarlyProjected]
    pub enum Early<F> {
        /// The layer's own answer, taken once.
        Answered { reply: Option<Box<Reply>> },
        /// The layers below answer.
        Below { #[pin] future: F },
        /// Somebody else is asked first.
        Asking { asking: Pin<Box<dyn Future<Output = Result<Reply, Infallible>> + Send>> },
    }
}

impl<F> Early<F> {
    /// The layer's own answer.
    pub(super) fn answered(reply: Reply) -> Self {
        Early::Answered {
            reply: Some(Box::new(reply)),
        }
    }

    /// An answer for which somebody else is asked before the layers below.
    pub(super) fn asking(asking: impl Future<Output = Result<Reply, Infallible>> + Send + 'static) -> Self {
        Early::Asking {
            asking: Box::pin(asking),
        }
    }

    /// The answer of the layers below.
    pub(super) fn below(future: F) -> Self {
        Early::Below { future }
    }
}

impl<F: Future<Output = Result<Reply, Infallible>>> Future for Early<F> {
    type Output = Result<Reply, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            EarlyProjected::Below { future } => future.poll(cx),
            EarlyProjected::Asking { asking } => asking.as_mut().poll(cx),
            // Taken once, as every future is; polled again it stays pending.
            EarlyProjected::Answered { reply } => reply.take().map_or(Poll::Pending, |reply| Poll::Ready(Ok(*reply))),
        }
    }
}
