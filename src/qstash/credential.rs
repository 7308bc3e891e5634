//! How a QStash token travels: `Authorization: Bearer`, or a query pair named `qstash_token`.
//!
//! Nothing here can print a token: [`Token`] has no `Display` and a `Debug` that says nothing, and its bytes are
//! overwritten when it goes.

use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::query;
use super::selection::TOKEN_PARAMETER;

/// What of a token68 means something else in a query: `+` may be read as a space.
const IN_PAIR: &AsciiSet = &CONTROLS.add(b'+').add(b'/').add(b'=');

/// A token, kept out of every log.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<Vec<u8>>);

impl Token {
    /// Whether a text holds the whole token. A token that is too short to be one is in no text.
    pub fn is_in(&self, text: &[u8]) -> bool {
        self.is_long() && text.windows(self.0.len()).any(|part| part == self.0.as_slice())
    }

    /// Whether it is as long as QStash's are: a shorter one may be in a text by chance.
    pub fn is_long(&self) -> bool {
        self.0.len() >= SHORTEST
    }

    /// A token as it is written; `None` for what is no token68 (RFC 6750 section 2.1).
    pub fn new(text: &[u8]) -> Option<Self> {
        is_token68(text).then(|| Token(Zeroizing::new(text.to_vec())))
    }

    /// The token itself, for whoever looks for it where it must not be.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The fingerprint of the token.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.0)
    }

    /// The token as a query pair: `qstash_token=<token>`, percent-encoded.
    pub fn to_query_pair(&self) -> Zeroizing<String> {
        // As long as it may become: a string that grows leaves copies behind.
        let mut pair = Zeroizing::new(String::with_capacity(TOKEN_PARAMETER.len() + 1 + 3 * self.0.len()));
        pair.push_str(TOKEN_PARAMETER);
        pair.push('=');
        pair.extend(percent_encode(&self.0, IN_PAIR));
        pair
    }

    /// The token in `Authorization` form: `Bearer <token>`.
    pub fn to_bearer(&self) -> Zeroizing<Vec<u8>> {
        let mut value = Zeroizing::new(Vec::with_capacity(7 + self.0.len()));
        value.extend_from_slice(b"Bearer ");
        value.extend_from_slice(&self.0);
        value
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// No token that QStash gives out is shorter, in bytes.
const SHORTEST: usize = 16;

/// The first 12 hexadecimal digits of a token's SHA-256: enough to tell tokens apart, useless to guess one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 6]);

impl Fingerprint {
    /// The fingerprint of the token alone, without its scheme.
    pub fn of(token: &[u8]) -> Self {
        TokenHash::of(token).fingerprint()
    }

    /// Reads the 12 hexadecimal digits that [`Fingerprint`] is written as; `None` for anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let padded = format!("{text:0<64}");
        (text.len() == 12)
            .then(|| TokenHash::from_hex(&padded))?
            .map(|hash| hash.fingerprint())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The SHA-256 of a token: names its holder without holding it. Two of them are compared in constant time.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenHash {}

impl Hash for TokenHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl TokenHash {
    /// The hash of the token alone, without its scheme.
    pub fn of(token: &[u8]) -> Self {
        TokenHash(Sha256::digest(token).into())
    }

    /// Reads 64 hexadecimal digits in either letter case; `None` for anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        let mut bytes = [0; 32];
        if digits.len() != 2 * bytes.len() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |digit: u8| {
                char::from(digit)
                    .to_digit(16)
                    .and_then(|digit| u8::try_from(digit).ok())
            };
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(TokenHash(bytes))
    }

    /// The fingerprint of the same token.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut first = [0; 6];
        first.copy_from_slice(&self.0[..6]);
        Fingerprint(first)
    }

    /// All 64 hexadecimal digits, for the digest of a policy.
    pub fn to_hex(&self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenHash({}…)", self.fingerprint())
    }
}

/// What a request shows as its credential, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Shown<'a> {
    /// The token of the one `Authorization: Bearer` line, if that is what it is.
    pub bearer: Option<&'a [u8]>,
    /// Whether there is an Authorization of another scheme.
    pub other_scheme: bool,
    /// The one query pair, if there is one.
    pub query: Option<QueryToken>,
}

/// A `qstash_token` pair found in a query.
#[derive(Debug, PartialEq, Eq)]
pub struct QueryToken {
    /// The token, percent-decoded, `+` kept; `None` where the value is empty.
    pub token: Option<Token>,
    start: usize,
    end: usize,
}

/// Why a credential cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialFault {
    /// More than one Authorization line.
    TwoAuthorizations,
    /// More than one `qstash_token` pair.
    TwoQueryTokens,
    /// A bearer header and a query token that differ.
    Differing,
    /// A query token that is no token68 (RFC 6750 section 2.1).
    Malformed,
}

