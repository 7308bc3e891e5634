//! The request that shows what became of a cancel whose outcome is uncertain.

use std::fmt::Write as _;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::entry::Entry;
use crate::audit::redact::is_partial;

/// The request to send to QStash, `GET /v2/…`, for a record of which the intent was written at `intent_time`. `None`
/// where QStash has no such request.
///
/// A bulk action is asked for by its id, one message by its own. What a filter has cancelled since is in the logs, as far
/// as their listing takes the same filters (QStash API: List logs); else the bulk actions tell it, which are kept for
/// seven days with their filters (QStash API: List bulk actions). A filter cancel that was answered 429 may run behind
/// that, so of those its progress is in the bulk actions; which of them it is, a person has to tell by filter and time.
pub(super) fn request(entry: &Entry, intent_time: Option<&str>) -> Option<String> {
    let (actions, messages) = match entry.operation.as_deref() {
        Some("messages.bulk_cancel") => ("/v2/bulkActions", true),
        Some("workflows.bulk_cancel") => ("/v2/workflows/bulkActions", false),
        Some("dlq.bulk_delete" | "dlq.bulk_retry") => return Some(left(entry, "/v2/dlq")),
        Some("workflows.dlq.bulk_delete" | "workflows.dlq.bulk_resume" | "workflows.dlq.bulk_restart") => {
            return Some(left(entry, "/v2/workflows/dlq"));
        }
        _ => return None,
    };
    if let Some(id) = entry.action_id.as_deref().filter(|id| is_segment(id)) {
        return Some(format!("GET {actions}/{}", encoded(id)));
    }
    let selection = entry.selection.as_ref().filter(|_| messages);
    let target = selection.and_then(|selection| {
        let ids = strings(selection.get("ids")).unwrap_or_default();
        match ids.as_slice() {
            [id] if is_segment(id) => return Some(format!("/v2/messages/{}", encoded(id))),
            _ => {}
        }
        let since = intent_time?.parse::<Timestamp>().ok()?.as_millisecond();
        if ids.is_empty() && entry.upstream_status == Some(429) {
            return None;
        }
        // Ids alone are found by no filter; those that were listed for one are.
        let filters = match filters(selection) {
            None if ids.is_empty() => return None,
            filters => filters.unwrap_or_default(),
        };
        Some(format!("/v2/logs?state=CANCELLED{filters}&fromDate={since}"))
    });
    Some(format!("GET {}", target.as_deref().unwrap_or(actions)))
}

/// What a request to the DLQ has left there (QStash API: List DLQ messages, which takes the same filters).
fn left(entry: &Entry, listing: &str) -> String {
    let of_selection = entry.selection.as_ref().and_then(|selection| {
        if let Some([id]) = strings(selection.get("ids")).as_deref() {
            return is_segment(id).then(|| format!("/{}", encoded(id)));
        }
        let mut pairs = Vec::new();
        for (name, values) in selection.get("filters")?.as_object()? {
            for value in strings(Some(values))? {
                if is_partial(value) {
                    return None;
                }
                pairs.push(format!("{name}={}", encoded(value)));
            }
        }
        for (name, recorded) in [("fromDate", "from_date"), ("toDate", "to_date")] {
            let date = selection.get(recorded).and_then(Value::as_u64);
            pairs.extend(date.map(|date| format!("{name}={date}")));
        }
        Some(format!("?{}", pairs.join("&")))
    });
    format!("GET {listing}{}", of_selection.unwrap_or_default())
}

/// The filters of a selection as pairs of the logs' listing; `None` where it has not all of them, and nothing in
/// particular would be listed.
fn filters(selection: &Value) -> Option<String> {
    let filters = selection.get("filters")?.as_object()?;
    let mut pairs = String::new();
    for (name, values) in filters {
        let values = strings(Some(values))?;
        let listed = match name.as_str() {
            "label" => true,
            "url" | "topicName" | "scheduleId" | "queueName" => values.len() == 1,
            _ => false,
        };
        if !listed {
            return None;
        }
        for value in values {
            // What the record holds in part matches nothing.
            if is_partial(value) {
                return None;
            }
            _ = write!(pairs, "&{name}={}", encoded(value));
        }
    }
    Some(pairs)
}

fn strings(values: Option<&Value>) -> Option<Vec<&str>> {
    values?.as_array()?.iter().map(Value::as_str).collect()
}

