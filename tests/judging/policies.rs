//! Other policies than the default one.

use qstash_guard::policy::{CapEnforcedBy, MAX_MESSAGE_IDS, Mode, Policy, Treatment};
use qstash_guard::qstash::selection::Parameters;

use super::{Sent, bounded, named_and_said, said, table, treating};

/// Rows of a query and its outcome under a policy.
#[track_caller]
fn judged(policy: &Policy, rows: &[(&str, &str)]) {
    let lines: Vec<(String, &str)> = rows
        .iter()
        .map(|&(query, expected)| (format!("DELETE /v2/messages?{query}"), expected))
        .collect();
    table(
        lines.iter().map(|(line, expected)| (Sent::line(line), *expected)),
        |sent| said(&sent.judged(policy)),
    );
}

#[test]
fn without_a_required_filter_a_cap_is_enough() {
    judged(
        &bounded(|rules| rules.require_filter = false),
        &[
            ("", "uncapped_cancel"),
            ("count=100", "allow"),
            ("count=101", "count_over_cap"),
            ("fromDate=0&count=1", "allow"),
            ("label=x", "uncapped_cancel"),
            ("messageIds=", "uncapped_cancel"),
            ("messageIds=a", "allow"),
            ("lable=x&count=1", "unknown_parameter"),
        ],
    );
}

#[test]
fn without_a_required_cap_a_filter_is_enough() {
    judged(
        &bounded(|rules| rules.require_cap = false),
        &[
            ("", "unfiltered_cancel"),
            ("label=x", "allow"),
            ("label=x&count=100", "allow"),
            ("label=x&count=101", "count_over_cap"),
            ("count=101", "unfiltered_cancel count_over_cap"),
        ],
    );
}

#[test]
fn without_either_only_form_counts() {
    let policy = bounded(|rules| {
        rules.require_filter = false;
        rules.require_cap = false;
    });
    judged(
        &policy,
        &[
            ("", "allow"),
            ("count=x", "ambiguous_request"),
            ("lable=x", "unknown_parameter"),
        ],
    );
}

#[test]
fn other_bounds() {
    let policy = bounded(|rules| {
        rules.max_count = 5;
        rules.max_message_ids = 2;
    });
    judged(
        &policy,
        &[
            ("label=x&count=5", "allow"),
            ("label=x&count=6", "count_over_cap"),
            ("messageIds=a,b", "allow"),
            ("messageIds=a,b,c", "too_many_message_ids"),
        ],
    );
    // No policy allows more ids than QStash takes.
    let policy = bounded(|rules| rules.max_message_ids = 5000);
    let ids = |count| format!("messageIds={}", vec!["a"; count].join(","));
    judged(
        &policy,
        &[
            (&ids(MAX_MESSAGE_IDS), "allow"),
            (&ids(MAX_MESSAGE_IDS + 1), "too_many_message_ids"),
        ],
    );
}

#[test]
fn allowed_filters() {
    let policy = bounded(|rules| rules.allowed_filters = Some(vec!["queueName".to_owned(), "label".to_owned()]));
    judged(
        &policy,
        &[
            ("queueName=q&count=1", "allow"),
            ("queueName=q&label=l&count=1", "allow"),
            ("url=u&count=1", "filter_not_allowed"),
            ("url=u&host=h&count=1", "filter_not_allowed"),
            ("queueName=q&url=u&count=1", "filter_not_allowed"),
            ("queueName=q&callerIp=i&count=1", "filter_not_allowed"),
            ("callerIp=i", "unfiltered_cancel filter_not_allowed uncapped_cancel"),
            ("url=u", "filter_not_allowed uncapped_cancel"),
            ("url=u&count=101", "filter_not_allowed count_over_cap"),
            // An empty one is absent, and dates are no filters of the list.
            ("queueName=q&url=&count=1", "allow"),
            ("queueName=q&fromDate=0&count=1", "allow"),
            ("messageIds=a", "allow"),
        ],
    );
    let none = bounded(|rules| rules.allowed_filters = Some(Vec::new()));
    judged(
        &none,
        &[("label=x&count=1", "filter_not_allowed"), ("messageIds=a", "allow")],
    );
}

