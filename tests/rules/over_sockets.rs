//! Rules through the real binary: what they refuse never reaches the upstream, and answers, records and metrics name
//! them.

use serde_json::Value;

use crate::callers;
use crate::support::{Answer, Guard, Upstream, assert_denied, assert_forwarded, request};

const RULES: &str = r#"
  rules:
    - {name: no-night-work, callers: [ops-*], when: 'cancel.filters.label.exists(l, l == "night")', deny: Labels of the night are not for ops; ask whoever is on call.}
    - {name: ops-drain, callers: [ops-*], bulk_cancel: {max_count: 500}}
    - {name: break-glass, callers: [incident-commander], allow: true}
    - {name: keep-queues, operations: [queues.delete], callers: [billing-*], deny: Billing keeps its queues.}
    - {name: fails, callers: [billing-web], when: 'size(cancel.ids) == 2 && cancel.ids[9] == "x"', deny: Never told.}
    - {name: stricter, mode: monitor, bulk_cancel: {max_count: 20}}
    - {name: watch-deletes, mode: monitor, operations: [queues.delete], deny: Would be refused some day.}
"#;

fn start(more: &str) -> (Upstream, Guard) {
    let upstream = Upstream::json(r#"{"cancelled":3}"#);
    let yaml = format!("rate_limits: []\n{}policy:{RULES}{more}", callers());
    let guard = Guard::start(&upstream.url(), &yaml);
    (upstream, guard)
}

fn send(guard: &Guard, token: &str, method: &str, target: &str) -> Answer {
    let bearer = format!("Authorization: Bearer {token}");
    request(guard.address, method, target, &[&bearer], b"")
}

/// A refusal, all of it: nothing upstream, one record, the rule in answer and record.
#[track_caller]
fn assert_refused(setup: &(Upstream, Guard), sent: (&str, &str, &str), codes: &[&str], rule: &str) -> Value {
    let (upstream, guard) = setup;
    let (requests, before) = (upstream.requests().len(), guard.records().len());
    let answer = send(guard, sent.0, sent.1, sent.2);
    let record = assert_denied(guard, before, &answer, 403, codes);
    assert_eq!(upstream.requests().len(), requests, "{}", sent.2);
    assert_eq!(answer.json()["rule"], rule);
    assert_eq!((&record["rule"], &record["caller"]), (&rule.into(), &sent.0.into()));
    record
}

#[test]
fn what_a_rule_refuses_stays_here_and_is_named() {
    let setup = start("");
    let night = ("ops-anna", "DELETE", "/v2/messages?label=night&count=5");
    let record = assert_refused(&setup, night, &["denied_by_rule"], "no-night-work");
    assert_eq!(record["selection"]["kind"], "filter");
    let message = "Labels of the night are not for ops; ask whoever is on call.";
    assert_eq!(record["violations"][0]["message"], message);
    // By the table, under the rule's own limits.
    let large = ("ops-anna", "DELETE", "/v2/messages?label=x&count=501");
    assert_refused(&setup, large, &["count_over_cap"], "ops-drain");
    // Unguarded, and refused without its body being read.
    let queue = ("billing-cron", "DELETE", "/v2/queues/mail");
    let record = assert_refused(&setup, queue, &["denied_by_rule"], "keep-queues");
    assert_eq!(
        (&record["operation"], &record["selection"]),
        (&"queues.delete".into(), &Value::Null)
    );
    // It fails while it runs, and so denies; what it compared is told nobody.
    let failing = ("billing-web", "DELETE", "/v2/messages?messageIds=s3cr3t,b");
    let record = assert_refused(&setup, failing, &["denied_by_rule"], "fails");
    assert!(!record["violations"].to_string().contains("s3cr3t"));
    let denied = r#"code="denied_by_rule""#;
    assert_eq!(setup.1.metric("qstash_guard_requests_total", &[denied]), 3);
    let (_, log) = setup.1.stop();
    let line = log.lines().find(|line| line.contains("no-night-work")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(
        (&line["message"], &line["rule"]),
        (&"denied".into(), &"no-night-work".into())
    );
}

#[test]
fn what_a_rule_lets_through_arrives_and_is_recorded_with_it() {
    let (upstream, guard) = start("");
    for (token, target, rule) in [
        ("ops-anna", "/v2/messages?label=x&count=400", "ops-drain"),
        ("incident-commander", "/v2/messages", "break-glass"),
    ] {
        let before = guard.records().len();
        assert_eq!(send(&guard, token, "DELETE", target).status(), 202);
        assert_eq!(
            upstream.requests().last().unwrap().line(),
            format!("DELETE {target} HTTP/1.1")
        );
        let (intent, outcome) = assert_forwarded(&guard, before);
        assert_eq!((&intent["decision"], &intent["rule"]), (&"allow".into(), &rule.into()));
        assert_eq!((&intent["caller"], &outcome["cancelled"]), (&token.into(), &3.into()));
    }
    // Named callers are counted by name, all others together.
    assert_eq!(
        send(&guard, "a-stranger", "DELETE", "/v2/messages?messageIds=a").status(),
        202
    );
    let cancelled = |caller: &str| {
        let label = format!("caller=\"{caller}\"");
        guard.metric("qstash_guard_cancelled_messages_total", &[&label])
    };
    assert_eq!(
        (
            cancelled("ops-anna"),
            cancelled("incident-commander"),
            cancelled("other")
        ),
        (3, 3, 3)
    );
    let (_, metrics) = guard.admin("/metrics");
    assert!(!metrics.contains("token:"), "{metrics}");
}

#[test]
fn what_a_monitored_rule_would_refuse_goes_on_and_is_recorded() {
    let (upstream, guard) = start("");
    let before = guard.records().len();
    assert_eq!(
        send(&guard, "x", "DELETE", "/v2/messages?label=x&count=50").status(),
        202
    );
    let (intent, _) = assert_forwarded(&guard, before);
    assert_eq!(
        (&intent["decision"], &intent["rule"], &intent["code"]),
        (&"would_deny".into(), &"stricter".into(), &"count_over_cap".into())
    );
    assert_eq!(send(&guard, "x", "DELETE", "/v2/queues/mail").status(), 202);
    let [passed] = guard.wait_for("passed", 1).try_into().unwrap();
    assert_eq!(
        (&passed["decision"], &passed["rule"], &passed["code"]),
        (&"would_deny".into(), &"watch-deletes".into(), &"denied_by_rule".into())
    );
    assert_eq!(upstream.requests().len(), 2);
    let would = r#"decision="would_deny""#;
    assert_eq!(guard.metric("qstash_guard_requests_total", &[would]), 2);
}

#[test]
fn limits_are_charged_whatever_a_monitored_rule_says() {
    let upstream = Upstream::json(r#"{"cancelled":3}"#);
    let limit = "{name: few, applies_to: [messages.bulk_cancel], per: caller, unit: requests, rate: 1/h, burst: 1}";
    let yaml = format!("rate_limits: [{limit}]\n{}policy:{RULES}", callers());
    let guard = Guard::start(&upstream.url(), &yaml);
    let target = "/v2/messages?label=x&count=50";
    assert_eq!(send(&guard, "x", "DELETE", target).status(), 202);
    assert_eq!(send(&guard, "x", "DELETE", target).status(), 429);
    // Each caller has a bucket of its own, by its name.
    assert_eq!(send(&guard, "billing-web", "DELETE", target).status(), 202);
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn a_policy_that_monitors_lets_pass_what_rules_refuse() {
    let (upstream, guard) = start("  mode: monitor\n");
    let before = guard.records().len();
    assert_eq!(
        send(&guard, "ops-anna", "DELETE", "/v2/messages?label=night&count=5").status(),
        202
    );
    let (intent, _) = assert_forwarded(&guard, before);
    assert_eq!(
        (&intent["decision"], &intent["rule"]),
        (&"would_deny".into(), &"no-night-work".into())
    );
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_caller_is_known_by_a_token_in_the_query_too() {
    let (upstream, guard) = start("");
    let target = "/v2/messages?label=x&count=400";
    let answer = request(
        guard.address,
        "DELETE",
        &format!("{target}&qstash_token=ops-anna"),
        &[],
        b"",
    );
    assert_eq!(answer.status(), 202);
    assert_eq!(upstream.requests()[0].line(), format!("DELETE {target} HTTP/1.1"));
    let [intent] = guard.records_of("intent").try_into().unwrap();
    assert_eq!(
        (&intent["caller"], &intent["rule"]),
        (&"ops-anna".into(), &"ops-drain".into())
    );
}

#[test]
fn a_rule_that_is_over_is_logged_at_the_start() {
    let upstream = Upstream::json("{}");
    let yaml = "policy: {rules: [{name: brief, deny: x, expires: 2020-01-01T00:00:00Z}]}";
    let guard = Guard::start(&upstream.url(), yaml);
    assert_eq!(send(&guard, "x", "DELETE", "/v2/messages?messageIds=a").status(), 202);
    let (_, log) = guard.stop();
    let warned = log
        .lines()
        .any(|line| line.contains("WARN") && line.contains("the rule `brief` has expired"));
    assert!(warned, "{log}");
}

/// A head may bring tens of thousands of values; no condition goes through them.
#[test]
fn a_condition_is_not_evaluated_over_more_values_than_it_may_take() {
    let upstream = Upstream::json("{}");
    let rule = "{name: labels, when: 'cancel.filters.label.all(l, l != \"x\")', allow: true}";
    let guard = Guard::start(&upstream.url(), &format!("policy: {{rules: [{rule}]}}"));
    let target = |number: usize| format!("/v2/messages?count=5&label={}", vec!["a"; number].join(","));
    assert_eq!(send(&guard, "x", "DELETE", &target(1000)).status(), 202);
    let answer = send(&guard, "x", "DELETE", &target(1001));
    assert_eq!((answer.status(), &answer.json()["rule"]), (403, &"labels".into()));
    assert_eq!(upstream.requests().len(), 1);
}
