//! An answer on its way to a client, in which the guard's token is overwritten as it passes.
//!
//! Only as many bytes are held back as may be the beginning of the token, so that a stream stays one; and a mask is as long
//! as what it covers, so that the length of a body stays what its head says.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use super::body::ReplyBody;
use super::broker::Held;
use super::conceal::conceal_headers;
use crate::upstream::BodyFault;

/// See the module.
pub struct Masked {
    body: ReplyBody,
    held: Arc<Held>,
    /// What may be the beginning of the token.
    kept: Bytes,
    /// What came behind it.
    behind: Option<Frame<Bytes>>,
    ended: bool,
}

impl Masked {
    /// Masks this token in a body, and in its trailers.
    pub(super) fn new(body: ReplyBody, held: Arc<Held>) -> Self {
        Masked {
            body,
            held,
            kept: Bytes::new(),
            behind: None,
            ended: false,
        }
    }

    pub(super) fn body(&self) -> &ReplyBody {
        &self.body
    }

    pub(super) fn body_mut(&mut self) -> &mut ReplyBody {
        &mut self.body
    }
}

impl Body for Masked {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let this = &mut *self;
        if let Some(frame) = this.behind.take() {
            return Poll::Ready(Some(Ok(frame)));
        }
        while !this.ended {
            let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(fault)) => return Poll::Ready(Some(Err(fault))),
                None => {
                    this.ended = true;
                    break;
                }
            };
            match frame.into_data() {
                Ok(data) => {
                    let (shown, kept) = masked(&this.held, &std::mem::take(&mut this.kept), data);
                    this.kept = kept;
                    if !shown.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(shown))));
                    }
                }
                Err(mut frame) => {
                    if let Some(trailers) = frame.trailers_mut() {
                        conceal_headers(trailers, &this.held);
                    }
                    if this.kept.is_empty() {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                    this.behind = Some(frame);
                    break;
                }
            }
        }
        let kept = std::mem::take(&mut this.kept);
        Poll::Ready((!kept.is_empty()).then(|| Ok(Frame::data(kept))))
    }

    fn is_end_stream(&self) -> bool {
        self.kept.is_empty() && self.behind.is_none() && (self.ended || self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        if self.kept.is_empty() {
            self.body.size_hint()
        } else {
            SizeHint::default()
        }
    }
}

/// The data behind what was kept, with the token overwritten in it, and what of its end may begin the token. Copies only
/// where something was kept or is overwritten.
fn masked(held: &Held, kept: &Bytes, data: Bytes) -> (Bytes, Bytes) {
    let mut data = if kept.is_empty() {
        data
    } else {
        [kept.as_ref(), data.as_ref()].concat().into()
    };
    let mut most = 0;
    for form in held.forms() {
        while let Some(at) = find(&data, form) {
            let mut copy = BytesMut::from(data.as_ref());
            copy[at..at + form.len()].fill(b'*');
            data = copy.freeze();
        }
    }
    for form in held.forms() {
        let longest = data.len().min(form.len() - 1);
        let begins = |length: &usize| data.ends_with(&form[..*length]);
        most = most.max((1..=longest).rev().find(begins).unwrap_or(0));
    }
    let kept = data.split_off(data.len() - most);
    (data, kept)
}

fn find(data: &[u8], form: &[u8]) -> Option<usize> {
    let first = form.first()?;
    let mut from = 0;
    while let Some(at) = data[from..].iter().position(|byte| byte == first) {
        if data[from + at..].starts_with(form) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qstash::credential::Token;

    #[test]
    fn a_token_is_masked_wherever_its_pieces_end() {
        let token = b"abcabcabcabcabcd+/==";
        let held = Held::new(Token::new(token).unwrap());
        let text = b"a abc abcabcabcabcabcabcd+/== abcabcabcabcabcd%2B%2F%3D%3D; abcabcabcabcabcd+/=";
        let expected = "a abc abc******************** ****************************; abcabcabcabcabcd+/=";
        for piece in 1..text.len() {
            let (mut shown, mut kept) = (Vec::new(), Bytes::new());
            for data in text.chunks(piece) {
                let (passed, held_back) = masked(&held, &kept, Bytes::copy_from_slice(data));
                assert!(held_back.len() < token.len() + 8, "{held_back:?}");
                shown.extend_from_slice(&passed);
                kept = held_back;
            }
            shown.extend_from_slice(&kept);
            assert_eq!(String::from_utf8_lossy(&shown), expected, "pieces of {piece}");
        }
    }
}
