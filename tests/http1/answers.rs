//! A client's side.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body::{Body, Frame};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use proptest::prelude::{prop_assert_eq, proptest};
use proptest::sample::select;
use qstash_guard::http1::{BodyError, Conversation, Exchange, Outgoing};
use tokio::io::{AsyncReadExt, DuplexStream, duplex};

use crate::grammar::{self, Cut};
use crate::{Content, config, run, write_cut};

/// An answer as a client saw it, and whether it would use the connection again.
type Seen = Option<(StatusCode, Content)>;

fn request(method: &Method) -> Request<Empty<Bytes>> {
    let request = Request::builder().method(method).uri("/v2/logs").header("host", "a");
    request.body(Empty::new()).unwrap()
}

/// Reads a request and sends these bytes for an answer.
fn asked<T>((bytes, cuts): &Cut, client: impl AsyncFnOnce(DuplexStream) -> T) -> T {
    run(async {
        let (ours, mut theirs) = duplex(64 * 1024);
        let answering = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(theirs.read_u8().await.unwrap());
            }
            write_cut(theirs, bytes.clone(), cuts.clone()).await
        };
        tokio::join!(client(ours), answering).0
    })
}

struct Download(Exchange<DuplexStream, Empty<Bytes>>);

impl Body for Download {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.0.poll_frame(cx)
    }
}

fn by_us(cut: &Cut, method: &Method) -> Seen {
    asked(cut, async |io| {
        let mut conversation = Conversation::new(io);
        let outgoing = Outgoing::new(request(method), None, &mut conversation);
        let mut exchange = Exchange::new(conversation, outgoing);
        let answered = poll_fn(|cx| exchange.poll_head(64 * 1024, cx)).await.ok()?;
        let content = Content::read(&answered.headers, Download(exchange)).await;
        Some((answered.status, content))
    })
}

fn by_hyper(cut: &Cut, method: &Method) -> Seen {
    asked(cut, async |io| {
        let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.ok()?;
        let asking = async {
            let answer: Result<_, hyper::Error> = sender.send_request(request(method)).await;
            let (head, body) = answer.ok()?.into_parts();
            Some((head.status, Content::read(&head.headers, body).await))
        };
        let (seen, _) = tokio::join!(asking, connection);
        seen
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_answer_is_what_hyper_takes_it_for(cut in grammar::answers(), method in select(vec![Method::GET, Method::HEAD])) {
        let (ours, theirs) = (by_us(&cut, &method), by_hyper(&cut, &method));
        let text = cut.0.escape_ascii();
        match (&ours, &theirs) {
            (Some((status, content)), Some((other_status, other))) if content.body.is_none() => {
                prop_assert_eq!((status, &content.fields), (other_status, &other.fields), "{}", text);
            }
            (None, _) => {}
            _ => prop_assert_eq!(&ours, &theirs, "{}", text),
        }
    }

    #[test]
    fn an_answer_is_the_same_however_it_is_cut((bytes, cuts) in grammar::answers()) {
        let method = Method::GET;
        let whole = by_us(&(bytes.clone(), Vec::new()), &method);
        prop_assert_eq!(&whole, &by_us(&(bytes.clone(), cuts), &method));
        prop_assert_eq!(whole, by_us(&(bytes.clone(), (0..bytes.len()).collect()), &method));
    }
}

#[test]
fn most_answers_of_the_grammar_are_answers() {
    let cut = (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc".to_vec(), vec![5, 20]);
    let seen = by_us(&cut, &Method::GET);
    let (status, content) = seen.clone().unwrap();
    assert_eq!((status, content.body.as_deref()), (StatusCode::OK, Some(&b"abc"[..])));
    assert_eq!(seen, by_hyper(&cut, &Method::GET));
}

#[test]
fn a_connection_that_said_something_is_not_open_however_much_its_task_did() {
    run(async {
        for spends in [false, true] {
            let (ours, mut theirs) = duplex(1024);
            let mut conversation = Conversation::new(ours);
            let late = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";
            tokio::io::AsyncWriteExt::write_all(&mut theirs, late).await.unwrap();
            while spends && tokio::task::coop::has_budget_remaining() {
                tokio::task::coop::consume_budget().await;
            }
            assert!(!conversation.is_open(), "spent: {spends}");
        }
    });
}
