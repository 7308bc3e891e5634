//! What travels down the stack with a request, and up with its answer.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Response, Uri, request};
use uuid::Uuid;

use super::answer::Answered;
use super::body::ReplyBody;
use super::broker::Broker;
use super::overrun::Overruns;
use super::passage::Selected;
use super::respond;
use super::settings::Credentials;
use crate::audit::{Decision, Event, Record, SelectionRecord, redact};
use crate::limits::Limiter;
use crate::policy::{Caller, Callers, Policy, Refusal, RuleName};
use crate::qstash::credential;
use crate::qstash::operation::Operation;
use crate::upstream::ClientBody;

/// The rules of one request: one snapshot, whatever is reloaded meanwhile.
#[derive(Debug)]
pub struct Snapshot {
    /// What is allowed.
    pub policy: Policy,
    /// How tokens are treated.
    pub credentials: Credentials,
    /// What clients' keys are exchanged for; `None` where they bring their own tokens.
    pub broker: Option<Arc<Broker>>,
    /// How often.
    pub limits: Arc<Limiter>,
    /// Whether unguarded requests leave a record too.
    pub record_all: bool,
    /// Whether bulk actions are followed to their end.
    pub follow_bulk_actions: bool,
    /// Which caps QStash was seen not to honour.
    pub overruns: Arc<Overruns>,
}

/// A request on its way down.
#[derive(Debug)]
pub struct Exchange {
    /// Its head as the client sent it, but for a moved token.
    pub head: request::Parts,
    /// Its body, unread.
    pub body: ClientBody,
    /// Facts about it.
    pub origin: Origin,
}

/// Where a request comes from and what it is judged by.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The client's address.
    pub client: IpAddr,
    /// The caller that its certificate names, where clients must show one.
    pub certificate: Option<Arc<str>>,
    /// When its head was complete.
    pub started: Instant,
    /// Who sends it, once that is no longer to be read from its head: the guard's token has taken the place of the
    /// client's key.
    pub caller: Option<Caller>,
    /// What it is judged by.
    pub snapshot: Arc<Snapshot>,
}

/// An answer on its way up.
pub struct Reply {
    /// The answer.
    pub response: Response<ReplyBody>,
    /// The operation of the request.
    pub operation: Operation,
    /// What was decided.
    pub decision: Decision,
    /// Why the guard answers itself, or what it would have refused.
    pub refusal: Option<Box<Refusal>>,
    /// The rule that decided.
    pub rule: Option<RuleName>,
    /// The record to write for a refusal, once.
    pub denied: Option<Box<Record>>,
    /// What is known of the upstream's answers, where the guard asked more than once and answers itself.
    pub(super) answered: Option<Box<Answered>>,
}

impl Reply {
    /// The upstream's answer.
    pub fn forwarded(response: Response<ReplyBody>, operation: Operation) -> Self {
        Reply {
            response,
            operation,
            decision: Decision::Allow,
            refusal: None,
            rule: None,
            denied: None,
            answered: None,
        }
    }

    /// The guard's own answer to a request that was let through and then failed upstream: no denial. The id is that of
    /// the request's records, where it has some.
    pub fn failed(request_id: Option<Uuid>, operation: Operation, refusal: Refusal) -> Self {
        let response = respond::refusal(&refusal, request_id.unwrap_or_else(Uuid::now_v7));
        Reply {
            response,
            operation,
            decision: Decision::Allow,
            rule: None,
            refusal: Some(Box::new(refusal)),
            denied: None,
            answered: None,
        }
    }

    /// A refusal, with the record that it leaves.
    pub fn refused(subject: &Subject<'_>, operation: Operation, refusal: Refusal) -> Self {
        Reply::refused_as(Uuid::now_v7(), subject, operation, refusal)
    }

    /// Notes in the record of a denial what the request selects.
    pub fn note_selection(&mut self, selected: Option<&Selected>) {
        if let (Some(record), Some(selected)) = (&mut self.denied, selected) {
            record.selection = Some(selected.to_record(SelectionRecord::IDS_OF_A_DENIAL));
        }
    }

    /// The same for a request that has an id already.
    pub fn refused_as(request_id: Uuid, subject: &Subject<'_>, operation: Operation, refusal: Refusal) -> Self {
        let mut record = subject.record(Event::Denied, operation, Some(request_id));
        record.decision = Some(Decision::Deny);
        note_refusal(&mut record, &refusal);
        Reply {
            response: respond::refusal(&refusal, request_id),
            operation,
            decision: Decision::Deny,
            rule: refusal.rule().cloned(),
            refusal: Some(Box::new(refusal)),
            denied: Some(Box::new(record)),
            answered: None,
        }
    }
}

/// A request as records and limits name it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its method.
    pub method: &'a http::Method,
    /// Its target.
    pub uri: &'a http::Uri,
    /// Its headers.
    pub headers: &'a http::HeaderMap,
    /// Where it comes from.
    pub origin: &'a Origin,
}

impl<'a> Subject<'a> {
    /// The subject of a request head.
    pub fn of(head: &'a request::Parts, origin: &'a Origin) -> Self {
        Subject {
            method: &head.method,
            uri: &head.uri,
            headers: &head.headers,
            origin,
        }
    }

    /// The caller, as [`caller`] names it where it is not known yet; the name of a certificate stands above that of a token.
    pub fn caller(&self) -> Caller {
        let known = self.origin.caller.clone();
        let shown = known.unwrap_or_else(|| caller(&self.origin.snapshot.policy.callers, self.headers, self.uri));
        match &self.origin.certificate {
            Some(name) => Caller {
                name: Arc::clone(name),
                ..shown
            },
            None => shown,
        }
    }

    /// The target as the client sent it, but for its credential: without the pair that the guard put in.
    fn target(&self) -> Cow<'a, str> {
        let target = self.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let is_exchanged = self.origin.snapshot.broker.is_some() && self.origin.caller.is_some();
        let query = self.uri.query().filter(|_| is_exchanged);
        let shown = query.and_then(|query| credential::read([], Some(query.as_bytes())).ok()?.query);
        let (Some(query), Some(pair)) = (query, shown) else {
            return Cow::Borrowed(target);
        };
        let path = self.uri.path();
        Cow::Owned(match pair.cut_from(query) {
            Some(rest) => format!("{path}?{rest}"),
            None => path.to_owned(),
        })
    }

    /// A record about the request, what concerns its verdict left open.
    pub fn record(&self, event: Event, operation: Operation, request_id: Option<Uuid>) -> Record {
        let target = self.target();
        Record {
            request_id,
            caller: Some(self.caller().name.to_string()),
            client: Some(self.origin.client),
            operation: Some(operation),
            method: Some(self.method.as_str().chars().take(32).collect()),
            target: Some(redact::target(&target, operation)),
            policy: Some(self.origin.snapshot.policy.digest.clone()),
            ..Record::new(event)
        }
    }
}

/// Notes in a record why its request is refused, or would have been.
pub fn note_refusal(record: &mut Record, refusal: &Refusal) {
    record.code = Some(refusal.code());
    record.violations = refusal.violations().cloned().collect();
    record.rule = refusal.rule().map(ToString::to_string);
    record.limit = refusal.limit().map(|limit| limit.name.clone());
}

/// Who asks, by the token that a head shows.
pub fn caller(callers: &Callers, headers: &HeaderMap, uri: &Uri) -> Caller {
    let lines = headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
    let shown = credential::read(lines, uri.query().map(str::as_bytes)).ok();
    callers.identify(shown.and_then(|shown| shown.hash()))
}
