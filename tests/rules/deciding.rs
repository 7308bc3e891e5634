//! What rules decide, as tables over the public interface.

use crate::{NOON, judged, policy, said, table, with_rules};

/// The rules that the documentation shows.
const SHOWN: &str = r#"
- name: billing-touches-only-its-own
  callers: [billing-*]
  operations: [messages.bulk_cancel, dlq.bulk_delete]
  when: '!(cancel.kind == "ids" || (size(cancel.filters.queueName) > 0 && cancel.filters.queueName.all(q, q.startsWith("billing-"))))'
  deny: Name the queues to cancel from; they must be billing's.
- name: ops-drain
  callers: [ops-*]
  when: 'cancel.kind == "filter" && request.time.getHours("Europe/Berlin") < 17'
  bulk_cancel: {max_count: 500}
- name: break-glass
  callers: [incident-commander]
  allow: true
  expires: 2026-12-01T00:00:00Z
- name: stricter-next-month
  mode: monitor
  bulk_cancel: {max_count: 20}
"#;

#[test]
fn the_first_rule_that_holds_decides() {
    table(
        &with_rules(SHOWN.trim()),
        &[
            (
                "billing-cron",
                "DELETE /v2/messages?queueName=billing-a,billing-b&count=20",
                "allow",
            ),
            (
                "billing-cron",
                "DELETE /v2/messages?queueName=billing-a&queueName=mail&count=20",
                "denied_by_rule by billing-touches-only-its-own",
            ),
            (
                "billing-web",
                "DELETE /v2/messages?label=x&count=20",
                "denied_by_rule by billing-touches-only-its-own",
            ),
            ("billing-web", "DELETE /v2/messages?messageIds=a", "allow"),
            // What is not guarded has kind "", and no filters: here the condition holds.
            (
                "billing-web",
                "DELETE /v2/dlq?dlqIds=a",
                "denied_by_rule by billing-touches-only-its-own",
            ),
            ("ops-anna", "DELETE /v2/dlq?dlqIds=a", "allow"),
            (
                "ops-anna",
                "DELETE /v2/messages?label=x&count=500",
                "allow by ops-drain",
            ),
            (
                "ops-anna",
                "DELETE /v2/messages?label=x&count=501",
                "count_over_cap by ops-drain",
            ),
            (
                "ops-anna",
                "DELETE /v2/messages?label=x",
                "uncapped_cancel by ops-drain",
            ),
            (
                "ops-anna",
                "DELETE /v2/messages?count=400",
                "unfiltered_cancel count_over_cap rehearsed unfiltered_cancel count_over_cap by stricter-next-month",
            ),
            ("incident-commander", "DELETE /v2/messages", "allow by break-glass"),
            (
                "somebody",
                "DELETE /v2/messages?label=x&count=50",
                "allow rehearsed count_over_cap by stricter-next-month",
            ),
            ("", "DELETE /v2/messages?label=x&count=20", "allow"),
            ("", "POST /v2/publish/https://example.com", "allow"),
        ],
    );
}

#[test]
fn no_rule_lifts_what_is_said_before_rules() {
    let rules = "- {name: free, allow: true}";
    let yaml = with_rules(rules) + "  operations: {keys.rotate: deny}\n";
    let ids = vec!["x"; 1001].join(",");
    table(
        &yaml,
        &[
            ("a", "DELETE /v2/messages", "allow by free"),
            ("a", "DELETE /v2/messages?count=0", "ambiguous_request"),
            ("a", "DELETE /v2/messages;x", "ambiguous_request"),
            ("a", "DELETE /v2/messages?lable=x", "unknown_parameter"),
            ("a", "POST /v2/keys/rotate", "operation_denied"),
            (
                "a",
                &format!("DELETE /v2/messages?messageIds={ids}"),
                "too_many_message_ids",
            ),
        ],
    );
}

#[test]
fn a_refusal_before_rules_lists_what_they_refuse_too() {
    let rules = r"
- {name: named, callers: [ops-*], deny: Not you.}
- {name: small, bulk_cancel: {max_count: 5}}";
    table(
        &with_rules(rules.trim()),
        &[
            (
                "ops-anna",
                "DELETE /v2/messages?lable=x&count=3",
                "unknown_parameter denied_by_rule by named",
            ),
            (
                "x",
                "DELETE /v2/messages?lable=x&label=y&count=9",
                "unknown_parameter count_over_cap by small",
            ),
            ("x", "DELETE /v2/messages?lable=x&label=y&count=5", "unknown_parameter"),
        ],
    );
}

