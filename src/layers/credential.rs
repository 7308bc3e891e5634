//! The credential of a guarded request, kept in memory while its bulk action is followed.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, request};

use crate::qstash::credential::{self, Token};

/// A caller's token: shown by nothing, overwritten when it goes.
#[derive(Clone, Debug)]
pub(super) struct Credential(Token);

impl Credential {
    /// The one that a head shows; `None` where it shows none that could be used again.
    pub(super) fn of(head: &request::Parts) -> Option<Self> {
        let lines = head.headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
        let shown = credential::read(lines, head.uri.query().map(str::as_bytes)).ok()?;
        shown.token().map(Credential)
    }

    /// As `Authorization`; every copy shares the same bytes, which are overwritten with the last.
    pub(super) fn to_authorization(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(self.0.to_bearer())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Whether a text that is to be recorded holds it.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.0.is_in(text.as_bytes())
    }
}
