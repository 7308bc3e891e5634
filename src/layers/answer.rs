//! What QStash's answer to a bulk operation says. Pure.

use serde::Deserialize;

use crate::audit::Outcome;
use crate::upstream::decoded;

/// As far as an answer was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answered {
    /// The status, also where the body broke off.
    pub(crate) status: Option<u16>,
    /// `cancelled`: how many messages it took, or will.
    pub(crate) cancelled: Option<u64>,
    /// `actionId`: the bulk action that goes on.
    pub(crate) action_id: Option<String>,
    /// What became of the request, where whoever sent it knows that better than one answer tells.
    pub(crate) result: Option<Outcome>,
}

/// Reads an answer's body, plain or compressed as its Content-Encoding says (RFC 9110 section 8.4.1). What cannot be
/// read says nothing; decompression stops at [`MOST`] bytes.
pub(crate) fn read(body: &[u8], coding: Option<&[u8]>) -> Answered {
    let answer = decoded(body, coding, MOST)
        .and_then(|plain| serde_json::from_slice::<Answer>(&plain).ok())
        .unwrap_or_default();
    Answered {
        cancelled: answer.cancelled,
        action_id: answer.action_id.filter(|id| !id.is_empty() && id.len() <= MOST_ID),
        ..Answered::default()
    }
}

#[derive(Default, Deserialize)]
struct Answer {
    cancelled: Option<u64>,
    #[serde(rename = "actionId")]
    action_id: Option<String>,
}

/// The most bytes of an answer that are read, compressed and not.
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
