//! A trail with a record of each event, the same every time.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::chain::Head;
use super::{Decision, Event, Outcome, Record, SelectionRecord};
use crate::policy::{Code, Violation};
use crate::qstash::operation::Operation;
use crate::qstash::selection::{Kind, Selection};

/// One record of each event.
pub(super) fn records() -> Vec<Record> {
    Event::ALL.iter().map(|event| record(*event)).collect()
}

pub(super) fn record(event: Event) -> Record {
    let request = Record {
        request_id: Some(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001)),
        caller: Some("billing".to_owned()),
        client: "192.0.2.7".parse().ok(),
        operation: Some(Operation::MessagesBulkCancel),
        ..Record::new(event)
    };
    let detail = |text: &str| Record {
        detail: Some(text.to_owned()),
        ..Record::new(event)
    };
    let policy = Some("sha256:0123456789ab".to_owned());
    match event {
        Event::Started => detail("version 0.1.0, upstream https://qstash.upstash.io; a new trail"),
        Event::Stopped => Record::new(event),
        Event::PolicyLoaded => Record {
            policy,
            ..detail("the configuration file changed")
        },
        Event::PolicyRejected => Record {
            error: Some("guard.yaml:7:3: unknown key `max_cuont`".to_owned()),
            ..Record::new(event)
        },
        Event::Denied => Record {
            method: Some("DELETE".to_owned()),
            target: Some(super::redact::target(
                "/v2/messages?lable=x&qstash_token=s",
                Operation::MessagesBulkCancel,
            )),
            selection: Some(SelectionRecord::new(
                &Selection::default(),
                Kind::All,
                SelectionRecord::IDS_OF_A_DENIAL,
            )),
            decision: Some(Decision::Deny),
            code: Some(Code::UnknownParameter),
            violations: vec![
                Violation::new(
                    Code::UnknownParameter,
                    "QStash does not know `lable`; did you mean `label`?",
                ),
                Violation::new(Code::UnfilteredCancel, "Nothing narrows the cancel; name a filter."),
            ],
            policy,
            ..request
        },
        Event::Intent => Record {
            method: Some("DELETE".to_owned()),
            target: Some("/v2/messages?url=https%3A%2F%2Fexample.com%2Fa&count=50".to_owned()),
            selection: Some(SelectionRecord::new(
                &Selection {
                    filters: vec![("url".to_owned(), vec!["https://user:s@example.com/a".to_owned()])],
                    from_date: Some(1_790_000_000_000),
                    to_date: Some(1_790_000_000_001),
                    count: Some(50),
                    r#async: Some(true),
                    ..Selection::default()
                },
                Kind::Filter,
                usize::MAX,
            )),
            decision: Some(Decision::Allow),
            rule: Some("ops-drain".to_owned()),
            policy,
            ..request
        },
        Event::Outcome => Record {
            result: Some(Outcome::Accepted),
            upstream_status: Some(202),
            cancelled: Some(42),
            action_id: Some("ba_1".to_owned()),
            duration_ms: Some(Record::millis(Duration::from_nanos(12_345_678))),
            ..request
        },
        Event::Passed => Record {
            operation: Some(Operation::MessagesPublish),
            method: Some("POST".to_owned()),
            target: Some("/v2/publish/https://example.com/***".to_owned()),
            decision: Some(Decision::WouldDeny),
            code: Some(Code::RateLimited),
            limit: Some("denials".to_owned()),
            ..request
        },
        Event::CapOverrun => Record {
            cancelled: Some(71),
            detail: Some("count allowed 50".to_owned()),
            ..request
        },
        Event::BulkActionFinished => Record {
            action_id: Some("ba_1".to_owned()),
            total: Some(42),
            processed: Some(42),
            ..request
        },
        Event::DenialsSuppressed => Record {
            limit: Some("denials".to_owned()),
            ..detail("1234 denials without a record")
        },
        Event::Rotated => {
            detail("follows audit.00000000000000000001-20261124T171500.000000Z.jsonl (up to record 11, head 00)")
        }
        Event::Pruned => detail("audit.00000000000000000001-20261124T171500.000000Z.jsonl (records 1 to 11, head 00)"),
    }
}

/// The records as a file, one a second from a fixed time on.
pub(super) fn file(records: &[Record]) -> Vec<u8> {
    let begin = Timestamp::from_second(1_795_540_500).expect("a time");
    let mut head = Head::GENESIS;
    let mut bytes = Vec::new();
    for (second, record) in records.iter().enumerate() {
        let time = begin + Duration::from_micros(second as u64 * 1_000_000 + 42);
        let line = record.line(&head, time, "guard-0");
        head = head.followed_by(&line);
        bytes.extend(line);
        bytes.push(b'\n');
    }
    bytes
}
