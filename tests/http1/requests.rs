//! A server's side.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::Empty;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use qstash_guard::http1::{Finish, Spelled, Spelling, serve};
use tokio::io::{AsyncReadExt, DuplexStream, duplex};

use crate::grammar::{self, Cut};
use crate::{Content, config, run, write_cut};

/// A request as a server saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    method: String,
    target: String,
    version: http::Version,
    content: Content,
}

type Log = Arc<Mutex<Vec<Seen>>>;

async fn note<B: http_body::Body<Data = Bytes>>(log: &Log, request: Request<B>) {
    let (head, body) = request.into_parts();
    let content = Content::read(&head.headers, body).await;
    log.lock().unwrap().push(Seen {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        version: head.version,
        content,
    });
}

#[derive(Default)]
struct NoBody(Empty<Bytes>);

impl Spelled for NoBody {
    fn spelling(&self) -> Option<&Spelling> {
        None
    }
}

impl http_body::Body for NoBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        true
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(0)
    }
}

/// What a server saw of these bytes, and what it answered.
fn served<F>((bytes, cuts): &Cut, server: impl FnOnce(DuplexStream, Log) -> F) -> (Vec<Seen>, Vec<u8>)
where
    F: Future<Output = ()> + 'static,
{
    let log = Log::default();
    let answers = run(async {
        let (ours, theirs) = duplex(64 * 1024);
        let serving = server(theirs, Arc::clone(&log));
        let talking = async {
            let mut ours = write_cut(ours, bytes.clone(), cuts.clone()).await;
            let mut answers = Vec::new();
            let _ = ours.read_to_end(&mut answers).await;
            answers
        };
        tokio::join!(serving, talking).1
    });
    let seen = log.lock().unwrap().clone();
    (seen, answers)
}

fn by_us(cut: &Cut) -> (Vec<Seen>, Vec<u8>) {
    served(cut, |io, log| async move {
        let finish = Finish::default();
        let service = |head, body| {
            let log = Arc::clone(&log);
            async move {
                note(&log, Request::from_parts(head, body)).await;
                Response::new(NoBody::default())
            }
        };
        let _ = serve(io, 64 * 1024, &finish, service).await;
    })
}

fn by_hyper(cut: &Cut) -> (Vec<Seen>, Vec<u8>) {
    served(cut, |io, log| async move {
        let service = service_fn(move |request| {
            let log = Arc::clone(&log);
            async move {
                note(&log, request).await;
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            }
        });
        // Its client may end its side first, as ours does here.
        let _ = http1::Builder::new()
            .half_close(true)
            .auto_date_header(false)
            .serve_connection(TokioIo::new(io), service)
            .await;
    })
}

fn statuses(answers: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(answers);
    let lines = text.split("\r\n").filter_map(|line| line.strip_prefix("HTTP/1."));
    lines.map(|line| line[2..5].to_owned()).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_served_is_what_hyper_would_serve(cut in grammar::requests()) {
        let ((ours, answers), (theirs, _)) = (by_us(&cut), by_hyper(&cut));
        let text = cut.0.escape_ascii();
        for (at, request) in ours.iter().enumerate() {
            let Some(other) = theirs.get(at) else {
                prop_assert!(false, "hyper saw no {request:?} in {text}");
                break;
            };
            if request.content.body.is_none() {
                // Whoever reads chunks more strictly stops here.
                prop_assert_eq!(at + 1, ours.len(), "went on behind a broken body: {}", text);
                prop_assert_eq!((&request.method, &request.target), (&other.method, &other.target));
            } else {
                prop_assert_eq!(request, other, "in {}", text);
            }
        }
        let is_refused = statuses(&answers).last().is_some_and(|status| status.starts_with('4'));
        let is_broken = ours.last().is_some_and(|last| last.content.body.is_none());
        prop_assert!(
            ours.len() == theirs.len() || is_refused || is_broken,
            "{} seen, hyper saw {}: {} -> {}", ours.len(), theirs.len(), text, answers.escape_ascii()
        );
    }

    #[test]
    fn a_request_is_the_same_however_it_is_cut((bytes, cuts) in grammar::requests()) {
        let whole = by_us(&(bytes.clone(), Vec::new()));
        let singly = by_us(&(bytes.clone(), (0..bytes.len()).collect()));
        prop_assert_eq!(&whole, &by_us(&(bytes.clone(), cuts)));
        prop_assert_eq!(whole, singly);
    }

    #[test]
    fn noise_is_refused_or_waited_for(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        by_us(&(bytes, Vec::new()));
    }
}

#[test]
fn a_chunks_size_ends_with_its_crlf() {
    for size in ["3\r", "3\u{c}", "3\r;x"] {
        let bytes =
            format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\nabc\r\n0\r\n\r\n");
        let cut = (bytes.into_bytes(), Vec::new());
        assert_eq!(by_hyper(&cut).0[0].content.body, None, "{size:?}");
        assert_eq!(by_us(&cut).0[0].content.body, None, "{size:?}");
    }
}

#[test]
fn a_final_answer_is_not_mixed_with_an_interim_one() {
    let answer = run(async {
        // The client takes ten bytes before it reads on.
        let (mut ours, theirs) = duplex(10);
        let finish = Finish::default();
        let service = |_, mut body| async move {
            // Asked for once, and then not waited for.
            let mut polls = 0;
            std::future::poll_fn(|cx| {
                polls += 1;
                let polled = http_body::Body::poll_frame(Pin::new(&mut body), cx).is_ready();
                if polled || polls > 1 {
                    Poll::Ready(())
                } else {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            })
            .await;
            Response::new(NoBody::default())
        };
        let serving = serve(theirs, 64 * 1024, &finish, service);
        let asking = async {
            let head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
            tokio::io::AsyncWriteExt::write_all(&mut ours, head).await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") || !answer.windows(12).any(|at| at == b"HTTP/1.1 200") {
                answer.push(ours.read_u8().await.unwrap());
            }
            // Whatever comes behind the final head: the client has not sent its body, and leaves.
            tokio::io::AsyncWriteExt::shutdown(&mut ours).await.unwrap();
            let _ = ours.read_to_end(&mut answer).await;
            String::from_utf8(answer).unwrap()
        };
        tokio::join!(serving, asking).1
    });
    let answer = answer.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&answer);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    assert_eq!(answer.matches("Continue").count(), 0, "{answer:?}");
}
