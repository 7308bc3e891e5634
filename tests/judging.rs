//! The judgement of requests, as tables over the public interface: what is written, which operation it is, and what the
//! policy says of it.

#[path = "judging/bodies.rs"]
mod bodies;
#[path = "judging/credentials.rs"]
mod credentials;
#[path = "judging/destinations.rs"]
mod destinations;
#[path = "judging/messages.rs"]
mod messages;
#[path = "judging/operations.rs"]
mod operations;
#[path = "judging/paths.rs"]
mod paths;
#[path = "judging/policies.rs"]
mod policies;
#[path = "judging/queries.rs"]
mod queries;

use std::net::Ipv4Addr;
use std::sync::LazyLock;

use jiff::Timestamp;
use qstash_guard::policy::{
    BulkCancel, Caller, Context, Judgement, Operations, Policy, Request, Treatment, Verdict, judge,
};

/// A caller without a token, on loopback, at the epoch.
fn nobody() -> Context<'static> {
    static CALLER: LazyLock<Caller> = LazyLock::new(Caller::anonymous);
    Context {
        caller: &CALLER,
        client: Ipv4Addr::LOCALHOST.into(),
        time: Timestamp::UNIX_EPOCH,
    }
}

/// A request written as `METHOD TARGET`, and its body.
#[derive(Clone, Copy)]
struct Sent<'a> {
    line: &'a str,
    body: &'a str,
    overridden: bool,
    content_encoded: bool,
}

impl<'a> Sent<'a> {
    fn line(line: &'a str) -> Self {
        Sent {
            line,
            body: "",
            overridden: false,
            content_encoded: false,
        }
    }

    fn judged(self, policy: &Policy) -> Judgement {
        // Only the first space parts, so that a target may hold one.
        let (method, target) = self.line.split_once(' ').expect("METHOD TARGET");
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.as_bytes())),
            None => (target, None),
        };
        judge(
            policy,
            &Request {
                method,
                path: path.as_bytes(),
                query,
                overridden: self.overridden,
                body: self.body.as_bytes(),
                content_encoded: self.content_encoded,
            },
            &nobody(),
        )
    }
}

/// `allow`, or the codes of all violations in order; `would` before those of a policy that only monitors.
fn said(judgement: &Judgement) -> String {
    let (first, refusal) = match &judgement.verdict {
        Verdict::Allow(_) => return "allow".to_owned(),
        Verdict::WouldDeny(_, refusal) => (Some("would"), refusal),
        Verdict::Deny(refusal) => (None, refusal),
    };
    let codes = refusal.violations().map(|violation| violation.code.as_str());
    first.into_iter().chain(codes).collect::<Vec<_>>().join(" ")
}

/// `operation: allow`, or `operation: codes`.
fn named_and_said(judgement: &Judgement) -> String {
    format!("{}: {}", judgement.operation, said(judgement))
}

/// Fails with every row that does not come out as expected.
#[track_caller]
fn table<'a>(rows: impl IntoIterator<Item = (Sent<'a>, &'a str)>, outcome: impl Fn(Sent<'a>) -> String) {
    let mut checked = 0;
    let mut wrong = Vec::new();
    for (sent, expected) in rows {
        checked += 1;
        let got = outcome(sent);
        if got != expected {
            wrong.push(format!(
                "{:?} {}\n    is       {got}\n    should be {expected}",
                sent.line, sent.body
            ));
        }
    }
    assert!(checked > 0, "an empty table checks nothing");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Rows of `METHOD TARGET` and `operation: outcome` under the default policy.
#[track_caller]
fn lines(rows: &[(&str, &str)]) {
    let policy = Policy::default();
    table(
        rows.iter().map(|&(line, expected)| (Sent::line(line), expected)),
        |sent| named_and_said(&sent.judged(&policy)),
    );
}

/// The default policy with other bounds.
fn bounded(change: impl FnOnce(&mut BulkCancel)) -> Policy {
    let mut policy = Policy::default();
    change(&mut policy.bulk_cancel);
    policy
}

/// The default policy with entries of `policy.operations`.
fn treating(entries: &[(&str, Treatment)]) -> Policy {
    Policy {
        operations: Operations::compile(entries).expect("entries"),
        ..Policy::default()
    }
}
