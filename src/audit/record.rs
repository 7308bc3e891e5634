//! One record of the trail, and the line it becomes. Pure: the writer brings the number, the time and the hash.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde::ser::{Serialize, SerializeMap, Serializer};
use uuid::Uuid;

use super::chain::Head;
use super::event::{Decision, Event, Outcome};
use super::redact::cut;
use super::selection::SelectionRecord;
use crate::policy::{Code, Violation};
use crate::qstash::operation::Operation;

/// What a caller knows of a record; absent fields are left out of the line. Nothing here may hold a credential.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// What happened.
    pub event: Event,
    /// The request, `UUIDv7`.
    pub request_id: Option<Uuid>,
    /// Who asked: a name, `token:` and 12 hex digits, or `anonymous`.
    pub caller: Option<String>,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// The operation that the request names.
    pub operation: Option<Operation>,
    /// The method as sent.
    pub method: Option<String>,
    /// The target, as [`redact::target`](super::redact::target) gives it.
    pub target: Option<String>,
    /// What would be selected.
    pub selection: Option<SelectionRecord>,
    /// What was decided.
    pub decision: Option<Decision>,
    /// The first violation's code.
    pub code: Option<Code>,
    /// All violations.
    pub violations: Vec<Violation>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// The limit that decided.
    pub limit: Option<String>,
    /// `sha256:` and 12 hex digits of the effective policy.
    pub policy: Option<String>,
    /// What became of the request.
    pub result: Option<Outcome>,
    /// The status of the upstream's answer.
    pub upstream_status: Option<u16>,
    /// How many messages were cancelled, by the answer.
    pub cancelled: Option<u64>,
    /// The bulk action that QStash runs by itself.
    pub action_id: Option<String>,
    /// How many messages a bulk action has.
    pub total: Option<u64>,
    /// How many of them it is done with.
    pub processed: Option<u64>,
    /// How long it took, milliseconds; see [`Record::millis`].
    pub duration_ms: Option<f64>,
    /// More, in words.
    pub detail: Option<String>,
    /// What went wrong, in words.
    pub error: Option<String>,
}

impl Record {
    /// Whether the record must come into the trail, even if later, and whether or not anybody waits for it.
    pub(super) fn is_owed(&self) -> bool {
        matches!(
            self.event,
            Event::Started
                | Event::Rotated
                | Event::Outcome
                | Event::CapOverrun
                | Event::BulkActionFinished
                | Event::DenialsSuppressed
                | Event::PolicyLoaded
                | Event::PolicyRejected
        )
    }

    /// A record of an event, all else absent.
    pub fn new(event: Event) -> Self {
        Record {
            event,
            request_id: None,
            caller: None,
            client: None,
            operation: None,
            method: None,
            target: None,
            selection: None,
            decision: None,
            code: None,
            violations: Vec::new(),
            rule: None,
            limit: None,
            policy: None,
            result: None,
            upstream_status: None,
            cancelled: None,
            action_id: None,
            total: None,
            processed: None,
            duration_ms: None,
            detail: None,
            error: None,
        }
    }

    /// The outcome of this intent, which reached the disk when nobody waited for it any more.
    pub(super) fn unsent(&self) -> Self {
        Record {
            request_id: self.request_id,
            caller: self.caller.clone(),
            client: self.client,
            operation: self.operation,
            policy: self.policy.clone(),
            result: Some(Outcome::Unsent),
            error: Some("the intent reached the disk after audit.write_timeout; the request was refused".to_owned()),
            ..Record::new(Event::Outcome)
        }
    }

    /// A duration as `duration_ms` holds it: milliseconds with at most three decimals.
    pub fn millis(duration: Duration) -> f64 {
        let micros = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
        f64::from(micros) / 1000.0
    }

    /// The line of this record behind `head`, without its newline.
    pub(super) fn line(&self, head: &Head, time: Timestamp, instance: &str) -> Vec<u8> {
        let line = Line {
            record: self,
            head,
            time,
            instance,
        };
        // Maps with string keys into a vector: neither the data nor the sink can fail.
        serde_json::to_vec(&line).unwrap_or_default()
    }
}

struct Line<'a> {
    record: &'a Record,
    head: &'a Head,
    time: Timestamp,
    instance: &'a str,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = self.record;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("seq", &(self.head.seq + 1))?;
        map.serialize_entry("time", &format_args!("{:.6}", self.time))?;
        map.serialize_entry("event", record.event.as_str())?;
        map.serialize_entry("instance", self.instance)?;
        macro_rules! optional {
            ($($name:literal: $value:expr;)*) => {
                $(if let Some(value) = $value { map.serialize_entry($name, &value)?; })*
            };
        }
        optional! {
            "request_id": record.request_id.map(|id| id.hyphenated().to_string());
            "caller": record.caller.as_deref().map(cut);
            "client": record.client;
            "operation": record.operation.map(Operation::as_str);
            "method": record.method.as_deref().map(cut);
            "target": record.target.as_deref().map(cut);
            "selection": record.selection.as_ref();
            "decision": record.decision.map(Decision::as_str);
            "code": record.code.map(Code::as_str);
            "violations": (!record.violations.is_empty()).then_some(Violations(&record.violations));
            "rule": record.rule.as_deref();
            "limit": record.limit.as_deref();
            "policy": record.policy.as_deref();
            "result": record.result.map(Outcome::as_str);
            "upstream_status": record.upstream_status;
            "cancelled": record.cancelled;
            "action_id": record.action_id.as_deref().map(cut);
            "total": record.total;
            "processed": record.processed;
            "duration_ms": record.duration_ms;
            "detail": record.detail.as_deref();
            "error": record.error.as_deref().map(cut);
        }
        map.serialize_entry("prev", &format_args!("{}", self.head.hash))?;
        map.end()
    }
}

struct Violations<'a>(&'a [Violation]);

impl Serialize for Violations<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Entry<'a> {
            code: &'a str,
            message: std::borrow::Cow<'a, str>,
        }
        serializer.collect_seq(self.0.iter().map(|v| Entry {
            code: v.code.as_str(),
            message: cut(&v.message),
        }))
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
