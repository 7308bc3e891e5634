//! What QStash's answer to a bulk operation says. Pure.

use serde_json::Value;

use crate::audit::Outcome;
use crate::qstash::operation::Operation;
use crate::upstream::{decoded, whole_number};

/// As far as an answer was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answered {
    /// The status, also where the body broke off.
    pub(crate) status: Option<u16>,
    /// How many messages it took, or will: `cancelled`, or what an operation of its own has in its place.
    pub(crate) cancelled: Option<u64>,
    /// `actionId`: the bulk action that goes on.
    pub(crate) action_id: Option<String>,
    /// Whether a bulk action goes on whose id cannot be recorded or asked for.
    pub(crate) goes_on_unnamed: bool,
    /// What became of the request, where whoever sent it knows that better than one answer tells.
    pub(crate) result: Option<Outcome>,
    /// The last of the cancels that the guard sent in the place of the request, where not all went well.
    pub(crate) part: Option<Part>,
}

/// One of the cancels by ids that the guard sends in the place of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// How many messages went before it.
    pub(crate) before: u64,
    /// How many ids it has.
    pub(crate) ids: u64,
    /// How many ids were sent so far, with its own.
    pub(crate) sent: u64,
}

/// Reads the answer to a bulk cancel, as [`read_of`] does.
pub(crate) fn read(body: &[u8], coding: Option<&[u8]>) -> Answered {
    read_of(Operation::MessagesBulkCancel, body, coding)
}

/// Reads an answer's body, plain or compressed as its Content-Encoding says (RFC 9110 section 8.4.1). What cannot be
/// read says nothing; decompression stops at [`most`] bytes.
pub(crate) fn read_of(operation: Operation, body: &[u8], coding: Option<&[u8]>) -> Answered {
    let answer = decoded(body, coding, most(operation)).and_then(|plain| serde_json::from_slice::<Value>(&plain).ok());
    let answer = answer.unwrap_or_default();
    // Each field by itself: one that is odd hides no other.
    let (goes_on, id) = match &answer["actionId"] {
        Value::Null => (false, None),
        Value::String(id) => (!id.is_empty(), Some(id)),
        _ => (true, None),
    };
    let action_id = id.filter(|id| goes_on && id.len() <= MOST_ID).cloned();
    Answered {
        cancelled: number(operation, &answer),
        goes_on_unnamed: goes_on && action_id.is_none(),
        action_id,
        ..Answered::default()
    }
}

/// How many messages an answer says were taken (QStash API: Bulk cancel, Bulk delete DLQ, Bulk retry DLQ; Workflow API:
/// Bulk resume, Bulk restart). What is sent again is listed, one entry for each.
fn number(operation: Operation, answer: &Value) -> Option<u64> {
    let entries = |name: &str| answer[name].as_array().map(|entries| entries.len() as u64);
    match operation {
        Operation::DlqBulkDelete | Operation::WorkflowsDlqBulkDelete => whole_number(&answer["deleted"]),
        Operation::DlqBulkRetry => entries("responses"),
        Operation::WorkflowsDlqBulkResume | Operation::WorkflowsDlqBulkRestart => entries("workflowRuns"),
        _ => whole_number(&answer["cancelled"]),
    }
}

/// The most bytes of an operation's answer that are read, compressed and not: those that list have room for as many
/// entries as one call can have ids.
pub(crate) const fn most(operation: Operation) -> usize {
    match operation {
        Operation::DlqBulkRetry | Operation::WorkflowsDlqBulkResume | Operation::WorkflowsDlqBulkRestart => 8 * MOST,
        _ => MOST,
    }
}

