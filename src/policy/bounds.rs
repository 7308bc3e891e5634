//! What bounds a bulk cancel: the table of violations, under the policy's limits or under a rule's own.

use super::refusal::{Code, Violation};
use super::settings::{BulkCancel, MAX_MESSAGE_IDS};
use super::wording::Wording;
use crate::qstash::narrowing;
use crate::qstash::operation::Operation;
use crate::qstash::selection::{EXACT_MATCH, Kind, Parameters, Selection};

/// What a selection violates, in the order of the table. A missing cap is none where it is filled.
pub(super) fn out_of_bounds(
    rules: &BulkCancel,
    operation: Operation,
    selection: &Selection,
    fills_missing_caps: bool,
) -> Vec<Violation> {
    let kind = rules.kind(operation, selection);
    let (parameters, wording) = (rules.parameters(operation), Wording::of(operation));
    let mut found = Vec::new();
    if kind == Kind::All && rules.require_filter {
        let message = unfiltered(rules, operation, &parameters, selection);
        found.push(Violation::new(Code::UnfilteredCancel, message));
    }
    if let Some(allowed) = &rules.allowed_filters {
        let refused: Vec<String> = selection
            .filters
            .iter()
            // How a URL is matched selects nothing by itself.
            .filter(|(name, _)| !allowed.contains(name) && name != EXACT_MATCH)
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        if !refused.is_empty() {
            let has = |name: &&str| parameters.filters.contains(name);
            let allowed: Vec<&str> = allowed.iter().map(String::as_str).filter(has).collect();
            let allowed = if allowed.is_empty() {
                format!("none; {} by {}", wording.verb, parameters.ids)
            } else {
                allowed.join(", ")
            };
            found.push(Violation::new(
                Code::FilterNotAllowed,
                format!(
                    "The policy does not allow the filter {}; allowed: {allowed}.",
                    refused.join(", ")
                ),
            ));
        }
    }
    match selection.count {
        None if kind != Kind::Ids && rules.require_cap && !fills_missing_caps => found.push(Violation::new(
            Code::UncappedCancel,
            format!(
                "The {} has no cap: {}; add count=N with N at most {}.",
                wording.verb, wording.uncapped, rules.max_count
            ),
        )),
        Some(count) if count > rules.max_count => {
            // The largest number stands for all that are larger.
            let asked = if count == u64::MAX {
                "count".to_owned()
            } else {
                format!("count={count}")
            };
            found.push(Violation::new(
                Code::CountOverCap,
                format!(
                    "{asked} is over the cap of {0}; use count={0} at most, or {1} in steps.",
                    rules.max_count, wording.verb
                ),
            ));
        }
        _ => {}
    }
    let most = rules.max_message_ids.min(MAX_MESSAGE_IDS);
    if selection.ids.len() > most {
        found.push(Violation::new(
            Code::TooManyMessageIds,
            format!(
                "The {} lists {} {}, the most is {most}; send them in chunks.",
                wording.verb,
                selection.ids.len(),
                wording.ids
            ),
        ));
    }
    found
}

fn unfiltered(rules: &BulkCancel, operation: Operation, parameters: &Parameters, selection: &Selection) -> String {
    let mut there = Vec::new();
    let mut weak: Vec<&str> = selection.filters.iter().map(|(name, _)| name.as_str()).collect();
    weak.extend(selection.from_date.map(|_| "fromDate"));
    weak.extend(selection.to_date.map(|_| "toDate"));
    if !weak.is_empty() {
        there.push(format!(
            "{} narrow{} nothing",
            ticked(&weak),
            if weak.len() == 1 { "s" } else { "" }
        ));
    }
    let empty: Vec<&str> = selection.empty.iter().map(String::as_str).collect();
    if !empty.is_empty() {
        let verbs = if empty.len() == 1 {
            "is empty and counts"
        } else {
            "are empty and count"
        };
        there.push(format!("{} {verbs} as absent", ticked(&empty)));
    }
    let there = if there.is_empty() {
        String::new()
    } else {
        format!(" ({})", there.join("; "))
    };
    let of_policy = rules.narrowing_filters.iter().map(String::as_str);
    let of_table = parameters
        .filters
        .iter()
        .copied()
        .filter(|name| narrowing::may_narrow(name));
    let narrowing: Vec<&str> = match operation {
        Operation::MessagesBulkCancel => of_policy.collect(),
        _ => of_table.collect(),
    };
    // A URL that was given and narrows nothing is a prefix of too much.
    let prefix = if weak.contains(&"workflowUrl") {
        " (workflowUrl is a prefix: name a path too, or add workflowUrlExactMatch=true)"
    } else {
        ""
    };
    format!(
        "This would {}{there}; add {} or one of {}{prefix}.",
        Wording::of(operation).to_all,
        parameters.ids,
        narrowing.join(", ")
    )
}

fn ticked(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
