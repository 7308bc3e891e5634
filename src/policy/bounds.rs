//! What bounds a bulk cancel: the table of violations, under the policy's limits or under a rule's own.

use super::refusal::{Code, Violation};
use super::settings::{BulkCancel, MAX_MESSAGE_IDS};
use crate::qstash::selection::{Kind, Selection};

/// What a selection violates, in the order of the table. A missing cap is none where it is filled.
pub(super) fn out_of_bounds(rules: &BulkCancel, selection: &Selection, fills_missing_caps: bool) -> Vec<Violation> {
    let kind = rules.kind(selection);
    let mut found = Vec::new();
    if kind == Kind::All && rules.require_filter {
        found.push(Violation::new(Code::UnfilteredCancel, unfiltered(rules, selection)));
    }
    if let Some(allowed) = &rules.allowed_filters {
        let refused: Vec<String> = selection
            .filters
            .iter()
            .filter(|(name, _)| !allowed.contains(name))
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        if !refused.is_empty() {
            let allowed = if allowed.is_empty() {
                "none; cancel by messageIds".to_owned()
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
                "The cancel has no cap: it takes every message that matches; add count=N with N at most {}.",
                rules.max_count
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
                    "{asked} is over the cap of {0}; use count={0} at most, or cancel in steps.",
                    rules.max_count
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
                "The cancel lists {} message ids, the most is {most}; send them in chunks.",
                selection.ids.len()
            ),
        ));
    }
    found
}

fn unfiltered(rules: &BulkCancel, selection: &Selection) -> String {
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
    let narrowing: Vec<&str> = rules.narrowing_filters.iter().map(String::as_str).collect();
    format!(
        "This would cancel every pending message of the account, and there is no undo{there}; \
         add {} or one of {}.",
        rules.parameters.ids,
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
