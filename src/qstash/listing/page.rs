//! One page of the listing, read strictly where it decides and leniently elsewhere.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// The longest id that is believed, in bytes; QStash's own have about seventy.
pub const MAX_ID: usize = 256;

/// A page (QStash API: List logs).
#[derive(Deserialize)]
pub(super) struct Page {
    /// Where the next page begins; absent or empty on the last one.
    pub(super) cursor: Option<String>,
    /// Its entries. An answer without the key is no page; null stands for none.
    #[serde(deserialize_with = "present")]
    pub(super) logs: Option<Vec<Entry>>,
}

/// An entry (QStash API: schema `LogEntry`): one state that a message came into. Bodies and headers are skipped.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    pub(super) message_id: String,
    pub(super) state: String,
    #[serde(default)]
    pub(super) time: Field<u64>,
    #[serde(default)]
    pub(super) url: Field<String>,
    #[serde(default)]
    pub(super) topic_name: Field<String>,
    #[serde(default)]
    pub(super) queue_name: Field<String>,
    #[serde(default)]
    pub(super) schedule_id: Field<String>,
    #[serde(default)]
    pub(super) labels: Field<Vec<String>>,
    /// The older form of `labels`, parted by commas.
    #[serde(default)]
    pub(super) label: Field<String>,
    // Not in the schema; used where an entry shows them all the same.
    #[serde(default)]
    pub(super) flow_control_key: Field<String>,
    #[serde(default)]
    pub(super) caller_ip: Field<String>,
    #[serde(default, rename = "callerIP")]
    pub(super) caller_ip_as_in_messages: Field<String>,
}

/// A field that may be absent. One of another type counts as absent.
#[derive(Default, Deserialize)]
#[serde(untagged)]
pub(super) enum Field<T> {
    Given(T),
    Other(IgnoredAny),
    #[default]
    Absent,
}

impl<T> Field<T> {
    pub(super) fn get(&self) -> Option<&T> {
        match self {
            Field::Given(value) => Some(value),
            Field::Other(_) | Field::Absent => None,
        }
    }
}

impl Page {
    /// Reads a page; `None` where the answer is none, or holds an id that no list of ids can be trusted with.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let page: Page = serde_json::from_slice(text).ok()?;
        let entries = page.logs.as_deref().unwrap_or_default();
        entries.iter().all(|entry| is_id(&entry.message_id)).then_some(page)
    }
}

impl Entry {
    /// Whether the message was done with when the entry was written: what came before or comes after changes nothing.
    pub(super) fn is_final(&self) -> bool {
        FINAL.iter().any(|state| self.state.eq_ignore_ascii_case(state))
    }

    /// Whether it is the entry of the message's creation, whose time is the message's.
    pub(super) fn is_creation(&self) -> bool {
        self.state.eq_ignore_ascii_case("CREATED")
    }
}

/// Whether this can be one id, and nothing else, in a list of ids: no comma that would make it two, no blank that could be
/// trimmed to nothing, nothing that servers may decode in ways of their own.
fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~:@=+/".contains(&byte);
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(plain)
}

/// A key that must be there, whatever its value.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

/// The states that no message leaves again (QStash API: List logs).
const FINAL: [&str; 4] = ["DELIVERED", "FAILED", "CANCEL_REQUESTED", "CANCELLED"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_page_is_not_read() {
        for text in [
            "",
            "OK",
            "null",
            "{}",
            r#"{"error":"no"}"#,
            r#"{"cursor":"a"}"#,
            r#"{"logs":{}}"#,
            r#"{"logs":[null]}"#,
            r#"{"logs":[{}]}"#,
            r#"{"logs":[],"logs":[]}"#,
            r#"{"logs":[],"cursor":7}"#,
            r#"{"logs":[{"messageId":"a"}]}"#,
            r#"{"logs":[{"messageId":7,"state":"CREATED"}]}"#,
            r#"{"logs":[{"messageId":"a","messageId":"b","state":"CREATED"}]}"#,
            r#"{"logs":[{"messageId":"a","state":null}]}"#,
            r#"{"logs":[]} {}"#,
        ] {
            assert!(Page::read(text.as_bytes()).is_none(), "{text}");
        }
        for text in [
            r#"{"logs":[]}"#,
            r#"{"logs":null,"cursor":""}"#,
            r#"{"logs":[],"cursor":null,"more":1}"#,
        ] {
            assert!(Page::read(text.as_bytes()).is_some(), "{text}");
        }
    }

    #[test]
    fn an_id_means_itself_alone() {
        let long = "x".repeat(MAX_ID);
        for id in ["msg_7YoJxFpwkEy5zBp378Jg", "a", "a-b_c.d~e:f@g=h+i/j", &long] {
            assert!(is_id(id), "{id}");
        }
        let longer = format!("{long}x");
        for id in [
            "",
            " ",
            "a,b",
            ",",
            "a b",
            "a\n",
            "a\0",
            "a%2Cb",
            "a;b",
            "a&b",
            "a#b",
            "é",
            "a\u{200b}",
            &longer,
        ] {
            assert!(!is_id(id), "{id:?}");
        }
    }

    #[test]
    fn a_field_of_another_type_counts_as_absent() {
        let text = br#"{"logs":[{"messageId":"a","state":"ERROR","url":7,"labels":"x","time":1.5,"label":null,"queueName":"q"}]}"#;
        let page = Page::read(text).unwrap();
        let entry = &page.logs.unwrap()[0];
        assert!(entry.url.get().is_none() && entry.labels.get().is_none());
        assert!(entry.time.get().is_none() && entry.label.get().is_none());
        assert_eq!(entry.queue_name.get().map(String::as_str), Some("q"));
    }
}
