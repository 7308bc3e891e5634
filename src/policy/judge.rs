//! One whole request judged at once, as `explain` and the tests do; the layers take the same two steps, [`route()`] and
//! [`decide()`], since between them they read a body.

use super::caps::Overrun;
use super::decide::{Asked, Context, decide};
use super::guarded_cap::GuardedCap;
use super::permit::Verdict;
use super::refusal::Refusal;
use super::route::{Route, Routed, route};
use super::rules::{RuleName, Tried};
use super::ruling::Ruling;
use super::settings::Policy;
use crate::qstash::operation::Operation;
use crate::qstash::selection::{self, Kind, Reading};

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
    /// The kind of the selection, under the limits that it was held against; `None` where it was not read.
    pub kind: Option<Kind>,
    /// The cap that the guard itself enforces, where it does.
    pub cap: Option<GuardedCap>,
    /// The verdict, rate limits left out. Its refusal names the rule that refused.
    pub verdict: Verdict,
    /// The rule that decided, if one did: also where it let the request through.
    pub rule: Option<RuleName>,
    /// What the first rule of `mode: monitor` that would have refused would have said.
    pub rehearsed: Option<Refusal>,
    /// Every rule up to the one that decided, in the order of the file. Empty where rules had no word.
    pub rules: Vec<Tried>,
}

/// Judges a request, in the steps that the layers take too.
pub fn judge(policy: &Policy, request: &Request<'_>, context: &Context<'_>) -> Judgement {
    let Routed { operation, route } = route(policy, request.method, request.path, request.overridden);
    let path = String::from_utf8_lossy(request.path);
    let asked = Asked {
        operation,
        method: request.method,
        path: &path,
        context,
        // What the upstream does is known to a running guard alone.
        overrun: Overrun::default(),
    };
    let mut rules = Vec::new();
    let (reading, ruling) = match route {
        Route::Pass(permit) => (None, Ruling::without_rules(Verdict::Allow(permit))),
        Route::Judged(verdict) => (None, Ruling::without_rules(verdict)),
        Route::Rules => (None, decide(policy, &asked, None, Vec::new(), Some(&mut rules))),
        Route::Inspect(earlier) => {
            let parameters = policy.parameters(operation);
            let reading = selection::read(&parameters, request.query, request.body, request.content_encoded);
            let ruling = decide(policy, &asked, Some(&reading), earlier, Some(&mut rules));
            (Some(reading), ruling)
        }
    };
    let Ruling {
        verdict,
        kind,
        cap,
        rule,
        rehearsed,
    } = ruling;
    Judgement {
        operation,
        reading,
        kind,
        cap,
        verdict,
        rule,
        rehearsed,
        rules,
    }
}