impl CredentialFault {
    /// One sentence for the client.
    pub const fn message(self) -> &'static str {
        match self {
            CredentialFault::TwoAuthorizations => "There is more than one Authorization header; send one.",
            CredentialFault::TwoQueryTokens => "The query has more than one qstash_token; send the token once.",
            CredentialFault::Differing => {
                "The Authorization header and qstash_token hold different tokens; send the one you mean."
            }
            CredentialFault::Malformed => {
                "The value of qstash_token has a character that no token has (RFC 6750, token68); percent-encode it once."
            }
        }
    }
}

/// Reads what a request shows. Allocates only where there is a query token.
///
/// # Errors
/// [`CredentialFault`] where there is more than one line or pair, where they differ, or where the pair holds no token.
pub fn read<'a>(
    authorization: impl IntoIterator<Item = &'a [u8]>,
    query: Option<&[u8]>,
) -> Result<Shown<'a>, CredentialFault> {
    let mut lines = authorization.into_iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err(CredentialFault::TwoAuthorizations);
    }
    let bearer = line.and_then(bearer_token);
    let query = query.map_or(Ok(None), query_token)?;
    if let (Some(bearer), Some(QueryToken { token: Some(token), .. })) = (bearer, &query)
        && bearer != token.0.as_slice()
    {
        return Err(CredentialFault::Differing);
    }
    Ok(Shown {
        bearer,
        other_scheme: line.is_some() && bearer.is_none(),
        query,
    })
}

impl Shown<'_> {
    /// The token shown: the bearer's, else the query's.
    pub fn token(&self) -> Option<Token> {
        let bearer = self.bearer.map(|token| Token(Zeroizing::new(token.to_vec())));
        bearer.or_else(|| self.query.as_ref()?.token.clone())
    }

    /// The hash of the token shown: the bearer's, else the query's.
    pub fn hash(&self) -> Option<TokenHash> {
        let query = self.query.as_ref().and_then(|pair| pair.token.as_ref());
        self.bearer
            .or_else(|| query.map(|token| token.0.as_slice()))
            .map(TokenHash::of)
    }
}

impl QueryToken {
    /// The pair as it stands in the query that it was read from.
    pub fn of<'q>(&self, query: &'q str) -> &'q str {
        query.get(self.start..self.end).unwrap_or_default()
    }

    /// The query without the pair and one `&` beside it; `None` where nothing is left. All other bytes stay.
    pub fn cut_from(&self, query: &str) -> Option<String> {
        let (before, after) = (&query[..self.start], &query[self.end..]);
        let rest = match (before.strip_suffix('&'), after.strip_prefix('&')) {
            (Some(before), _) => [before, after].concat(),
            (None, Some(after)) => [before, after].concat(),
            (None, None) => [before, after].concat(),
        };
        (!rest.is_empty()).then_some(rest)
    }
}

/// The token of an `Authorization` value whose scheme is Bearer, in any letter case, spaces around it trimmed.
pub fn bearer_token(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii();
    let (scheme, token) = value.split_at_checked(6)?;
    let separated = token.first().is_some_and(u8::is_ascii_whitespace);
    (scheme.eq_ignore_ascii_case(b"bearer") && separated).then(|| token.trim_ascii())
}

/// Whether `Upstash-Header-Forward` is on: any value but `false`.
pub fn forwards_headers(value: &[u8]) -> bool {
    !value.trim_ascii().eq_ignore_ascii_case(b"false")
}

/// Whether the query turns `upstash-header-forward` on.
pub fn query_forwards_headers(query: &[u8]) -> bool {
    query::raw_pairs(query)
        .map(|(_, pair)| query::split(pair))
        .any(|(name, value)| {
            query::is_named(name, b"upstash-header-forward", true)
                && query::percent_decoded(value).is_none_or(|value| forwards_headers(&value))
        })
}

fn query_token(query: &[u8]) -> Result<Option<QueryToken>, CredentialFault> {
    let mut pairs = query::raw_pairs(query)
        .filter(|(_, pair)| query::is_named(query::split(pair).0, TOKEN_PARAMETER.as_bytes(), false));
    let Some((start, pair)) = pairs.next() else {
        return Ok(None);
    };
    if pairs.next().is_some() {
        return Err(CredentialFault::TwoQueryTokens);
    }
    let value = query::percent_decoded(query::split(pair).1)
        .map(Zeroizing::new)
        .ok_or(CredentialFault::Malformed)?;
    let token = match value.as_slice() {
        b"" => None,
        value => Some(Token::new(value).ok_or(CredentialFault::Malformed)?),
    };
    Ok(Some(QueryToken {
        token,
        start,
        end: start + pair.len(),
    }))
}

/// `token68` of RFC 9110 section 11.2, which is the `b64token` of RFC 6750.
fn is_token68(value: &[u8]) -> bool {
    let end = value.iter().rposition(|&b| b != b'=').map_or(0, |last| last + 1);
    end > 0
        && value[..end]
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/'))
}
