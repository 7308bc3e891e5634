//! The verdict on a bulk cancel.

use super::permit::Verdict;
use super::refusal::{Code, Violation};
use super::rules::{BulkCancel, MAX_MESSAGE_IDS, Policy};
use crate::qstash::selection::{Kind, Reading, Selection, quoted_parameter};

/// Judges what a bulk cancel selects. All violations are found, in the order of their precedence; `earlier` ones (of
/// the path, under monitor mode) come first.
pub fn bulk_cancel(policy: &Policy, reading: &Reading, earlier: Vec<Violation>) -> Verdict {
    let rules = &policy.bulk_cancel;
    let mut found = earlier;
    if let Some(fault) = &reading.unsupported {
        found.push(Violation::new(Code::UnsupportedBody, fault));
        return Verdict::of(policy.mode, found);
    }
    found.extend(
        reading
            .ambiguities
            .iter()
            .map(|message| Violation::new(Code::AmbiguousRequest, message)),
    );
    found.extend(reading.unknown.iter().map(|name| unknown_parameter(rules, name)));
    if reading.ambiguities.is_empty() {
        found.extend(out_of_bounds(rules, &reading.selection));
    }
    Verdict::of(policy.mode, found)
}

/// The verdict on a request whose body could not be read to its end: refused, or recorded under monitor mode.
pub fn malformed_selection(policy: &Policy, violation: Violation, earlier: Vec<Violation>) -> Verdict {
    let mut found = earlier;
    found.push(violation);
    Verdict::of(policy.mode, found)
}

fn unknown_parameter(rules: &BulkCancel, name: &str) -> Violation {
    let nearest = rules
        .parameters
        .names()
        .map(|known| (strsim::jaro_winkler(&known.to_lowercase(), &name.to_lowercase()), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.75)
        .map(|(_, known)| known);
    let known = match (name, nearest) {
        ("messageId", _) => "did you mean `messageIds`, or DELETE /v2/messages/ID for one message?".to_owned(),
        ("urlGroup", _) => "did you mean `topicName`, QStash's name for a URL group?".to_owned(),
        (_, Some(known)) => format!("did you mean `{known}`?"),
        (_, None) => format!("known are {}.", rules.parameters.names().collect::<Vec<_>>().join(", ")),
    };
    Violation::new(
        Code::UnknownParameter,
        format!(
            "{} is no parameter of a bulk cancel, and QStash would ignore it; {known}",
            quoted_parameter(name)
        ),
    )
}

fn out_of_bounds(rules: &BulkCancel, selection: &Selection) -> Vec<Violation> {
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
        None if kind != Kind::Ids && rules.require_cap => found.push(Violation::new(
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
