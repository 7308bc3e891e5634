//! HTTP/1.1 as it is read and written here, held against hyper's: what one takes for a request or an answer, the other
//! must take for the same, however the bytes are cut.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod grammar;
mod requests;

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
use proptest::prelude::ProptestConfig;
use tokio::io::AsyncWriteExt;

/// A message's fields and body, as far as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    fields: Vec<(String, Vec<u8>)>,
    /// `None` where it broke off.
    body: Option<Vec<u8>>,
    trailers: Vec<(String, Vec<u8>)>,
}

impl Content {
    async fn read<B>(headers: &HeaderMap, body: B) -> Self
    where
        B: http_body::Body<Data = Bytes>,
    {
        let collected = body.collect().await.ok();
        let trailers = collected.as_ref().and_then(|collected| collected.trailers());
        Content {
            fields: fields(headers),
            trailers: trailers.map(fields).unwrap_or_default(),
            body: collected.map(|collected| collected.to_bytes().to_vec()),
        }
    }
}

/// The fields, but for their order, which is not the map's to say.
fn fields(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let mut fields: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect();
    // Values of a name keep theirs.
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    // What framing says twice, or in vain, is told once here (RFC 9112 section 6.3), and as it comes by hyper's client.
    if headers.contains_key(http::header::TRANSFER_ENCODING) {
        fields.retain(|(name, _)| name != "content-length");
    }
    fields.dedup_by(|a, b| a.0 == "content-length" && a == b);
    fields
}

/// Writes bytes in pieces that end at `cuts`, and then nothing more.
async fn write_cut(mut to: tokio::io::DuplexStream, bytes: Vec<u8>, cuts: Vec<usize>) -> tokio::io::DuplexStream {
    let mut start = 0;
    for cut in cuts.into_iter().chain([bytes.len()]) {
        let cut = cut.clamp(start, bytes.len());
        if to.write_all(&bytes[start..cut]).await.is_err() {
            return to;
        }
        start = cut;
        tokio::task::yield_now().await;
    }
    let _ = to.shutdown().await;
    to
}

/// `HTTP1_CASES` many cases a property; 10,000 if it says nothing.
fn config() -> ProptestConfig {
    let cases = std::env::var("HTTP1_CASES").map_or(10_000, |cases| cases.parse().unwrap());
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime
        .unwrap()
        .block_on(async { tokio::time::timeout(Duration::from_secs(30), future).await.unwrap() })
}