/// The most bytes of an answer that is a number.
pub(crate) const MOST: usize = 64 * 1024;
/// The longest id of a bulk action that is believed.
const MOST_ID: usize = 256;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn an_answer_is_read_plain_and_compressed() {
        let json = br#"{"cancelled": 7, "actionId": "ba_1", "more": []}"#;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(json).unwrap();
        let expected = Answered {
            cancelled: Some(7),
            action_id: Some("ba_1".into()),
            ..Answered::default()
        };
        assert_eq!(read(json, None), expected);
        assert_eq!(read(&gzip.finish().unwrap(), Some(b"gzip")), expected);
        // What `brotli` and `zstd` make of the same text.
        assert_eq!(read(BROTLI, Some(b"br")), expected);
        assert_eq!(read(ZSTD, Some(b"zstd")), expected);
    }

    const BROTLI: &[u8] = &[
        0x8b, 0x17, 0x80, 0x7b, 0x22, 0x63, 0x61, 0x6e, 0x63, 0x65, 0x6c, 0x6c, 0x65, 0x64, 0x22, 0x3a, 0x20, 0x37,
        0x2c, 0x20, 0x22, 0x61, 0x63, 0x74, 0x69, 0x6f, 0x6e, 0x49, 0x64, 0x22, 0x3a, 0x20, 0x22, 0x62, 0x61, 0x5f,
        0x31, 0x22, 0x2c, 0x20, 0x22, 0x6d, 0x6f, 0x72, 0x65, 0x22, 0x3a, 0x20, 0x5b, 0x5d, 0x7d, 0x03,
    ];
    const ZSTD: &[u8] = &[
        0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x30, 0x81, 0x01, 0x00, 0x7b, 0x22, 0x63, 0x61, 0x6e, 0x63, 0x65, 0x6c, 0x6c,
        0x65, 0x64, 0x22, 0x3a, 0x20, 0x37, 0x2c, 0x20, 0x22, 0x61, 0x63, 0x74, 0x69, 0x6f, 0x6e, 0x49, 0x64, 0x22,
        0x3a, 0x20, 0x22, 0x62, 0x61, 0x5f, 0x31, 0x22, 0x2c, 0x20, 0x22, 0x6d, 0x6f, 0x72, 0x65, 0x22, 0x3a, 0x20,
        0x5b, 0x5d, 0x7d,
    ];

    #[test]
    fn an_odd_field_hides_no_other() {
        let of = |body: &[u8]| {
            let answered = read(body, None);
            (answered.cancelled, answered.action_id, answered.goes_on_unnamed)
        };
        assert_eq!(of(br#"{"cancelled": 5000, "actionId": 7}"#), (Some(5000), None, true));
        assert_eq!(of(br#"{"cancelled": 5000.0}"#), (Some(5000), None, false));
        assert_eq!(of(br#"{"cancelled": 5, "actionId": ""}"#), (Some(5), None, false));
        assert_eq!(of(br#"{"cancelled": 5, "actionId": null}"#), (Some(5), None, false));
        let long = format!(r#"{{"cancelled": 5, "actionId": "{}"}}"#, "x".repeat(MOST_ID + 1));
        assert_eq!(of(long.as_bytes()), (Some(5), None, true));
        assert_eq!(
            of(br#"{"cancelled": "x", "actionId": "ba_1"}"#),
            (None, Some("ba_1".into()), false)
        );
    }

    #[test]
    fn each_operation_has_its_number_in_a_field_of_its_own() {
        let body =
            br#"{"cancelled": 1, "deleted": 2, "responses": [{}, [{}, {}], {}], "workflowRuns": [{}, {}, {}, {}],
            "cursor": "c"}"#;
        for (operation, number) in [
            (Operation::MessagesBulkCancel, 1),
            (Operation::WorkflowsBulkCancel, 1),
            (Operation::DlqBulkDelete, 2),
            (Operation::WorkflowsDlqBulkDelete, 2),
            (Operation::DlqBulkRetry, 3),
            (Operation::WorkflowsDlqBulkResume, 4),
            (Operation::WorkflowsDlqBulkRestart, 4),
        ] {
            assert_eq!(read_of(operation, body, None).cancelled, Some(number), "{operation}");
            assert_eq!(read_of(operation, br#"{"cursor": "c"}"#, None).cancelled, None);
        }
    }

    #[test]
    fn what_is_no_answer_says_nothing() {
        for body in [
            &b""[..],
            b"OK",
            b"[]",
            b"{\"cancelled\": -1}",
            b"{\"cancelled\": \"7\"}",
            b"\x1f\x8b",
        ] {
            assert_eq!(read(body, Some(b"gzip")), Answered::default());
            assert_eq!(read(body, None), Answered::default());
        }
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(br#"{"cancelled": 7, "x": ""#).unwrap();
        let blanks = vec![b' '; 64 * 1024];
        (0..1000).for_each(|_| gzip.write_all(&blanks).unwrap());
        gzip.write_all(br#""}"#).unwrap();
        assert_eq!(read(&gzip.finish().unwrap(), Some(b"gzip")), Answered::default());
    }
}
