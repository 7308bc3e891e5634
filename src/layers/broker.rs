//! Broker mode: a client shows a guard key, and QStash gets the guard's token in its place.
//!
//! Nothing that the client sent as a credential goes on. The token goes as `Authorization`; but where QStash may pass
//! headers on to a destination that the caller chose it goes as the `qstash_token` pair, which QStash keeps to itself.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::uri::PathAndQuery;
use http::{HeaderValue, Uri, request};
use percent_encoding::percent_decode;
use zeroize::Zeroizing;

use super::classify::has_method_override;
use super::credentials::{faulty, forbidden, forwards_headers};
use super::settings::Credentials;
use crate::policy::{Caller, Callers, Code, Refusal};
use crate::qstash::credential::{self, QueryToken, Token};
use crate::qstash::operation::Verb;
use crate::qstash::target::Target;

/// The guard's token, which may be replaced while requests are served.
#[derive(Debug)]
pub struct Broker(ArcSwap<Held>);

/// The token that is in force, in the forms in which it goes on. Its bytes are overwritten with the last copy.
pub struct Held {
    token: Option<Token>,
    authorization: HeaderValue,
    pair: Zeroizing<String>,
}

impl Broker {
    /// A broker that holds this token.
    pub fn new(token: Token) -> Self {
        Broker(ArcSwap::from_pointee(Held::new(token)))
    }

    /// The token that is in force.
    pub fn held(&self) -> Arc<Held> {
        self.0.load_full()
    }

    /// Puts another token in its place, for every request from the next one on.
    pub fn replace(&self, token: Token) {
        self.0.store(Arc::new(Held::new(token)));
    }
}

impl Held {
    /// A token in the forms in which it goes on.
    pub fn new(token: Token) -> Self {
        // A token68 is always a header value; an empty one would be refused by QStash and show nothing.
        let mut authorization = HeaderValue::from_maybe_shared(Bytes::from_owner(token.to_bearer()))
            .unwrap_or_else(|_| HeaderValue::from_static(""));
        authorization.set_sensitive(true);
        Held {
            authorization,
            pair: token.to_query_pair(),
            token: Some(token),
        }
    }

    /// Stands in for a token where nothing is sent, and no token need be known.
    pub fn unknown() -> Self {
        Held {
            token: None,
            authorization: HeaderValue::from_static("Bearer"),
            pair: Zeroizing::new("qstash_token=***".to_owned()),
        }
    }

    /// The token, where it is known.
    pub fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// The token as it goes on: as it is, and percent-encoded. One that is too short to be a token has no form.
    pub(super) fn forms(&self) -> impl Iterator<Item = &[u8]> {
        let token = self.token.as_ref().filter(|token| token.is_long());
        let encoded = self.pair.split_once('=').map(|(_, encoded)| encoded.as_bytes());
        token
            .into_iter()
            .flat_map(move |token| [Some(token.as_bytes()), encoded])
            .flatten()
    }

    /// Whether a text that a client is to see holds the token, as it is or percent-encoded up to twice. One that is too
    /// short to be a token is in no text.
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        let Some(token) = &self.token else { return false };
        let mut layer = Cow::Borrowed(text);
        for _ in 0..=LAYERS {
            if token.is_in(&layer) {
                return true;
            }
            match percent_decode(&layer).into() {
                Cow::Owned(decoded) => layer = Cow::Owned(decoded),
                Cow::Borrowed(_) => return false,
            }
        }
        false
    }
}

/// So many layers of percent-encoding are undone: a target in the query of another one has two.
const LAYERS: usize = 2;

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held(…)")
    }
}

/// Takes the client's credential out of a head and puts the guard's token in. Gives the caller that the key names, or
/// `named` where the caller is known otherwise. A refused head stays as it was.
///
/// # Errors
/// The refusal of a key that is missing, unknown, double, malformed or in the wrong place.
pub fn exchange(
    head: &mut request::Parts,
    settings: Credentials,
    callers: &Callers,
    named: Option<Caller>,
    held: &Held,
) -> Result<Caller, Refusal> {
    let lines = head.headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
    let shown = credential::read(lines, head.uri.query().map(str::as_bytes)).map_err(faulty)?;
    if shown.query.is_some() {
        forbidden(head, settings)?;
    }
    let caller = match (named, shown.hash()) {
        (Some(named), _) => named,
        (None, Some(key)) => callers.known(key).ok_or_else(|| {
            Refusal::new(
                Code::Unauthenticated,
                "This key is not known here; send the guard key that you were given as Authorization: Bearer. A QStash token \
                 is not taken.",
            )
        })?,
        (None, None) => {
            return Err(Refusal::new(
                Code::Unauthenticated,
                "No key was sent; send the guard key that you were given as Authorization: Bearer, where a QStash token \
                 would stand.",
            ));
        }
    };
    let as_pair = goes_as_pair(head);
    let pair = as_pair.then_some(held.pair.as_str());
    if pair.is_some() || shown.query.is_some() {
        head.uri = target(&head.uri, shown.query.as_ref(), pair)?;
    }
    if as_pair {
        head.headers.remove(AUTHORIZATION);
    } else {
        head.headers.insert(AUTHORIZATION, held.authorization.clone());
    }
    Ok(caller)
}

/// Whether QStash may pass the headers of this request on to a destination that the caller chose: by what it is under any
/// reading, or because it asks for that.
fn goes_as_pair(head: &request::Parts) -> bool {
    let target = Target::read(head.uri.path().as_bytes());
    target.calls_out(Verb::read(head.method.as_str()))
        || (has_method_override(&head.headers) && target.calls_out(Verb::Post))
        || forwards_headers(head)
}

/// The target in origin-form, one pair cut out of its query and another one put behind it.
fn target(uri: &Uri, cut: Option<&QueryToken>, added: Option<&str>) -> Result<Uri, Refusal> {
    let query = match (uri.query(), cut) {
        (Some(query), Some(cut)) => cut.cut_from(query).map(Zeroizing::new),
        (query, _) => query.map(|query| Zeroizing::new(query.to_owned())),
    };
    let path = if uri.path().is_empty() { "/" } else { uri.path() };
    let query = query.as_ref().map_or("", |query| query.as_str());
    let added = added.unwrap_or_default();
    let between = if query.is_empty() || added.is_empty() { "" } else { "&" };
    let mark = if query.is_empty() && added.is_empty() { "" } else { "?" };
    let parts = [path, mark, query, between, added];
    // As long as it becomes: a string that grows leaves copies of the token behind.
    let mut target = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
    target.extend(parts);
    PathAndQuery::from_maybe_shared(Bytes::from_owner(target))
        .map(Uri::from)
        .map_err(|_| {
            Refusal::new(
                Code::MalformedRequest,
                "The target is not a path with a query, or is too long.",
            )
        })
}
