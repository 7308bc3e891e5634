//! Whatever is decided, deciding its record again under the same policy gives the same.

use std::net::Ipv4Addr;
use std::sync::LazyLock;

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::limits::Counted;
use super::{Candidate, Doubt, Ruled, decide, is_guarded};
use crate::audit::chain::Head;
use crate::audit::read::Entry;
use crate::audit::{Decision, Event, Record, SelectionRecord, redact};
use crate::policy::rules::{Action, Condition, Rule, Rules};
use crate::policy::{
    BulkCancel, Caller, Callers, Context, Judgement, Mode, Operations, Policy, Refusal, Request, Treatment, Verdict,
    judge,
};
use crate::qstash::credential::{Fingerprint, TokenHash};
use crate::qstash::operation::Operation;
use crate::qstash::selection::Parameters;

const TIME: &str = "2026-11-24T17:15:00.000042Z";

fn rule(name: &str, when: Option<&str>, action: Action) -> Rule {
    let operations = vec![Operation::MessagesBulkCancel];
    let compiled = |text| Condition::compile(text, &operations, |_| true).expect("a condition");
    Rule {
        name: name.into(),
        callers: None,
        when: when.map(compiled),
        operations,
        action,
        expires: None,
        mode: Mode::Enforce,
    }
}

fn ruled(rules: Vec<Rule>) -> Policy {
    Policy {
        rules: Rules::new(rules),
        callers: Callers::new([("billing".to_owned(), TokenHash::of(b"billing"))]),
        ..Policy::default()
    }
}

/// Policies of every kind: strict, lax, rehearsing, with rules that look at all that a record holds in full.
static POLICIES: LazyLock<Vec<Policy>> = LazyLock::new(|| {
    let bounds = |bulk_cancel: BulkCancel| Policy {
        bulk_cancel,
        ..Policy::default()
    };
    let treated = |treatment| Policy {
        operations: Operations::compile(&[("messages.bulk_cancel", treatment)]).expect("operations"),
        ..Policy::default()
    };
    let for_billing = |rule: Rule| Rule {
        callers: Some(vec!["bill*".to_owned()]),
        ..rule
    };
    let own = BulkCancel {
        max_count: 500,
        ..BulkCancel::default()
    };
    let numbers = r#"cancel.count != null && cancel.count > 50 && cancel.kind == "filter""#;
    let dates = "cancel.from_date != null && cancel.from_date < 5";
    let labels = r#"cancel.filters.label.exists(l, l.startsWith("a"))"#;
    let fails = r#"size(cancel.filters.label) > 20 && cancel.filters.label[290] == "b""#;
    vec![
        Policy::default(),
        Policy {
            mode: Mode::Monitor,
            ..Policy::default()
        },
        bounds(BulkCancel {
            require_filter: false,
            require_cap: false,
            allowed_filters: Some(vec!["label".to_owned()]),
            ..BulkCancel::default()
        }),
        bounds(BulkCancel {
            max_count: 10,
            max_message_ids: 2,
            parameters: Parameters::messages(vec!["shard".to_owned()]),
            narrowing_filters: vec!["callerIp".to_owned()],
            ..BulkCancel::default()
        }),
        treated(Treatment::Deny),
        ruled(vec![
            rule("numbers", Some(numbers), Action::Deny("No.".to_owned())),
            for_billing(rule("own", None, Action::BulkCancel(Box::new(own)))),
            rule("dates", Some(dates), Action::Allow),
        ]),
        ruled(vec![
            Rule {
                mode: Mode::Monitor,
                ..rule("rehearsed", Some(labels), Action::Deny("No.".to_owned()))
            },
            for_billing(rule("fails", Some(fails), Action::Allow)),
        ]),
        Policy {
            mode: Mode::Monitor,
            ..ruled(vec![rule("numbers", Some(numbers), Action::Deny("No.".to_owned()))])
        },
    ]
});

/// What the layers write of a request: an intent, or a denial.
fn record(policy: &Policy, request: &Request<'_>, target: &str, caller: &Caller, judgement: Judgement) -> Record {
    let selection = |most| {
        let (reading, kind) = (judgement.reading.as_ref()?, judgement.kind?);
        Some(SelectionRecord::new(&reading.selection, kind, most))
    };
    let (event, decision, refusal) = match (judgement.verdict, judgement.rehearsed) {
        (Verdict::Deny(refusal), _) => (Event::Denied, Decision::Deny, Some(refusal)),
        (Verdict::WouldDeny(_, refusal), _) | (Verdict::Allow(_), Some(refusal)) => {
            (Event::Intent, Decision::WouldDeny, Some(refusal))
        }
        (Verdict::Allow(_), None) => (Event::Intent, Decision::Allow, None),
    };
    let most = if event == Event::Denied {
        SelectionRecord::IDS_OF_A_DENIAL
    } else {
        usize::MAX
    };
    let rule = match &refusal {
        Some(refusal) => refusal.rule().cloned(),
        None => judgement.rule.clone(),
    };
    Record {
        caller: Some(caller.name.to_string()),
        client: Some(Ipv4Addr::LOCALHOST.into()),
        operation: Some(judgement.operation),
        method: Some(request.method.to_owned()),
        target: Some(redact::target(target, judgement.operation)),
        selection: selection(most),
        decision: Some(decision),
        code: refusal.as_ref().map(Refusal::code),
        violations: refusal.iter().flat_map(Refusal::violations).cloned().collect(),
        rule: rule.map(|rule| rule.to_string()),
        policy: Some(policy.digest.clone()),
        ..Record::new(event)
    }
}

