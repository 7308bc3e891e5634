//! Whether an entry is of a message that the filters of a cancel select.

use super::page::{Entry, Field};

/// What an entry says of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match<'f> {
    /// It has one of the values of every filter.
    Yes,
    /// It has none of the values of some filter.
    No,
    /// It does not show what this filter asks for.
    Lacks(&'f str),
}

/// Matches an entry against every filter: OR within one, AND across them (QStash API: Bulk cancel). What one filter rules
/// out needs no answer to another.
pub(super) fn entry<'f>(entry: &Entry, filters: &'f [(String, Vec<String>)]) -> Match<'f> {
    let mut lacking = None;
    for (name, values) in filters {
        match one(entry, name, values) {
            Some(true) => {}
            Some(false) => return Match::No,
            None => lacking = lacking.or(Some(name.as_str())),
        }
    }
    lacking.map_or(Match::Yes, Match::Lacks)
}

/// Whether the entry has one of the values; `None` where it cannot tell.
fn one(entry: &Entry, name: &str, values: &[String]) -> Option<bool> {
    let is_one = |text: &str| values.iter().any(|value| value == text);
    // QStash documents these as fields of an entry: a message whose entry has none is in no queue, group or schedule.
    let documented = |field: &Field<String>| Some(field.get().is_some_and(|text| is_one(text)));
    // These it does not: that they are absent says nothing.
    let undocumented = |field: &Field<String>| text(field).map(is_one);
    match name {
        "topicName" => documented(&entry.topic_name),
        "queueName" => documented(&entry.queue_name),
        "scheduleId" => documented(&entry.schedule_id),
        "label" => Some(match (entry.labels.get(), entry.label.get()) {
            (Some(labels), _) => labels.iter().any(|label| is_one(label)),
            (None, Some(labels)) => labels.split(',').any(is_one),
            (None, None) => false,
        }),
        "url" => undocumented(&entry.url),
        "host" => Some(match parts(text(&entry.url)?) {
            Some((host, _)) => values.iter().any(|value| value.eq_ignore_ascii_case(host)),
            None => false,
        }),
        "path" => Some(parts(text(&entry.url)?).is_some_and(|(_, path)| is_one(path))),
        "flowControlKey" => undocumented(&entry.flow_control_key),
        "callerIp" | "callerIP" => text(&entry.caller_ip)
            .or_else(|| text(&entry.caller_ip_as_in_messages))
            .map(is_one),
        _ => None,
    }
}

/// The text of a field; one without any shows nothing.
fn text(field: &Field<String>) -> Option<&str> {
    field.get().map(String::as_str).filter(|text| !text.is_empty())
}

/// Host (with its port, where the URL has one) and path of a destination. `None` for a URL that clients may read in
/// different ways: it matches nothing.
fn parts(url: &str) -> Option<(&str, &str)> {
    if url.bytes().any(|byte| byte == b'\\' || byte <= b' ' || byte == 0x7f) {
        return None;
    }
    let (scheme, rest) = url.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (authority, path) = match rest[..end].find('/') {
        Some(slash) => (&rest[..slash], &rest[slash..end]),
        None => (&rest[..end], "/"),
    };
    let host = authority.rsplit('@').next().unwrap_or_default();
    (!host.is_empty()).then_some((host, path))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Filters as a test writes them.
    type Filters<'t> = &'t [(&'t str, &'t [&'t str])];

    fn matched(shown: Value, filters: Filters<'_>) -> String {
        let mut shown = shown;
        shown["messageId"] = "m".into();
        shown["state"] = "CREATED".into();
        let found: Entry = serde_json::from_value(shown).unwrap();
        let filters: Vec<(String, Vec<String>)> = filters
            .iter()
            .map(|(name, values)| {
                (
                    (*name).to_owned(),
                    values.iter().map(|value| (*value).to_owned()).collect(),
                )
            })
            .collect();
        format!("{:?}", entry(&found, &filters))
    }

    #[test]
    fn every_filter_has_to_match() {
        let shown = json!({
            "url": "https://u:p@A.example:8443/x/y?z=1", "queueName": "q", "labels": ["a", "b"], "label": "a,b",
        });
        let rows: &[(Filters<'_>, &str)] = &[
            (&[], "Yes"),
            (&[("queueName", &["p", "q"]), ("label", &["b"])], "Yes"),
            (&[("queueName", &["p", "q"]), ("label", &["c"])], "No"),
            (&[("queueName", &["Q"])], "No"),
            (&[("topicName", &["t"])], "No"),
            (&[("host", &["a.example:8443"]), ("path", &["/x/y"])], "Yes"),
            (&[("host", &["a.example"])], "No"),
            (&[("path", &["/x"])], "No"),
            (&[("url", &["https://u:p@A.example:8443/x/y?z=1"])], "Yes"),
            (&[("flowControlKey", &["k"])], "Lacks(\"flowControlKey\")"),
            (&[("callerIp", &["::1"]), ("queueName", &["q"])], "Lacks(\"callerIp\")"),
            // What another filter rules out needs no answer.
            (&[("callerIp", &["::1"]), ("queueName", &["p"])], "No"),
        ];
        for (filters, expected) in rows {
            assert_eq!(matched(shown.clone(), filters), *expected, "{filters:?}");
        }
    }

    #[test]
    fn what_an_entry_shows_is_used() {
        for (shown, filter, value, expected) in [
            (json!({"flowControlKey": "k"}), "flowControlKey", "k", "Yes"),
            (
                json!({"flowControlKey": ""}),
                "flowControlKey",
                "k",
                "Lacks(\"flowControlKey\")",
            ),
            (json!({"callerIP": "::1"}), "callerIp", "::1", "Yes"),
            (json!({"callerIp": "::2"}), "callerIP", "::1", "No"),
            (json!({"label": "a,b"}), "label", "b", "Yes"),
            (json!({"label": "a,b"}), "label", "a,b", "No"),
            (json!({"label": "a", "labels": []}), "label", "a", "No"),
            (json!({}), "url", "https://a.example", "Lacks(\"url\")"),
            (json!({"url": ""}), "host", "a.example", "Lacks(\"host\")"),
            (json!({"url": "https://a.example?/x"}), "path", "/", "Yes"),
            (
                json!({"url": "https://b.example\\@a.example/"}),
                "host",
                "a.example",
                "No",
            ),
            (json!({"url": "//a.example/"}), "host", "a.example", "No"),
        ] {
            assert_eq!(
                matched(shown.clone(), &[(filter, &[value])]),
                expected,
                "{shown} {filter}"
            );
        }
    }
}
