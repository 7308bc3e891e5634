//! What the layers need to know beside the policy.

use std::path::PathBuf;

use crate::qstash::credential::Token;

/// `credentials` of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// What becomes of a query token.
    pub query_token: QueryToken,
    /// What becomes of a query token beside `Upstash-Header-Forward`.
    pub header_forward_token: HeaderForwardToken,
    /// Whose token QStash gets.
    pub mode: CredentialMode,
}

/// Whose token QStash gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialMode {
    /// The client's own.
    Passthrough,
    /// The guard's; the client shows a key.
    Broker,
}

/// Where the guard's own token comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// The configuration.
    Value(Token),
    /// A file, read again when it changes.
    File(PathBuf),
}

/// What becomes of a query token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryToken {
    /// It moves into the Authorization header.
    Move,
    /// The request is refused.
    Reject,
}

/// What becomes of a query token when QStash sends the request's headers on to the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderForwardToken {
    /// It stays in the query.
    Keep,
    /// It moves into the Authorization header, which the destination may then see.
    Move,
    /// The request is refused.
    Reject,
}
