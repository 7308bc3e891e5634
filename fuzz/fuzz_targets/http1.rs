//! Whatever a client sends is served, refused or waited for; and what is served is the same when it comes byte by byte.
#![no_main]

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;
use qstash_guard::http1::{Body, Finish, Spelled, Spelling, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

struct Nothing;

impl Spelled for Nothing {
    fn spelling(&self) -> Option<&Spelling> {
        None
    }
}

impl http_body::Body for Nothing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }
}

/// The requests that are seen of these bytes, in pieces of so many.
fn served(bytes: &[u8], piece: usize) -> Vec<String> {
    let seen = Mutex::new(Vec::new());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (mut ours, theirs) = duplex(64 * 1024);
        let finish = Finish::default();
        let service = |head: Parts, body: Body| {
            let seen = &seen;
            async move {
                let length = body.size_hint().exact();
                let body = body.collect().await.ok().map(|body| body.to_bytes());
                let request = format!("{} {} {:?} {length:?} {body:?}", head.method, head.uri, head.headers);
                seen.lock().expect("no other thread").push(request);
                Response::new(Nothing)
            }
        };
        let talking = async {
            for piece in bytes.chunks(piece) {
                if ours.write_all(piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            let _ = ours.shutdown().await;
            let _ = ours.read_to_end(&mut Vec::new()).await;
        };
        let _ = tokio::join!(serve(theirs, 64 * 1024, &finish, service), talking);
    });
    seen.into_inner().expect("no other thread")
}

fuzz_target!(|bytes: &[u8]| {
    let whole = served(bytes, bytes.len().max(1));
    assert_eq!(whole, served(bytes, 1));
});
