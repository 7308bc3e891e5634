//! One whole request judged at once, as `explain` and the tests do; the layers take the same steps one by one, since
//! between them they read a body.

use super::decide;
use super::permit::Verdict;
use super::route::{Route, route};
use super::rules::Policy;
use crate::qstash::operation::Operation;
use crate::qstash::selection::{self, Reading};

/// A request, as far as it is judged.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method token as sent.
    pub method: &'a str,
    /// The path as sent, without query.
    pub path: &'a [u8],
    /// The query as sent, without `?`.
    pub query: Option<&'a [u8]>,
    /// Whether a method-override header is there.
    pub overridden: bool,
    /// The whole body.
    pub body: &'a [u8],
    /// Whether the body has a Content-Encoding.
    pub content_encoded: bool,
}

/// What the policy says of a request, and what it rests on.
#[derive(Debug)]
pub struct Judgement {
    /// The operation that the judged copy names.
    pub operation: Operation,
    /// What a guarded request selects; `None` where it was not read.
    pub reading: Option<Reading>,
    /// The verdict, rate limits left out.
    pub verdict: Verdict,
}

/// Judges a request.
pub fn judge(policy: &Policy, request: &Request<'_>) -> Judgement {
    let routed = route(policy, request.method, request.path, request.overridden);
    let (reading, verdict) = match routed.route {
        Route::Pass(permit) => (None, Verdict::Allow(permit)),
        Route::Judged(verdict) => (None, verdict),
        Route::Inspect(earlier) => {
            let parameters = &policy.bulk_cancel.parameters;
            let reading = selection::read(parameters, request.query, request.body, request.content_encoded);
            let verdict = decide::bulk_cancel(policy, &reading, earlier);
            (Some(reading), verdict)
        }
    };
    Judgement {
        operation: routed.operation,
        reading,
        verdict,
    }
}
