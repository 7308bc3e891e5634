use std::time::Duration;

use super::super::samples;
use super::super::selection::SelectionRecord;
use super::Record;
use crate::qstash::selection::{Kind, Selection};

#[test]
fn a_line_of_each_event() {
    let lines = String::from_utf8(samples::file(&samples::records())).expect("UTF-8");
    insta::assert_snapshot!(lines);
}

#[test]
fn durations_have_three_decimals_at_most() {
    let shown = |nanos| serde_json::to_string(&Record::millis(Duration::from_nanos(nanos))).expect("a number");
    assert_eq!(shown(1_999), "0.001");
    assert_eq!(shown(12_345_678), "12.345");
    assert_eq!(shown(3_000_000_000), "3000.0");
}

#[test]
fn ids_are_limited_and_counted() {
    let ids: Vec<String> = (0..3).map(|id| format!("msg_{id}")).chain(["x".repeat(2048)]).collect();
    let selection = Selection {
        ids,
        ..Selection::default()
    };
    let json = |max| serde_json::to_string(&SelectionRecord::new(&selection, Kind::Ids, max)).expect("JSON");
    assert_eq!(json(2), r#"{"kind":"ids","ids":["msg_0","msg_1"],"ids_total":4}"#);
    assert!(json(usize::MAX).contains("xxx…(2048 bytes)\"],\"ids_total\":4}"));
}
