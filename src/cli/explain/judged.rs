//! What policy and limits say of one request, for [`explain`](super).

use std::net::{IpAddr, Ipv4Addr};

use http::header::CONTENT_ENCODING;
use http::request;
use jiff::Timestamp;

use crate::audit::{SelectionRecord, redact};
use crate::config::Settings;
use crate::layers::classify::has_method_override;
use crate::layers::passage::Selected;
use crate::limits::{Charge, Limiter, Unit};
use crate::policy::{self, Caller, Code, GuardedCap, Ruling, Tried, Verdict};
use crate::qstash::listing;
use crate::qstash::operation::Operation;

/// The ruling of policy and limits, and what it rests on.
pub(super) struct Judged {
    pub(super) ruling: Ruling,
    pub(super) selection: Option<SelectionRecord>,
    /// What the guard would list, and how many it would cancel, where it enforces the cap.
    pub(super) listing: Option<(String, u64)>,
    pub(super) rules: Vec<Tried>,
}

/// Judges a request as the layers would, limits included.
pub(super) fn judge(
    head: &request::Parts,
    body: &[u8],
    caller: &Caller,
    operation: Operation,
    settings: &Settings,
) -> Judged {
    let policy = &settings.policy;
    let request = policy::Request {
        method: head.method.as_str(),
        path: head.uri.path().as_bytes(),
        query: head.uri.query().map(str::as_bytes),
        overridden: has_method_override(&head.headers),
        body,
        content_encoded: head.headers.contains_key(CONTENT_ENCODING),
    };
    let context = policy::Context {
        caller,
        client: LOOPBACK,
        time: Timestamp::now(),
    };
    let judgement = policy::judge(policy, &request, &context);
    let most = settings.resources.max_inspected_body;
    if judgement.reading.is_some() && body.len() > most {
        let message = format!(
            "The body has {} bytes, and up to {most} are read to judge it.",
            body.len()
        );
        let violation = policy::Violation::new(Code::BodyTooLarge, message);
        return Judged {
            ruling: policy::malformed_selection(policy, violation, Vec::new()),
            selection: None,
            listing: None,
            rules: Vec::new(),
        };
    }
    let selected = judgement.reading.zip(judgement.kind).map(|(reading, kind)| Selected {
        selection: reading.selection,
        kind,
        cap: judgement.cap,
        listed: None,
    });
    let charge = Charge {
        operation,
        caller: &caller.name,
        client: LOOPBACK,
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
    Judged {
        ruling: Ruling {
            verdict: judgement.verdict.and(policy.mode, over_budget),
            kind: judgement.kind,
            cap: judgement.cap,
            rule: judgement.rule,
            rehearsed: judgement.rehearsed,
        },
        listing: selected.as_ref().and_then(listing),
        selection: selected.map(|selected| selected.to_record(usize::MAX)),
        rules: judgement.rules,
    }
}

/// What the guard would ask for, redacted as targets are, and how many it would cancel.
fn listing(selected: &Selected) -> Option<(String, u64)> {
    let GuardedCap { count, .. } = selected.cap?;
    let target = listing::target(&selected.selection, None, listing::PAGE, None);
    Some((redact::target(&target, Operation::MessagesBulkCancel), count))
}

/// Where the request is taken to come from.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