#[test]
fn own_limits_stand_in_for_those_they_name() {
    let rules = r"
- name: ids
  callers: [billing-*]
  bulk_cancel: {max_message_ids: 2, allowed_filters: [label], require_cap: false}
- name: everything
  callers: [ops-*]
  bulk_cancel: {require_filter: false}
- name: weak
  callers: [incident-*]
  bulk_cancel: {narrowing_filters: [callerIp]}";
    table(
        &with_rules(rules.trim()),
        &[
            ("billing-web", "DELETE /v2/messages?messageIds=a,b", "allow by ids"),
            (
                "billing-web",
                "DELETE /v2/messages?messageIds=a,b,c",
                "too_many_message_ids by ids",
            ),
            ("billing-web", "DELETE /v2/messages?label=a", "allow by ids"),
            ("billing-web", "DELETE /v2/messages?host=a", "filter_not_allowed by ids"),
            // What the rule leaves out is the policy's.
            (
                "billing-web",
                "DELETE /v2/messages?label=a&count=101",
                "count_over_cap by ids",
            ),
            ("ops-anna", "DELETE /v2/messages?count=100", "allow by everything"),
            ("ops-anna", "DELETE /v2/messages", "uncapped_cancel by everything"),
            (
                "incident-commander",
                "DELETE /v2/messages?callerIp=a&count=1",
                "allow by weak",
            ),
            (
                "incident-commander",
                "DELETE /v2/messages?label=a&count=1",
                "unfiltered_cancel by weak",
            ),
        ],
    );
}

