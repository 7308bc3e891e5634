//! Reads what a guarded request selects, and judges it.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_ENCODING;
use http_body::Body as _;
use hyper::body::Incoming;
use tower::{Layer, Service};

use super::exchange::{Reply, Subject};
use super::linger::linger;
use super::passage::{Inspection, Judged, Pending, Selected};
use crate::audit::SelectionRecord;
use crate::policy::{Code, Verdict, Violation, bulk_cancel, malformed_selection};
use crate::qstash::selection;
use crate::upstream::{Source, Upload};

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
                body,
                operation,
                pending,
                origin,
            } = inspection;
            let (violations, body) = match pending {
                Pending::Judged(verdict) => {
                    let body = Upload::new(Source::Client(body), settings.body_idle);
                    return inner
                        .call(Judged {
                            head,
                            body,
                            operation,
                            selected: None,
                            verdict,
                            origin,
                        })
                        .await;
                }
                Pending::Inspect(violations) => (violations, body),
            };
            let policy = &origin.snapshot.policy;
            let read = read_body(body, &settings).await;
            let encoded = head.headers.contains_key(CONTENT_ENCODING);
            let query = head.uri.query().map(str::as_bytes);
            let (source, selected, verdict) = match read {
                Ok(bytes) => {
                    let reading = selection::read(&policy.bulk_cancel.parameters, query, &bytes, encoded);
                    let verdict = bulk_cancel(policy, &reading, violations);
                    let kind = policy.bulk_cancel.kind(&reading.selection);
                    let selected = Selected {
                        selection: reading.selection,
                        kind,
                    };
                    (
                        Source::Read((!bytes.is_empty()).then_some(bytes)),
                        Some(selected),
                        verdict,
                    )
                }
                Err(Unread { violation, source }) => (source, None, malformed_selection(policy, violation, violations)),
            };
            match verdict {
                Verdict::Deny(refusal) => {
                    let mut reply = Reply::refused(&Subject::of(&head, &origin), operation, refusal);
                    if let (Some(record), Some(selected)) = (&mut reply.denied, &selected) {
                        record.selection = Some(selected.to_record(SelectionRecord::IDS_OF_A_DENIAL));
                    }
                    linger(Upload::new(source, settings.body_idle));
                    Ok(reply)
                }
                verdict => {
                    let body = Upload::new(source, settings.body_idle);
                    inner
                        .call(Judged {
                            head,
                            body,
                            operation,
                            selected,
                            verdict,
                            origin,
                        })
                        .await
                }
            }
        })
    }
}

/// Why a body could not be read to its end, and what there is of it.
struct Unread {
    violation: Violation,
    source: Source,
}

/// Reads a body to its end, as long as it stays within its bounds.
async fn read_body(mut body: Incoming, settings: &EnforceLayer) -> Result<Bytes, Unread> {
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
                        "The body of a bulk cancel is read up to {most} bytes; put the parameters in the query, or send fewer ids."
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
