//! A connection's future, watched for its deadlines and for the drain.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

use super::activity::{Activity, Expired};
use super::drain::Drain;

/// How a watched future came to its end.
pub(super) enum Ended<T> {
    Itself(T),
    Expired(Expired),
    Drained,
}

/// Runs the future until it ends, its deadline passes, or the drain ends it: `finish` tells it to finish, and whether it
/// will.
pub(super) async fn watch<F: Future>(
    mut future: Pin<&mut F>,
    activity: &Activity,
    drain: &Drain,
    finish: impl Fn(Pin<&mut F>) -> bool,
) -> Ended<F::Output> {
    let mut draining = pin!(drain.started());
    let (mut registered, mut told) = (false, false);
    let mut deadline = Deadline { activity, timer: None };
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ended::Itself(output));
        }
        // The first poll leaves this task's waker with the drain; until that has started, there is nothing to ask.
        if !told && (!registered || drain.has_started()) {
            registered = true;
            if draining.as_mut().poll(cx).is_ready() {
                told = true;
                if !finish(future.as_mut()) {
                    return Poll::Ready(Ended::Drained);
                }
                if let Poll::Ready(output) = future.as_mut().poll(cx) {
                    return Poll::Ready(Ended::Itself(output));
                }
            }
        }
        deadline.poll(cx).map(Ended::Expired)
    })
    .await
}

/// The deadline of a connection's activity.
struct Deadline<'a> {
    activity: &'a Activity,
    /// Armed for the earliest deadline seen; it looks again when it fires, so requests do not touch it.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Expired> {
        loop {
            let Some((at, expired)) = self.activity.deadline() else {
                return Poll::Pending;
            };
            let at = Instant::from_std(at);
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
            if at < timer.deadline() {
                timer.as_mut().reset(at);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if at <= Instant::now() {
                return Poll::Ready(expired);
            }
            timer.as_mut().reset(at);
        }
    }
}
