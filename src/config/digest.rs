//! The digest that tells one effective policy from another.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::layers::{CredentialMode, Credentials, HeaderForwardToken, QueryToken};
use crate::limits::{AppliesTo, Limit, Per, Unit};
use crate::policy::rules::{Action, Condition, Rule};
use crate::policy::{BulkCancel, CapEnforcedBy, Mode, OnMissingCap, Policy, Treatment};
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
        "mode": mode(policy.mode),
        "bulk_cancel": bounds(&policy.bulk_cancel),
        "caps": {
            "enforced_by": match policy.caps.enforced_by {
                CapEnforcedBy::Auto => "auto",
                CapEnforcedBy::Qstash => "qstash",
                CapEnforcedBy::Guard => "guard",
            },
            "on_missing": match policy.caps.on_missing {
                OnMissingCap::Deny => "deny",
                OnMissingCap::ApplyMaxCount => "apply_max_count",
            },
        },
        "operations": operations,
        "rules": policy.rules.iter().map(rule).collect::<Vec<_>>(),
        "callers": policy.callers.sorted().iter().map(|(name, hash)| json!([name, hash.to_hex()])).collect::<Vec<_>>(),
        "qstash_destinations": policy.qstash_destinations,
        "rate_limits": limits.iter().map(limit).collect::<Vec<_>>(),
        "credentials": {
            "mode": match credentials.mode {
                CredentialMode::Passthrough => "passthrough",
                CredentialMode::Broker => "broker",
            },
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

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Monitor => "monitor",
    }
}

fn bounds(limits: &BulkCancel) -> Value {
    json!({
        "require_filter": limits.require_filter,
        "require_cap": limits.require_cap,
        "max_count": limits.max_count,
        "max_message_ids": limits.max_message_ids,
        "allowed_filters": limits.allowed_filters.as_deref().map(sorted),
        "narrowing_filters": sorted(&limits.narrowing_filters),
        "extra_parameters": sorted(&limits.parameters.extra),
    })
}

/// Rules are tried in the order of the file, so that theirs counts.
fn rule(rule: &Rule) -> Value {
    let operations: Vec<&str> = rule.operations.iter().map(|operation| operation.as_str()).collect();
    json!({
        "name": &*rule.name,
        "callers": rule.callers.as_deref().map(sorted),
        "operations": operations,
        "when": rule.when.as_ref().map(Condition::text),
        "action": match &rule.action {
            Action::Deny(message) => json!({"deny": message}),
            Action::Allow => json!("allow"),
            Action::BulkCancel(limits) => bounds(limits),
        },
        "expires": rule.expires.map(|expires| expires.to_string()),
        "mode": mode(rule.mode),
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
