//! Filters over messages.

use serde_json::{Value, json};

use super::{
    answer::Refusal,
    fields::Fields,
    message::{Message, message_id},
    query::Query,
};

/// The filters of a bulk cancel (QStash API: Bulk cancel).
pub(super) const CANCEL: &[&str] = &[
    "topicName",
    "queueName",
    "url",
    "label",
    "flowControlKey",
    "scheduleId",
    "host",
    "path",
    "callerIp",
];

/// The filters of the DLQ operations: no host and no path (QStash API: List DLQ messages).
pub(super) const DLQ: &[&str] = &[
    "messageId",
    "url",
    "topicName",
    "scheduleId",
    "queueName",
    "responseStatus",
    "callerIp",
    "label",
    "flowControlKey",
];

/// The filters of the logs under their older name, as clients send them.
pub(super) const EVENTS: &[&str] = &[
    "messageId",
    "topicName",
    "queueName",
    "url",
    "label",
    "flowControlKey",
    "scheduleId",
    "host",
    "path",
    "callerIp",
];

/// The filters of the logs that take one value (QStash API: List logs). `label` takes several.
pub(super) const LOGS: &[&str] = &["messageId", "url", "topicName", "scheduleId", "queueName"];

/// What a message must be like: one of the values of every filter named, and created between two dates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    values: Vec<(&'static str, Vec<String>)>,
    from: Option<i64>,
    to: Option<i64>,
}

impl Filter {
    /// Reads those of the `known` filters that are given; anything else given is ignored.
    pub(super) fn read(fields: &Fields<'_>, known: &[&'static str]) -> Result<Self, Refusal> {
        let mut filter = Self {
            values: Vec::new(),
            from: fields.integer("fromDate")?,
            to: fields.integer("toDate")?,
        };
        for &name in known {
            let mut values = fields.list(name)?;
            if name == "callerIp" {
                // The older spelling is a parameter of its own in a query, and the same one in a body.
                values.extend(fields.list("callerIP")?);
            }
            values.sort();
            values.dedup();
            if !values.is_empty() {
                filter.values.push((name, values));
            }
        }
        Ok(filter)
    }

    /// Reads those of the logs: of each but `label` the first value, and no commas. `fromDate` and `toDate` are not among
    /// them: there they are those of an entry, not of its message.
    pub(super) fn of_logs(query: &Query) -> Self {
        let mut filter = Self::default();
        for &name in LOGS {
            if let Some(value) = query.all(name).next().filter(|value| !value.is_empty()) {
                filter.values.push((name, vec![value.to_owned()]));
            }
        }
        let labels: Vec<String> = query
            .all("label")
            .filter(|label| !label.is_empty())
            .map(str::to_owned)
            .collect();
        if !labels.is_empty() {
            filter.values.push(("label", labels));
        }
        filter
    }

    /// A filter of one value.
    pub(super) fn one(name: &'static str, value: &str) -> Self {
        Self {
            values: vec![(name, vec![value.to_owned()])],
            ..Self::default()
        }
    }

    /// The filter without its dates.
    pub(super) fn undated(self) -> Self {
        Self {
            values: self.values,
            ..Self::default()
        }
    }

    pub(super) fn matches(&self, index: usize, message: &Message) -> bool {
        self.from.is_none_or(|from| message.created_at >= from)
            && self.to.is_none_or(|to| message.created_at <= to)
            && self
                .values
                .iter()
                .all(|(name, values)| values.iter().any(|value| has(index, message, name, value)))
    }

    /// The filter as a bulk action shows it: each name with its values (QStash API: schema `BulkAction`).
    pub(super) fn to_json(&self) -> Value {
        let mut shown = json!({});
        for (name, values) in &self.values {
            shown[*name] = json!(values);
        }
        for (name, date) in [("fromDate", self.from), ("toDate", self.to)] {
            if let Some(date) = date {
                shown[name] = json!([date.to_string()]);
            }
        }
        shown
    }
}

fn has(index: usize, message: &Message, name: &str, value: &str) -> bool {
    let is = |field: &Option<String>| field.as_deref() == Some(value);
    match name {
        "messageId" => message_id(index) == value,
        "topicName" => is(&message.topic),
        "queueName" => is(&message.queue),
        "url" => message.url == value,
        "label" => message.has_label(value),
        "flowControlKey" => is(&message.flow_control_key),
        "scheduleId" => is(&message.schedule_id),
        "host" => {
            let (name, port) = message.host();
            name.eq_ignore_ascii_case(value) || format!("{name}{port}").eq_ignore_ascii_case(value)
        }
        "path" => message.path() == value,
        "callerIp" => message.caller_ip.to_string() == value,
        "responseStatus" => super::dlq::RESPONSE_STATUS.to_string() == value,
        _ => false,
    }
}
