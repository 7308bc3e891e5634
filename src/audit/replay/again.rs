//! The policy's word on a recorded request.

use super::Ruled;
use super::doubt::Doubt;
use super::recorded::Recorded;
use crate::policy::rules::Attempt;
use crate::policy::{
    Asked, Code, Context, Mode, Overrun, Policy, Refusal, Route, Ruling, Treatment, Tried, Verdict, Violation, decide,
    route,
};
use crate::qstash::selection::Reading;

/// Decides a request again, limits on rates left out.
///
/// # Errors
/// Why it cannot be told for certain.
pub(super) fn again(policy: &Policy, recorded: &Recorded) -> Result<Ruled, Doubt> {
    let treatment = policy.operations.of(recorded.operation);
    let refused_with = |code: Code| Ruled {
        refused: true,
        code: Some(code.as_str().to_owned()),
        ..Ruled::default()
    };
    let unread = recorded.reading.is_none();
    match recorded.code.filter(|_| unread && !recorded.passed) {
        // Refused under every policy and in every mode. A body that broke off would not be noticed unread.
        Some(code @ (Code::MethodNotServed | Code::ConflictingCredentials | Code::MalformedCredential)) => {
            return Ok(refused_with(code));
        }
        Some(code @ Code::MalformedRequest) if treatment != Treatment::Allow => return Ok(refused_with(code)),
        Some(Code::MalformedRequest) => return Err(Doubt::NoSelection),
        Some(Code::QueryTokenForbidden | Code::Unauthenticated)
            if !(treatment == Treatment::Deny && policy.mode == Mode::Enforce) =>
        {
            return Err(Doubt::Credential);
        }
        _ => {}
    }
    let ambiguous = recorded.code == Some(Code::AmbiguousRequest);
    if treatment == Treatment::Deny {
        let code = if ambiguous {
            Code::AmbiguousRequest
        } else {
            Code::OperationDenied
        };
        return Ok(Ruled {
            refused: policy.mode == Mode::Enforce,
            would_deny: policy.mode == Mode::Monitor,
            ..refused_with(code)
        });
    }
    match (&recorded.reading, treatment) {
        (None, Treatment::Guard) if policy.mode == Mode::Monitor => Ok(Ruled {
            would_deny: true,
            ..Ruled::default()
        }),
        // The recorded reading of the path is guarded, so another one beside it is refused.
        (None, Treatment::Guard) if ambiguous => Ok(refused_with(Code::AmbiguousRequest)),
        (None, Treatment::Guard) => Err(Doubt::NoSelection),
        (Some(reading), Treatment::Guard) => judged(policy, recorded, Some(reading)),
        (_, _) if policy.mode == Mode::Monitor => Ok(Ruled::default()),
        (_, _) if ambiguous => Err(Doubt::Ambiguous),
        (_, _) if recorded.partial.path => Err(Doubt::Cut),
        // Neither guarded nor denied: it goes by its path, and by rules.
        (_, _) => match route(policy, &recorded.method, recorded.path.as_bytes(), false).route {
            Route::Pass(_) => Ok(Ruled::default()),
            Route::Judged(verdict) => Ok(ruled(Ruling::without_rules(verdict))),
            Route::Rules | Route::Inspect(_) => judged(policy, recorded, None),
        },
    }
}

fn judged(policy: &Policy, recorded: &Recorded, reading: Option<&Reading>) -> Result<Ruled, Doubt> {
    let context = Context {
        caller: &recorded.caller,
        client: recorded.client,
        time: recorded.time,
    };
    let asked = Asked {
        // What QStash made of a cap then says nothing of now.
        overrun: Overrun::default(),
        operation: recorded.operation,
        method: &recorded.method,
        path: &recorded.path,
        context: &context,
    };
    let mut tried = Vec::new();
    // Of several readings of a path, the first thing that was wrong, only a rehearsal reads more.
    let earlier = match reading {
        Some(reading) if reading.unsupported.is_some() && recorded.code == Some(Code::AmbiguousRequest) => {
            let ambiguities = reading.ambiguities.iter();
            ambiguities
                .map(|message| Violation::new(Code::AmbiguousRequest, message))
                .collect()
        }
        _ => Vec::new(),
    };
    let ruling = decide(policy, &asked, reading, earlier, Some(&mut tried));
    let after = ruled(ruling);
    // A mode that refuses nothing leaves nothing in doubt.
    if policy.mode == Mode::Monitor {
        return Ok(after);
    }
    let unreadable = reading.is_some_and(|reading| reading.unsupported.is_some() || !reading.ambiguities.is_empty());
    if reading.is_some() && !unreadable && recorded.doubtful_parameter {
        return Err(Doubt::Parameter);
    }
    match tried.iter().find_map(|tried| in_doubt(policy, recorded, tried)) {
        // A rule decides nothing about a request that is refused before it.
        Some(_) if after.code.as_deref() == Some(Code::UnknownParameter.as_str()) => Ok(after),
        Some(doubt) => Err(doubt),
        None => Ok(after),
    }
}

/// Whether a rule's word rests on what the record does not hold in full.
fn in_doubt(policy: &Policy, recorded: &Recorded, tried: &Tried) -> Option<Doubt> {
    if tried.mode == Mode::Monitor || matches!(tried.attempt, Attempt::OtherOperation | Attempt::Expired(_)) {
        return None;
    }
    let rule = policy.rules.iter().find(|rule| rule.name == tried.rule)?;
    let partial = recorded.partial;
    if partial.caller && rule.callers.is_some() {
        return Some(Doubt::Caller);
    }
    if tried.attempt == Attempt::OtherCaller {
        return None;
    }
    let looks_at = |variable: &str| rule.when.as_ref().is_some_and(|when| when.uses(variable));
    [
        (partial.ids && looks_at("cancel.ids"), Doubt::Ids),
        (partial.filters && looks_at("cancel.filters"), Doubt::Cut),
        (partial.path && looks_at("request.path"), Doubt::Cut),
        (
            partial.fingerprint && looks_at("caller.fingerprint"),
            Doubt::Fingerprint,
        ),
        (partial.caller && looks_at("caller.name"), Doubt::Caller),
    ]
    .into_iter()
    .find_map(|(is, doubt)| is.then_some(doubt))
}

fn ruled(ruling: Ruling) -> Ruled {
    let (refused, would_deny, refusal) = match (ruling.verdict, ruling.rehearsed) {
        (Verdict::Deny(refusal), _) => (true, false, Some(refusal)),
        (Verdict::WouldDeny(_, refusal), _) | (Verdict::Allow(_), Some(refusal)) => (false, true, Some(refusal)),
        (Verdict::Allow(_), None) => (false, false, None),
    };
    let rule = refusal.as_ref().map_or(ruling.rule, |refusal| refusal.rule().cloned());
    Ruled {
        refused,
        would_deny,
        code: refusal.as_ref().map(Refusal::code).map(|code| code.as_str().to_owned()),
        rule: rule.map(|rule| rule.to_string()),
        limit: None,
    }
}
