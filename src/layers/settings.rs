//! What the layers need to know beside the policy.

/// `credentials` of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// What becomes of a query token.
    pub query_token: QueryToken,
    /// What becomes of a query token beside `Upstash-Header-Forward`.
    pub header_forward_token: HeaderForwardToken,
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
