//! A request that is not answered to its end, as its connection's timeouts see it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Response;
use http_body::{Body, Frame, SizeHint};

use super::activity::Activity;
use crate::http1::{Spelled, Spelling};
use crate::layers::body::ReplyBody;
use crate::upstream::BodyFault;

/// A request that is not answered to its end.
pub(super) struct InFlight(Arc<Activity>);

impl InFlight {
    pub(super) fn new(activity: &Arc<Activity>) -> Self {
        activity.request_began();
        InFlight(Arc::clone(activity))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}

pin_project_lite::pin_project! {
    /// The stack's future; hands the in-flight mark on to the body.
    pub(super) struct Answering<F> {
        #[pin]
        future: F,
        in_flight: Option<InFlight>,
    }
}

impl<F> Answering<F> {
    pub(super) fn new(future: F, in_flight: InFlight) -> Self {
        Answering {
            future,
            in_flight: Some(in_flight),
        }
    }
}

impl<F: Future<Output = Result<Response<ReplyBody>, Infallible>>> Future for Answering<F> {
    type Output = Result<Response<Served>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.future.poll(cx).map(|answer| {
            answer.map(|response| {
                response.map(|body| Served {
                    body,
                    _in_flight: this.in_flight.take(),
                })
            })
        })
    }
}

/// A body that keeps its request in flight until it ends.
pub(super) struct Served {
    body: ReplyBody,
    _in_flight: Option<InFlight>,
}

impl Spelled for Served {
    fn spelling(&self) -> Option<&Spelling> {
        self.body.spelling()
    }
}

impl Body for Served {
    type Data = bytes::Bytes;
    type Error = BodyFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, BodyFault>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
