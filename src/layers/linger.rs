//! Reads on, for a while, what is left of a refused request's body.
//!
//! A connection that is closed with unread bytes is reset, and a reset may take the answer with it; clients repeat a
//! cancel whose connection breaks (RFC 9112 section 9.6).

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use bytes::Buf;
use http::HeaderMap;
use http::header::EXPECT;
use http_body::Body;

/// The same for a body of which nothing was read, unless its client waits for 100 Continue: reading would invite it to
/// send what nobody wants (RFC 9110 section 10.1.1).
pub(super) fn linger_unread<B>(headers: &HeaderMap, body: B)
where
    B: Body<Data: Buf + Send> + Send + 'static,
    B::Error: Send,
{
    if !headers.contains_key(EXPECT) {
        linger(body);
    }
}

/// Reads the rest in the background, up to [`MOST`] bytes and for [`LONGEST`] at most.
pub(crate) fn linger<B>(body: B)
where
    B: Body<Data: Buf + Send> + Send + 'static,
    B::Error: Send,
{
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(tokio::time::timeout(LONGEST, async move {
        let mut body = pin!(body);
        let mut left = MOST;
        while let Some(Ok(frame)) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Buf::remaining));
            if left == 0 {
                return;
            }
        }
    }));
}

/// Bytes that are read on; a client that sends more has stopped reading answers anyway.
const MOST: usize = 1024 * 1024;
/// How long is read on.
const LONGEST: Duration = Duration::from_secs(5);