#[test]
fn narrowing_filters() {
    let policy = bounded(|rules| rules.narrowing_filters = vec!["queueName".to_owned(), "callerIp".to_owned()]);
    judged(
        &policy,
        &[
            ("queueName=q&count=1", "allow"),
            ("callerIp=i&count=1", "allow"),
            ("callerIP=i&count=1", "unfiltered_cancel"),
            ("label=l&count=1", "unfiltered_cancel"),
            ("label=l&queueName=q&count=1", "allow"),
        ],
    );
    let none = bounded(|rules| rules.narrowing_filters = Vec::new());
    judged(
        &none,
        &[("queueName=q&count=1", "unfiltered_cancel"), ("messageIds=a", "allow")],
    );
}

#[test]
fn extra_parameters_pass_and_narrow_nothing() {
    let mut policy = bounded(|rules| rules.parameters = Parameters::messages(vec!["region".to_owned()]));
    // The guard cannot apply it, and without it the cancel would take more.
    policy.caps.enforced_by = CapEnforcedBy::Guard;
    judged(
        &policy,
        &[
            ("region=eu&label=x&count=1", "filter_not_resolvable"),
            ("region=eu&count=1", "unfiltered_cancel filter_not_resolvable"),
            ("messageIds=a&region=eu", "allow"),
        ],
    );
    policy.caps.enforced_by = CapEnforcedBy::Qstash;
    judged(
        &policy,
        &[
            ("region=eu&label=x&count=1", "allow"),
            ("region=eu&region=us&label=x&count=1", "allow"),
            ("region=eu&count=1", "unfiltered_cancel"),
            ("region=eu", "unfiltered_cancel uncapped_cancel"),
            ("messageIds=a&region=eu", "allow"),
            ("Region=eu&label=x&count=1", "unknown_parameter"),
            ("region=%&messageIds=a", "ambiguous_request"),
        ],
    );
    let body = |body| {
        said(
            &Sent {
                body,
                ..Sent::line("DELETE /v2/messages")
            }
            .judged(&policy),
        )
    };
    assert_eq!(body(r#"{"messageIds":["a"],"region":{"any":["thing",null]}}"#), "allow");
    assert_eq!(body(r#"{"region":"eu","count":1}"#), "unfiltered_cancel");
    assert_eq!(
        body(r#"{"messageIds":["a"],"region":1,"region":2}"#),
        "ambiguous_request"
    );
}

#[test]
fn monitor_mode_says_what_it_would_do() {
    let policy = Policy {
        mode: Mode::Monitor,
        ..Policy::default()
    };
    judged(
        &policy,
        &[
            ("", "would unfiltered_cancel uncapped_cancel"),
            ("count=0&lable=x", "would ambiguous_request unknown_parameter"),
            ("messageIds=a", "allow"),
        ],
    );
}

#[test]
fn a_bulk_cancel_may_be_allowed_or_denied_as_a_whole() {
    let rows =
        |line| named_and_said(&Sent::line(line).judged(&treating(&[("messages.bulk_cancel", Treatment::Allow)])));
    assert_eq!(rows("DELETE /v2/messages"), "messages.bulk_cancel: allow");
    assert_eq!(rows("DELETE /v2/messages;x"), "messages.bulk_cancel: ambiguous_request");
    let denied = treating(&[("*.bulk_*", Treatment::Deny)]);
    let rows = |line| named_and_said(&Sent::line(line).judged(&denied));
    assert_eq!(
        rows("DELETE /v2/messages?messageIds=a"),
        "messages.bulk_cancel: operation_denied"
    );
    assert_eq!(rows("DELETE /v2/messages%20"), "unknown: ambiguous_request");
    assert_eq!(rows("DELETE /v2/dlq/"), "dlq.bulk_delete: operation_denied");
    assert_eq!(rows("DELETE /v2/dlq/d"), "dlq.delete: allow");
    assert_eq!(
        rows("POST /v2/workflows/dlq/resume"),
        "workflows.dlq.bulk_resume: operation_denied"
    );
}
