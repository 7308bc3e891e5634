//! Reads what a guarded request selects, and judges it: rules first, then the policy's bounds.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_ENCODING;
use http::request;
use http_body::Body as _;
use jiff::Timestamp;
use tower::{Layer, Service};

use super::exchange::{Origin, Reply, Subject};
use super::passage::{Inspection, Judged, Pending, Selected};
use crate::policy::{self, Asked, Code, Ruling, Verdict, Violation, malformed_selection};
use crate::qstash::operation::Operation;
use crate::qstash::selection::{self, Reading};
use crate::upstream::{ClientBody, Source, Upload};

/// Layer of [`Enforce`].
#[derive(Clone, Copy, Debug)]
pub struct EnforceLayer {
    /// The most bytes of a body that are read to judge it.
    pub max_inspected_body: usize,
    /// How long a body may stand still.
    pub body_idle: Duration,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Enforce<S> {
    inner: S,
    settings: EnforceLayer,
}

impl<S> Layer<S> for EnforceLayer {
    type Service = Enforce<S>;

    fn layer(&self, inner: S) -> Enforce<S> {
        Enforce { inner, settings: *self }
    }
}

impl<S> Service<Inspection> for Enforce<S>
where
    S: Service<Judged, Response = Reply, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, inspection: Inspection) -> Self::Future {
        let settings = self.settings;
        // The clone has not been asked whether it is ready; the service that was asked goes with the request.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let Inspection {
                head,
                mut body,
                operation,
                pending,
                origin,
            } = inspection;
            let policy = &origin.snapshot.policy;
            let spelling = body.take_spelling();
            let (source, selected, ruling) = match pending {
                Pending::Judged(verdict) => (Source::Client(body), None, Ruling::without_rules(verdict)),
                Pending::Rules => {
                    let ruling = judge(operation, &head, &origin, None, Vec::new());
                    (Source::Client(body), None, ruling)
                }
                Pending::Inspect(violations) => match read_body(body, &settings).await {
                    Ok(bytes) => {
                        let encoded = head.headers.contains_key(CONTENT_ENCODING);
                        let query = head.uri.query().map(str::as_bytes);
                        let reading = selection::read(&policy.parameters(operation), query, &bytes, encoded);
                        let ruling = judge(operation, &head, &origin, Some(&reading), violations);
                        let selected = ruling.kind.map(|kind| Selected {
                            selection: reading.selection,
                            kind,
                            cap: ruling.cap,
                            listed: None,
                        });
                        (Source::Read((!bytes.is_empty()).then_some(bytes)), selected, ruling)
                    }
                    Err(Unread { violation, source }) => {
                        (source, None, malformed_selection(policy, violation, violations))
                    }
                },
            };
            if let Verdict::Deny(refusal) = ruling.verdict {
                let mut reply = Reply::refused(&Subject::of(&head, &origin), operation, refusal);
                reply.note_selection(selected.as_ref());
                return Ok(reply);
            }
            let judged = Judged {
                head,
                body: Upload::new(source, settings.body_idle).spelled(spelling),
                operation,
                selected,
                ruling,
                origin,
            };
            inner.call(judged).await
        })
    }
}

/// The policy's word on a request, its selection read where it is guarded.
fn judge(
    operation: Operation,
    head: &request::Parts,
    origin: &Origin,
    reading: Option<&Reading>,
    earlier: Vec<Violation>,
) -> Ruling {
    let caller = Subject::of(head, origin).caller();
    let asked = Asked {
        operation,
        method: head.method.as_str(),
        path: head.uri.path(),
        context: &policy::Context {
            caller: &caller,
            client: origin.client,
            time: Timestamp::now(),
        },
        overrun: origin.snapshot.overruns.of(operation),
    };
    policy::decide(&origin.snapshot.policy, &asked, reading, earlier, None)
}

/// Why a body could not be read to its end, and what there is of it.
struct Unread {
    violation: Violation,
    source: Source,
}

/// Reads a body to its end, as long as it stays within its bounds.
async fn read_body(mut body: ClientBody, settings: &EnforceLayer) -> Result<Bytes, Unread> {
    let most = settings.max_inspected_body;
    let mut read = BytesMut::new();
    loop {
        if body.is_end_stream() {
            return Ok(read.freeze());
        }
        let frame = {
            let mut body = pin!(&mut body);
            tokio::time::timeout(settings.body_idle, poll_fn(|cx| body.as_mut().poll_frame(cx))).await
        };
        let violation = match frame {
            Ok(None) => return Ok(read.freeze()),
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    read.extend_from_slice(&data);
                }
                if read.len() <= most {
                    continue;
                }
                Violation::new(
                    Code::BodyTooLarge,
                    format!(
                        "The body of a bulk request is read up to {most} bytes; put the parameters in the query, or send fewer ids."
                    ),
                )
            }
            Ok(Some(Err(_))) => Violation::new(
                Code::MalformedRequest,
                "The body broke off before its end; send it whole.",
            ),
            Err(_) => Violation::new(
                Code::BodyTimeout,
                format!(
                    "No byte of the body arrived within {:?}; send it at once.",
                    settings.body_idle
                ),
            ),
        };
        return Err(Unread {
            violation,
            source: Source::Partly(Box::new((Some(read.freeze()), body))),
        });
    }
}