/// Whether a path can end in it.
fn is_segment(id: &str) -> bool {
    !id.bytes().all(|byte| byte == b'.') && !is_partial(id)
}

fn encoded(text: &str) -> percent_encoding::PercentEncode<'_> {
    utf8_percent_encode(text, UNRESERVED)
}

/// What stands for itself (RFC 3986 section 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(record: &Value) -> Option<String> {
        let mut whole =
            json!({"seq": 1, "time": "", "event": "outcome", "prev": "", "operation": "messages.bulk_cancel"});
        whole
            .as_object_mut()
            .unwrap()
            .extend(record.as_object().unwrap().clone());
        let entry: Entry = serde_json::from_value(whole).unwrap();
        request(&entry, Some("2026-11-24T17:15:00.000042Z"))
    }

    #[test]
    fn what_is_known_of_a_cancel_says_where_to_look() {
        let selection = |selection: &Value| check(&json!({"selection": selection})).unwrap();
        let filters = |filters: &Value| selection(&json!({"kind": "filter", "filters": filters}));
        let since = "fromDate=1795540500000";
        assert_eq!(
            check(&json!({"action_id": "ba 1/"})).unwrap(),
            "GET /v2/bulkActions/ba%201%2F"
        );
        assert_eq!(selection(&json!({"ids": ["msg_1"]})), "GET /v2/messages/msg_1");
        for ids in [json!(["msg_1", "msg_2"]), json!([".."])] {
            assert_eq!(
                selection(&json!({ "ids": ids })),
                format!("GET /v2/logs?state=CANCELLED&{since}")
            );
        }
        assert_eq!(
            filters(&json!({"label": ["nightly", "a&b"], "queueName": ["q"]})),
            format!("GET /v2/logs?state=CANCELLED&label=nightly&label=a%26b&queueName=q&{since}")
        );
        // What may be running yet; of ids nothing does.
        let late = |selection: Value| check(&json!({"upstream_status": 429, "selection": selection})).unwrap();
        assert_eq!(late(json!({"filters": {"label": ["a"]}})), "GET /v2/bulkActions");
        assert_eq!(
            late(json!({"ids": ["msg_1"], "filters": {"label": ["a"]}})),
            "GET /v2/messages/msg_1"
        );
        // What the logs cannot be asked for.
        for filters in [
            filters(&json!({"host": ["example.com"]})),
            filters(&json!({"queueName": ["a", "b"]})),
            filters(&json!({"label": ["cut…(2000 bytes)"]})),
            filters(&json!({"url": ["***"]})),
            selection(&json!({"kind": "all"})),
            check(&json!({})).unwrap(),
        ] {
            assert_eq!(filters, "GET /v2/bulkActions");
        }
        let workflows = json!({"operation": "workflows.bulk_cancel", "selection": {"ids": ["wfr_1"]}});
        assert_eq!(check(&workflows).unwrap(), "GET /v2/workflows/bulkActions");
        assert_eq!(check(&json!({"operation": "keys.rotate"})), None);
    }

    #[test]
    fn of_the_dlq_what_is_left_says_it() {
        let of = |operation: &str, selection: Value| {
            check(&json!({"operation": operation, "selection": selection})).unwrap()
        };
        assert_eq!(of("dlq.bulk_delete", json!({"ids": ["dlq/1"]})), "GET /v2/dlq/dlq%2F1");
        assert_eq!(of("dlq.bulk_retry", json!({"ids": ["a", "b"]})), "GET /v2/dlq");
        assert_eq!(of("dlq.bulk_retry", json!({"kind": "all"})), "GET /v2/dlq");
        assert_eq!(
            of(
                "dlq.bulk_retry",
                json!({"filters": {"label": ["a&b", "c"]}, "from_date": 7})
            ),
            "GET /v2/dlq?label=a%26b&label=c&fromDate=7"
        );
        assert_eq!(
            of(
                "workflows.dlq.bulk_resume",
                json!({"filters": {"label": ["cut…(2000 bytes)"]}})
            ),
            "GET /v2/workflows/dlq"
        );
        assert_eq!(
            of(
                "workflows.dlq.bulk_restart",
                json!({"filters": {"workflowRunId": ["w"]}})
            ),
            "GET /v2/workflows/dlq?workflowRunId=w"
        );
    }
}
