//! What becomes of one request, offline: the steps of the layers, with nothing sent, recorded or counted.

use std::net::IpAddr;

use http::header::CONTENT_ENCODING;
use http::request;
use jiff::Timestamp;

use crate::audit::{Decision, redact};
use crate::config::Settings;
use crate::layers::classify::has_method_override;
use crate::layers::exchange::caller;
use crate::layers::passage::Selected;
use crate::layers::{CredentialMode, broker, credentials, prefix, well_formed};
use crate::limits::{Charge, Limiter, Unit};
use crate::policy::{self, Caller, Code, GuardedCap, Refusal, Route, RuleName, Ruling, Tried, Verdict};
use crate::qstash::listing;
use crate::qstash::operation::Operation;

/// A request, who sends it and when.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    /// Its head.
    pub(super) head: request::Parts,
    /// Its whole body.
    pub(super) body: &'a [u8],
    /// The caller's name, in place of the one that the credential has.
    pub(super) caller: Option<&'a str>,
    /// The client's address.
    pub(super) client: IpAddr,
    /// When.
    pub(super) time: Timestamp,
}

/// What would become of it.
#[derive(Debug)]
pub(super) struct Rehearsed {
    /// Its head as it would be forwarded.
    pub(super) head: request::Parts,
    /// Who asks.
    pub(super) caller: Caller,
    /// What it selects, where that was read.
    pub(super) selected: Option<Selected>,
    /// What the guard would list, redacted as targets are, and how many it would cancel, where it enforces the cap.
    pub(super) listing: Option<(String, u64)>,
    /// What is decided.
    pub(super) decision: Decision,
    /// Why it is refused, or would be.
    pub(super) refusal: Option<Refusal>,
    /// The rule that decides.
    pub(super) rule: Option<RuleName>,
    /// Every rule up to that one.
    pub(super) tried: Vec<Tried>,
}

/// Judges a request. Limits count as unused: only one that could never pass a limit is refused by it.
pub(super) fn rehearse(mut asked: Asked<'_>, settings: &Settings) -> Rehearsed {
    let policy = &settings.policy;
    let shown = caller(&policy.callers, &asked.head.headers, &asked.head.uri);
    let named = asked.caller.map(|name| Caller {
        name: name.into(),
        ..shown.clone()
    });
    let mut caller = named.clone().unwrap_or(shown);
    let refused = well_formed::verify(&asked.head)
        .err()
        .or_else(|| prefix::cut(&mut asked.head.uri, &settings.listen.path_prefix).err())
        .or_else(|| match settings.credentials.mode {
            CredentialMode::Passthrough => credentials::settle(&mut asked.head, settings.credentials).err(),
            CredentialMode::Broker => {
                let head = &mut asked.head;
                match broker::exchange(
                    head,
                    settings.credentials,
                    &policy.callers,
                    named,
                    &broker::Held::unknown(),
                ) {
                    Ok(known) => {
                        caller = known;
                        None
                    }
                    Err(refusal) => Some(refusal),
                }
            }
        });
    let (ruling, selected, tried) = match refused {
        Some(refusal) => (Ruling::without_rules(Verdict::Deny(refusal)), None, Vec::new()),
        None => judge(&asked, &caller, settings),
    };
    let (decision, refusal) = match (ruling.verdict, ruling.rehearsed) {
        (Verdict::Allow(_), None) => (Decision::Allow, None),
        (Verdict::Allow(_), Some(refusal)) | (Verdict::WouldDeny(_, refusal), _) => {
            (Decision::WouldDeny, Some(refusal))
        }
        (Verdict::Deny(refusal), _) => (Decision::Deny, Some(refusal)),
    };
    let rule = match &refusal {
        Some(refusal) => refusal.rule().cloned(),
        None => ruling.rule,
    };
    Rehearsed {
        head: asked.head,
        caller,
        listing: selected.as_ref().and_then(listing),
        selected,
        decision,
        refusal,
        rule,
        tried,
    }
}

fn judge(asked: &Asked<'_>, caller: &Caller, settings: &Settings) -> (Ruling, Option<Selected>, Vec<Tried>) {
    let (policy, head) = (&settings.policy, &asked.head);
    let request = policy::Request {
        method: head.method.as_str(),
        path: head.uri.path().as_bytes(),
        query: head.uri.query().map(str::as_bytes),
        overridden: has_method_override(&head.headers),
        body: asked.body,
        content_encoded: head.headers.contains_key(CONTENT_ENCODING),
    };
    let context = policy::Context {
        caller,
        client: asked.client,
        time: asked.time,
    };
    // As the guard does: a body that is too large is not read, and what was wrong before comes first.
    let most = settings.resources.max_inspected_body;
    if asked.body.len() > most
        && let Route::Inspect(earlier) = policy::route(policy, request.method, request.path, request.overridden).route
    {
        let message = format!(
            "The body has {} bytes, and up to {most} are read to judge it.",
            asked.body.len()
        );
        let violation = policy::Violation::new(Code::BodyTooLarge, message);
        let ruling = policy::malformed_selection(policy, violation, earlier);
        return (ruling, None, Vec::new());
    }
    let judgement = policy::judge(policy, &request, &context);
    let selected = judgement.reading.zip(judgement.kind).map(|(reading, kind)| Selected {
        selection: reading.selection,
        kind,
        cap: judgement.cap,
        listed: None,
    });
    let charge = Charge {
        operation: judgement.operation,
        caller: &caller.name,
        client: asked.client,
        messages: selected.as_ref().and_then(Selected::reach),
    };
    let over_budget = match &judgement.verdict {
        Verdict::Deny(_) | Verdict::WouldDeny(..) => None,
        Verdict::Allow(_) => {
            let limits = Limiter::new(settings.limits.clone());
            // Messages are charged once they are found, which is not asked for here.
            match judgement.cap {
                Some(_) => limits.charge_in(Unit::Requests, charge).err(),
                None => limits.charge(charge).err(),
            }
        }
    };
    let ruling = Ruling {
        verdict: judgement.verdict.and(policy.mode, over_budget),
        kind: judgement.kind,
        cap: judgement.cap,
        rule: judgement.rule,
        rehearsed: judgement.rehearsed,
    };
    (ruling, selected, judgement.rules)
}

/// What the guard would ask for, and how many it would cancel.
fn listing(selected: &Selected) -> Option<(String, u64)> {
    let GuardedCap { count, .. } = selected.cap?;
    let target = listing::target(&selected.selection, None, listing::PAGE, None);
    Some((redact::target(&target, Operation::MessagesBulkCancel), count))
}
