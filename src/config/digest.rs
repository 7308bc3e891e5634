//! The digest that tells one effective policy from another.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::layers::{Credentials, HeaderForwardToken, QueryToken};
use crate::limits::{AppliesTo, Limit, Per, Unit};
use crate::policy::{Mode, Policy, Treatment};
use crate::qstash::operation::Operation;

/// So many hexadecimal digits of the hash are shown.
const DIGITS: usize = 12;

/// `sha256:` and 12 hexadecimal digits over all that decides about a request. Comments, the order of keys, and what is
/// written out although it is the default make no difference.
pub(super) fn of(policy: &Policy, limits: &[Limit], credentials: Credentials) -> String {
    let canonical = canonical(policy, limits, credentials).to_string();
    let hash = Sha256::digest(canonical.as_bytes());
    hash.iter()
        .take(DIGITS / 2)
        .fold("sha256:".to_owned(), |mut digest, byte| {
            let _ = write!(digest, "{byte:02x}");
            digest
        })
}

/// The policy in one spelling: the keys stand here in their order, sets are sorted.
fn canonical(policy: &Policy, limits: &[Limit], credentials: Credentials) -> Value {
    let bulk_cancel = &policy.bulk_cancel;
    let operations: Vec<Value> = Operation::ALL
        .iter()
        .map(|operation| {
            let treatment = match policy.operations.of(*operation) {
                Treatment::Allow => "allow",
                Treatment::Guard => "guard",
                Treatment::Deny => "deny",
            };
            json!([operation.as_str(), treatment])
        })
        .collect();
    json!({
        "mode": match policy.mode { Mode::Enforce => "enforce", Mode::Monitor => "monitor" },
        "bulk_cancel": {
            "require_filter": bulk_cancel.require_filter,
            "require_cap": bulk_cancel.require_cap,
            "max_count": bulk_cancel.max_count,
            "max_message_ids": bulk_cancel.max_message_ids,
            "allowed_filters": bulk_cancel.allowed_filters.as_deref().map(sorted),
            "narrowing_filters": sorted(&bulk_cancel.narrowing_filters),
            "extra_parameters": sorted(&bulk_cancel.parameters.extra),
        },
        "operations": operations,
        "qstash_destinations": policy.qstash_destinations,
        "rate_limits": limits.iter().map(limit).collect::<Vec<_>>(),
        "credentials": {
            "query_token": match credentials.query_token {
                QueryToken::Move => "move",
                QueryToken::Reject => "reject",
            },
            "header_forward_token": match credentials.header_forward_token {
                HeaderForwardToken::Keep => "keep",
                HeaderForwardToken::Move => "move",
                HeaderForwardToken::Reject => "reject",
            },
        },
    })
}

/// Limits are charged in the order of the file, so that theirs counts.
fn limit(limit: &Limit) -> Value {
    let applies_to: Vec<&str> = match &limit.applies_to {
        AppliesTo::Operations(operations) => operations.iter().map(|operation| operation.as_str()).collect(),
        AppliesTo::Denied => vec!["denied"],
    };
    json!({
        "name": limit.name,
        "applies_to": applies_to,
        "per": match limit.per { Per::Caller => "caller", Per::ClientIp => "client_ip", Per::Global => "global" },
        "unit": match limit.unit { Unit::Requests => "requests", Unit::Messages => "messages" },
        "events": limit.rate.events,
        "period_seconds": limit.rate.period.as_secs(),
        "burst": limit.burst,
    })
}

fn sorted(names: &[String]) -> Vec<&str> {
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    names
}
