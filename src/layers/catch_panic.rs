//! A panic below becomes a refusal, so that it is answered and recorded like any other.

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderMap, Method, Uri};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::exchange::{Exchange, Origin, Reply, Subject};
use crate::policy::{Code, Refusal};
use crate::qstash::operation::Verb;
use crate::qstash::target::Target;

/// Layer of [`CatchPanic`].
#[derive(Clone, Copy, Debug)]
pub struct CatchPanicLayer;

/// See the module.
#[derive(Clone, Debug)]
pub struct CatchPanic<S> {
    inner: S,
}

impl<S> Layer<S> for CatchPanicLayer {
    type Service = CatchPanic<S>;

    fn layer(&self, inner: S) -> CatchPanic<S> {
        CatchPanic { inner }
    }
}

impl<S> Service<Exchange> for CatchPanic<S>
where
    S: Service<Exchange, Response = Reply, Error = Infallible>,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = Caught<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, exchange: Exchange) -> Self::Future {
        // Reference counts alone: both are slices of the read buffer.
        let facts = Facts {
            method: exchange.head.method.clone(),
            uri: exchange.head.uri.clone(),
            origin: exchange.origin.clone(),
        };
        let inner = catch_unwind(AssertUnwindSafe(|| self.inner.call(exchange))).ok();
        Caught { inner, facts }
    }
}

/// What a refusal needs to know of the request.
#[derive(Debug)]
struct Facts {
    method: Method,
    uri: Uri,
    origin: Origin,
}

impl Facts {
    fn refusal(&self) -> Reply {
        let headers = HeaderMap::new();
        let Facts { method, uri, origin } = self;
        let operation = Target::read(uri.path().as_bytes()).operation(Verb::read(method.as_str()));
        let subject = Subject {
            method,
            uri,
            headers: &headers,
            origin,
        };
        let refusal = Refusal::new(
            Code::InternalError,
            "The guard failed on this request; please report it with the request id.",
        );
        Reply::refused(&subject, operation, refusal)
    }
}

pin_project! {
    /// The future of [`CatchPanic`].
    pub struct Caught<F> {
        #[pin]
        inner: Option<F>,
        facts: Facts,
    }
}

impl<F: Future<Output = Result<Reply, Infallible>>> Future for Caught<F> {
    type Output = Result<Reply, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Put aside instead of handed through the closure's result: most polls bring nothing, and need not move it.
        let mut reply = None;
        let caught = this.inner.as_pin_mut().map(|inner| {
            catch_unwind(AssertUnwindSafe(|| {
                if let Poll::Ready(Ok(ready)) = inner.poll(cx) {
                    reply = Some(ready);
                }
            }))
        });
        match (caught, reply) {
            (_, Some(reply)) => Poll::Ready(Ok(reply)),
            (Some(Ok(())), None) => Poll::Pending,
            (Some(Err(_)) | None, None) => Poll::Ready(Ok(this.facts.refusal())),
        }
    }
}
