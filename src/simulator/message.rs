//! A message and its shape in answers.

use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Messages to this host are in the DLQ as soon as they are published.
pub const DEAD_HOST: &str = "dead.example";

/// A filter cancel that matches a message with this label takes longer than the simulator waits for.
pub const SLOW_LABEL: &str = "slow-cancel";

/// A message with this label is in flight to its destination as soon as it is published: pending, and too late to cancel.
pub const IN_FLIGHT_LABEL: &str = "in-flight";

/// A published message (QStash API: schema Message). Times are in milliseconds since the Unix epoch.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// Empty for a message to a URL group, whose endpoints the simulator doesn't know.
    pub(super) url: String,
    pub(super) topic: Option<String>,
    pub(super) queue: Option<String>,
    pub(super) labels: Vec<String>,
    pub(super) flow_control_key: Option<String>,
    pub(super) schedule_id: Option<String>,
    pub(super) caller_ip: IpAddr,
    pub(super) method: String,
    /// What is forwarded to the destination: `Upstash-Forward-*` without the prefix, and Content-Type.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Box<[u8]>,
    pub(super) max_retries: i64,
    pub(super) callback: Option<String>,
    pub(super) failure_callback: Option<String>,
    pub(super) created_at: i64,
    pub(super) not_before: i64,
}

impl Message {
    /// A message of now without a destination, with QStash's defaults.
    pub(super) fn new(caller_ip: IpAddr) -> Self {
        let now = now();
        Self {
            url: String::new(),
            topic: None,
            queue: None,
            labels: Vec::new(),
            flow_control_key: None,
            schedule_id: None,
            caller_ip,
            method: "POST".to_owned(),
            headers: Vec::new(),
            body: Box::default(),
            max_retries: 3,
            callback: None,
            failure_callback: None,
            created_at: now,
            not_before: now,
        }
    }

    /// Whether it can't be cancelled any more.
    pub(super) fn is_in_flight(&self) -> bool {
        self.has_label(IN_FLIGHT_LABEL)
    }

    /// Whether a cancel of it takes long.
    pub(super) fn is_slow(&self) -> bool {
        self.has_label(SLOW_LABEL)
    }

    pub(super) fn has_label(&self, name: &str) -> bool {
        self.labels.iter().any(|label| label == name)
    }

    /// The destination's host, and its port with the colon, if it has one.
    pub(super) fn host(&self) -> (&str, &str) {
        let after_scheme = self.after_scheme();
        let authority = after_scheme.split(['/', '?', '#']).next().unwrap_or_default();
        let authority = authority.rsplit('@').next().unwrap_or_default();
        // A colon within brackets belongs to an IPv6 address.
        match authority
            .rfind(':')
            .filter(|colon| !authority.get(*colon..).is_some_and(|tail| tail.contains(']')))
        {
            Some(colon) => authority.split_at(colon),
            None => (authority, ""),
        }
    }

    /// The destination's path, `/` when it has none.
    pub(super) fn path(&self) -> &str {
        let after_scheme = self.after_scheme();
        let end = after_scheme.find(['?', '#']).unwrap_or(after_scheme.len());
        let start = after_scheme.find('/').unwrap_or(end);
        after_scheme
            .get(start..end)
            .filter(|path| !path.is_empty())
            .unwrap_or("/")
    }

    /// The message as `GET /v2/messages/{messageId}` shows it.
    pub(super) fn to_json(&self, index: usize) -> Map<String, Value> {
        let mut shown = self.to_log_json(index);
        shown.insert("createdAt".to_owned(), json!(self.created_at));
        shown.insert("notBefore".to_owned(), json!(self.not_before));
        shown.insert("callerIP".to_owned(), json!(self.caller_ip.to_string()));
        if let Some(key) = &self.flow_control_key {
            shown.insert("flowControlKey".to_owned(), json!(key));
        }
        shown
    }

    /// The part of the message that a log entry shows too (QStash API: schema `LogEntry`): without times, caller and
    /// flow control key.
    pub(super) fn to_log_json(&self, index: usize) -> Map<String, Value> {
        let mut shown = Map::new();
        let mut put = |name: &str, value: Value| drop(shown.insert(name.to_owned(), value));
        put("messageId", json!(message_id(index)));
        put("url", json!(self.url));
        put("method", json!(self.method));
        put("maxRetries", json!(self.max_retries));
        for (name, value) in [
            ("topicName", &self.topic),
            ("queueName", &self.queue),
            ("scheduleId", &self.schedule_id),
            ("callback", &self.callback),
            ("failureCallback", &self.failure_callback),
        ] {
            if let Some(value) = value {
                put(name, json!(value));
            }
        }
        if !self.headers.is_empty() {
            put("header", headers_json(&self.headers));
        }
        // A body that is no text would be `bodyBase64`, which the simulator leaves out.
        if let Ok(body) = str::from_utf8(&self.body) {
            put("body", json!(body));
        }
        if !self.labels.is_empty() {
            put("label", json!(self.labels.join(",")));
            put("labels", json!(self.labels));
        }
        shown
    }

    fn after_scheme(&self) -> &str {
        self.url.split_once("://").map_or("", |(_, rest)| rest)
    }
}

/// The id of the message at `index` in the store.
pub(super) fn message_id(index: usize) -> String {
    format!("msg_{index:016x}")
}

/// The index that an id stands for, when it was made by [`message_id`].
pub(super) fn message_index(id: &str) -> Option<usize> {
    let index = usize::from_str_radix(id.strip_prefix("msg_")?, 16).ok()?;
    (message_id(index) == id).then_some(index)
}

/// Milliseconds since the Unix epoch.
pub(super) fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Headers as QStash shows them: each name with its values.
pub(super) fn headers_json(headers: &[(String, String)]) -> Value {
    let mut shown: Map<String, Value> = Map::new();
    for (name, value) in headers {
        let values = shown.entry(name.clone()).or_insert_with(|| json!([]));
        if let Value::Array(values) = values {
            values.push(json!(value));
        }
    }
    Value::Object(shown)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn host_and_path_of_a_destination() {
        for (url, host, path) in [
            ("https://a.example", ("a.example", ""), "/"),
            (
                "https://u:p@a.example:8443/x//y/?q=/z",
                ("a.example", ":8443"),
                "/x//y/",
            ),
            ("http://[::1]:80?x", ("[::1]", ":80"), "/"),
            ("http://[::1]/é", ("[::1]", ""), "/é"),
            ("", ("", ""), "/"),
        ] {
            let message = Message {
                url: url.to_owned(),
                ..Message::new(Ipv4Addr::LOCALHOST.into())
            };
            assert_eq!((message.host(), message.path()), (host, path), "{url}");
        }
    }

    #[test]
    fn only_ids_made_here_stand_for_a_message() {
        assert_eq!(message_index(&message_id(10)), Some(10));
        for id in [
            "",
            "msg_",
            "msg_a",
            "msg_+00000000000000a",
            "msg_000000000000000A",
            "msg_é",
        ] {
            assert_eq!(message_index(id), None, "{id}");
        }
    }
}