fn values() -> impl Strategy<Value = String> {
    let plain = [
        "a",
        "a%20b",
        "5",
        "50",
        "500",
        "1001",
        "0",
        "",
        "%00",
        "a,b",
        "***",
        "https://u:p@h/x",
        "true",
        "%5B",
        "…",
    ];
    prop_oneof![
        4 => select(plain.to_vec()).prop_map(str::to_owned),
        1 => (1..300_usize).prop_map(|ids| vec!["msg_1"; ids].join(",")),
        1 => "[a-zA-Z0-9%._-]{0,12}",
    ]
}

fn pairs() -> impl Strategy<Value = String> {
    let names = [
        "label",
        "messageIds",
        "count",
        "queueName",
        "url",
        "callerIp",
        "fromDate",
        "toDate",
        "async",
        "shard",
        "labl",
        "a`+is+no+parameter",
        "a-name-that-is-longer-than-any",
        "",
    ];
    (select(names.to_vec()), values()).prop_map(|(name, value)| format!("{name}={value}"))
}

fn bodies() -> impl Strategy<Value = String> {
    let fixed = [
        "",
        "",
        "",
        "{}",
        "no JSON",
        r#"{"messageIds":[]}"#,
        r#"{"messageIds":["a","b"],"count":3}"#,
        r#"{"label":"a","count":5}"#,
        r#"{"label":"a","label":"b"}"#,
        r#"{"shard":1,"queueName":["q"],"count":500}"#,
        r#"{"labl":null,"count":"5"}"#,
    ];
    select(fixed.to_vec()).prop_map(str::to_owned)
}

fn paths() -> impl Strategy<Value = &'static str> {
    select(vec![
        "/v2/messages",
        "/v2/messages",
        "/v2/messages",
        "/v2/messages/",
        "//V2/messages",
        "/v2/%2e/messages",
    ])
}

fn callers() -> impl Strategy<Value = Caller> {
    let token = Caller {
        name: format!("token:{}", Fingerprint::of(b"other")).into(),
        fingerprint: Some(Fingerprint::of(b"other")),
    };
    let billing = Caller {
        name: "billing".into(),
        fingerprint: Some(Fingerprint::of(b"billing")),
    };
    select(vec![Caller::anonymous(), token, billing])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn a_record_is_decided_as_its_request_was(
        number in 0..POLICIES.len(),
        path in paths(),
        query in vec(pairs(), 0..5),
        body in bodies(),
        caller in callers(),
    ) {
        let policy = &POLICIES[number];
        let query = query.join("&");
        let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let request = Request {
            method: "DELETE",
            path: path.as_bytes(),
            query: Some(query.as_bytes()),
            overridden: false,
            body: body.as_bytes(),
            content_encoded: false,
        };
        let context = Context {
            caller: &caller,
            client: Ipv4Addr::LOCALHOST.into(),
            time: TIME.parse::<Timestamp>().expect("a time"),
        };
        let record = record(policy, &request, &target, &caller, judge(policy, &request, &context));
        let line = record.line(&Head::GENESIS, context.time, "guard-0");
        let entry = Entry::parse(&line).expect("a record");
        prop_assert!(is_guarded(&entry, policy));
        let candidate = Candidate { policy, limits: &[] };
        let known_by_name = &*caller.name != "billing" || policy.callers.is_named("billing");
        match decide(&entry, candidate, &mut Counted::new(candidate)) {
            Ok(after) => {
                let before = Ruled::recorded(&entry);
                prop_assert_eq!(after.refused, before.refused, "{:?}", entry);
                // A request without a selection is refused under every policy that reads it, for whatever reason.
                if entry.selection.is_some() {
                    prop_assert_eq!(&after.code, &before.code, "{:?}", entry);
                    // Whether a rule had a word beside an odd path is not decided again: it changes nothing.
                    let odd_path = policy.mode == Mode::Monitor && path.contains('%');
                    prop_assert!(after == before || odd_path, "{after:?} {entry:?}");
                }
            }
            // A parameter that has too long a name to be recorded, where it may be one that is known.
            Err(Doubt::Parameter) => prop_assert!(query.contains("longer-than-any")),
            Err(Doubt::Cut) => prop_assert!(query.contains("***")),
            Err(doubt) => prop_assert!(!known_by_name, "{doubt}: {entry:?}"),
        }
    }
}