#[test]
fn every_variable_is_what_it_says() {
    let cases = [
        (r#"caller.name == "ops-anna""#, true),
        (
            r#"caller.fingerprint == "fa1a8fe2eef8" || size(caller.fingerprint) == 12"#,
            true,
        ),
        (r#"client.ip == "10.1.2.3""#, true),
        (r#"request.method == "DELETE" && request.path == "/v2/messages""#, true),
        (r#"request.time == timestamp("2026-11-24T12:00:00Z")"#, true),
        (
            r#"request.time.getHours() == 12 && request.time.getHours("Europe/Berlin") == 13"#,
            true,
        ),
        (r#"request.time.getDayOfWeek("America/New_York") == 2"#, true),
        (r#"operation == "messages.bulk_cancel""#, true),
        (
            r#"cancel.kind == "filter" && cancel.count == 9 && size(cancel.ids) == 0"#,
            true,
        ),
        (
            r#"cancel.filters.label == ["a", "b"] && cancel.filters.host == []"#,
            true,
        ),
        (r#"cancel.filters["label"].exists(l, l == "b")"#, true),
        (
            r#"cancel.filters.all(name, size(cancel.filters[name]) == 0 || name == "label")"#,
            true,
        ),
        ("cancel.from_date == 5 && cancel.to_date == null", true),
        ("cancel.count != null && cancel.count > 9", false),
        (r#"cancel.filters.label.all(l, l.matches("^[ab]$"))"#, true),
        (r#"matches(caller.name, "^ops-[a-z]+$")"#, true),
        (r#"caller.name.matches("^anna")"#, false),
        (r#"cancel.filters.label.exists(cancel, cancel == "a")"#, true),
        (
            r#"cancel.filters.label.all(l, l + "-" + caller.name == caller.name || l in ["a", "b"])"#,
            true,
        ),
        (r#"cancel.filters.label.map(l, l + "!") == ["a!", "b!"]"#, true),
        (
            r#"cancel.filters.label.exists(l, ["b", "c"].exists(known, l == known))"#,
            true,
        ),
        ("type(cancel.kind) == string", true),
        (r#"cancel.filters.label.filter(l, l != "a") == ["b"]"#, true),
    ];
    for (when, holds) in cases {
        let rules = format!("- name: asked\n  deny: As asked.\n  when: '{when}'");
        let policy = policy(&with_rules(&rules));
        let line = "DELETE //v2/messages?label=a,b&count=9&fromDate=5";
        let expected = if holds { "denied_by_rule by asked" } else { "allow" };
        assert_eq!(said(&judged(&policy, "ops-anna", line, NOON)), expected, "{when}");
    }
}

#[test]
fn who_has_no_name_is_called_as_records_call_them() {
    let rules = r#"
- {name: nobody, callers: [anonymous], when: 'caller.fingerprint == ""', deny: Show a token.}
- {name: unknown, callers: ["token:*"], when: 'caller.name == "token:" + caller.fingerprint', deny: Who are you?}"#;
    table(
        &with_rules(rules.trim()),
        &[
            ("", "DELETE /v2/messages?messageIds=a", "denied_by_rule by nobody"),
            ("x", "DELETE /v2/messages?messageIds=a", "denied_by_rule by unknown"),
            ("ops-anna", "DELETE /v2/messages?messageIds=a", "allow"),
        ],
    );
}

#[test]
fn a_rule_is_skipped_from_the_second_it_expires() {
    let rules = "- {name: brief, allow: true, expires: 2026-12-01T01:00:00+01:00}";
    let policy = policy(&with_rules(rules));
    let at = |time| said(&judged(&policy, "a", "DELETE /v2/messages?label=x", time));
    assert_eq!(at("2026-11-30T23:59:59.999999999Z"), "allow by brief");
    assert_eq!(at("2026-12-01T00:00:00Z"), "uncapped_cancel");
    assert_eq!(at("2036-12-01T00:00:00Z"), "uncapped_cancel");
}

#[test]
fn a_rule_that_fails_while_it_runs_denies() {
    // The sample has one id and one label: two are what it did not see.
    let rules = r#"
- {name: fails, callers: [ops-*], when: 'size(cancel.ids) == 2 && cancel.ids[9] == "x"', allow: true}
- {name: rehearsed, mode: monitor, callers: [billing-*], when: 'size(cancel.ids) == 2 && cancel.ids[9] == "x"', allow: true}
- {name: free, allow: true}"#;
    let yaml = with_rules(rules.trim());
    table(
        &yaml,
        &[
            ("ops-anna", "DELETE /v2/messages?messageIds=a", "allow by free"),
            (
                "ops-anna",
                "DELETE /v2/messages?messageIds=a,b",
                "denied_by_rule by fails",
            ),
            (
                "billing-web",
                "DELETE /v2/messages?messageIds=a,b",
                "allow by free rehearsed denied_by_rule by rehearsed",
            ),
        ],
    );
    let judgement = judged(
        &policy(&yaml),
        "ops-anna",
        "DELETE /v2/messages?messageIds=s3cr3t,b",
        NOON,
    );
    let shown = format!("{:?} {}", judgement.verdict, judgement.rules[0].why());
    assert!(shown.contains("out of bounds") && !shown.contains("s3cr3t"), "{shown}");
}

#[test]
fn what_no_rule_refuses_may_be_read_in_many_ways() {
    for rule in [
        "- {name: no-purge, mode: monitor, operations: [dlq.delete], deny: Keep them.}",
        "- {name: all, operations: [dlq.delete], allow: true}",
    ] {
        table(&with_rules(rule), &[("x", "DELETE /v2/dlq//../abc", "allow")]);
    }
}

#[test]
fn what_rules_refuse_is_read_in_one_way_only() {
    let rules = "- {name: no-purge, operations: [dlq.delete, messages.publish], callers: [ops-*], deny: Keep them.}";
    table(
        &with_rules(rules),
        &[
            ("ops-anna", "DELETE /v2/dlq/abc", "denied_by_rule by no-purge"),
            ("ops-anna", "DELETE /V2//dlq/abc/", "denied_by_rule by no-purge"),
            ("x", "DELETE /v2/dlq/abc", "allow"),
            (
                "ops-anna",
                "DELETE /v2/nothing;x/../dlq/abc;y",
                "denied_by_rule by no-purge",
            ),
            // Judged, this is /v2/abc; another server sees /v2/dlq/abc.
            ("x", "DELETE /v2/dlq//../abc", "ambiguous_request"),
            // All readings of a destination are the same operation.
            (
                "ops-anna",
                "POST /v2/publish/https://example.com//a%20b/../c",
                "denied_by_rule by no-purge",
            ),
            ("x", "POST /v2/publish/https://example.com//a%20b/../c", "allow"),
        ],
    );
}
