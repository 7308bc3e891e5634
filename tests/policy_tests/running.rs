//! Tests that are run.

use std::path::Path;

use crate::support::Folder;
use crate::{test, without_digests};

/// The upstream is not the hosted one, so that no warning stands beside what is tested.
const CONFIG: &str = r#"
upstream: {url: "http://127.0.0.1:9"}
policy:
  rules:
    - {name: no-queues, callers: ["billing-*"], when: 'size(cancel.filters.queueName) > 0', deny: Ask first.}
    - {name: drain, callers: [ops], when: 'request.time.getHours() < 17', bulk_cancel: {max_count: 500}}
    - {name: old, allow: true, expires: 2025-01-01T00:00:00Z}
    - {name: tomorrow, mode: monitor, bulk_cancel: {max_count: 10}}
    - {name: never, callers: [nobody], allow: true}
"#;

/// One test in a file.
fn one(request: &str, expect: &str) -> String {
    format!("tests:\n  - name: it\n    request: {{{request}}}\n    expect: {{{expect}}}\n")
}

/// Asserts that a request meets what is expected, and that it does not meet something else.
#[track_caller]
fn assert_meets(config: &str, request: &str, expect: &str) {
    let folder = Folder::new();
    folder.write("guard.yaml", config);
    folder.write("it.test.yaml", &one(request, expect));
    let (code, out, err) = test(&folder, &["--config", "guard.yaml", "it.test.yaml"]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{request}: {out}");
    assert!(out.ends_with("\n1 passed, 0 failed\n"), "{out}");
    let other = if expect.contains("allow") {
        "decision: deny"
    } else {
        "decision: allow"
    };
    folder.write("it.test.yaml", &one(request, other));
    let (code, out, _) = test(&folder, &["--config", "guard.yaml", "it.test.yaml"]);
    assert_eq!(code, Some(1), "{request}: {out}");
    assert!(out.ends_with("\n0 passed, 1 failed\n"), "{out}");
}

#[test]
fn every_part_of_a_request_counts() {
    for (request, expect) in [
        ("target: /v2/messages", "decision: deny, code: unfiltered_cancel"),
        ("method: GET, target: /v2/messages", "decision: allow"),
        ("target: '/v2/messages?label=a&count=5'", "decision: allow"),
        (
            "target: 'https://qstash.upstash.io/v2/messages?label=a&count=5'",
            "decision: allow",
        ),
        ("target: /v2/messages, body: {label: a, count: 5}", "decision: allow"),
        (
            "target: /v2/messages, body: '{\"label\":\"a\",\"count\":5}'",
            "decision: allow",
        ),
        (
            "target: /v2/messages, body: {label: [a, b], fromDate: 1, toDate: null, count: 5, async: true}",
            "decision: allow",
        ),
        ("target: /v2/messages, body: {count: 1.5}", "code: ambiguous_request"),
        ("target: /v2/messages, body: text", "code: unsupported_body"),
        (
            "target: '/v2/messages?label=a&count=5', body: {}",
            "code: ambiguous_request",
        ),
        (
            "target: /v2/messages, body: {label: a, count: 5}, headers: {Content-Encoding: gzip}",
            "code: unsupported_body",
        ),
        (
            "method: POST, target: /v2/messages, headers: {X-HTTP-Method-Override: DELETE}",
            "code: ambiguous_request",
        ),
        (
            "target: '/v2/messages?label=a&count=5', headers: {Host: [a, b]}",
            "code: malformed_request",
        ),
        (
            "target: '/v2/messages?label=a&count=5&qstash_token=one', headers: {Authorization: Bearer two}",
            "code: conflicting_credentials",
        ),
        (
            "target: '/v2/messages?queueName=q&count=5', caller: billing-1",
            "decision: deny, code: denied_by_rule, rule: no-queues",
        ),
        ("target: '/v2/messages?queueName=q&count=5'", "decision: allow"),
        (
            "target: '/v2/messages?label=a&count=500', caller: ops",
            "decision: allow, rule: drain",
        ),
        (
            "target: '/v2/messages?label=a&count=500', caller: ops, time: '2026-11-24T17:00:00Z'",
            "code: count_over_cap",
        ),
        (
            "target: '/v2/messages?label=a&count=500', caller: ops, time: '2026-11-24T18:00:00+02:00'",
            "rule: drain, decision: allow",
        ),
        (
            "target: /v2/messages, time: '2024-12-31T23:59:59Z'",
            "decision: allow, rule: old",
        ),
        (
            "target: '/v2/messages?label=a&count=50'",
            "decision: would_deny, code: count_over_cap, rule: tomorrow",
        ),
    ] {
        assert_meets(CONFIG, request, expect);
    }
}

#[test]
fn addresses_count_and_so_do_limits_that_could_never_pass() {
    let by_address = "policy: {rules: [{name: inside, when: 'client.ip == \"192.0.2.7\"', allow: true}]}";
    assert_meets(
        by_address,
        "target: /v2/messages, client_ip: 192.0.2.7",
        "decision: allow, rule: inside",
    );
    assert_meets(by_address, "target: /v2/messages", "decision: deny");
    let limits = "policy: {bulk_cancel: {max_count: 1000, cap_enforced_by: qstash}}";
    assert_meets(
        limits,
        "target: '/v2/messages?label=a&count=501'",
        "decision: deny, code: count_over_budget",
    );
    assert_meets(limits, "target: '/v2/messages?label=a&count=500'", "decision: allow");
    let small = "resources: {max_inspected_body: 1KiB}";
    let body = format!("target: /v2/messages, body: '{}'", " ".repeat(1025));
    assert_meets(small, &body, "decision: deny, code: body_too_large");
}

#[test]
fn a_failure_tells_what_was_expected_and_met_and_why() {
    let folder = Folder::new();
    folder.write("gateway.yaml", CONFIG);
    folder.write(
        "gateway.test.yaml",
        r#"tests:
  - name: cancel-all is refused
    request: {target: /v2/messages}
    expect: {decision: deny, code: unfiltered_cancel}
  - name: a capped one passes
    request: {target: "/v2/messages?label=a&count=500"}
    expect: {decision: allow}
  - name: ops may drain
    request: {target: "/v2/messages?label=a&count=500", caller: ops, time: 2026-11-24T17:30:00Z}
    expect: {decision: allow, rule: drain}
  - name: billing keeps off queues
    request: {target: "/v2/messages?queueName=a&count=5", caller: billing-1}
    expect: {decision: deny, code: denied_by_rule, rule: no-queue}
"#,
    );
    let (code, out, err) = test(&folder, &["gateway.test.yaml"]);
    assert_eq!((code, err.as_str()), (Some(1), ""));
    insta::assert_snapshot!("failures", without_digests(&out));
}

#[test]
fn the_configuration_is_the_one_beside_else_the_one_that_run_uses() {
    let folder = Folder::new();
    let (lax, strict) = ("policy: {bulk_cancel: {require_cap: false}}", "policy: {mode: monitor}");
    let tests = one("target: '/v2/messages?label=a'", "decision: allow");
    std::fs::create_dir(folder.path().join("config")).unwrap();
    folder.write("config/guard.yaml", lax);
    for name in ["config/gateway.test.yaml", "plain.yaml"] {
        folder.write(name, &tests);
        let (code, out, _) = test(&folder, &[name]);
        assert_eq!(code, Some(0), "{out}");
        assert!(
            out.starts_with(&format!("{name} tests ./config/guard.yaml (policy sha256:")),
            "{out}"
        );
    }
    folder.write("config/gateway.yaml", strict);
    let (code, out, _) = test(&folder, &["config/gateway.test.yaml"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(
        out.starts_with("config/gateway.test.yaml tests config/gateway.yaml (policy sha256:"),
        "{out}"
    );
    let (code, out, _) = test(&folder, &["config/gateway.test.yaml", "--config", "config/guard.yaml"]);
    assert_eq!(code, Some(0), "{out}");
}

#[test]
fn several_files_are_told_apart_and_summed() {
    let folder = Folder::new();
    let rule = |name: &str| format!("policy: {{rules: [{{name: {name}, callers: [a], allow: true}}]}}");
    folder.write("one.yaml", &rule("first"));
    folder.write("two.yaml", &rule("second"));
    folder.write("one.test.yaml", &one("target: /v2/messages", "decision: deny"));
    folder.write(
        "two.test.yaml",
        &one("target: /v2/messages, caller: a", "decision: allow"),
    );
    let (code, out, err) = test(&folder, &["one.test.yaml", "two.test.yaml"]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(
        out.ends_with("\nrules of one.yaml that no test reached: first\n\n2 passed, 0 failed\n"),
        "{out}"
    );
    // Files for one configuration reach its rules together.
    let (_, out, _) = test(&folder, &["one.test.yaml", "two.test.yaml", "--config", "one.yaml"]);
    assert!(!out.contains("no test reached"), "{out}");
}

#[test]
fn a_monitoring_policy_would_deny() {
    assert_meets(
        "policy: {mode: monitor}",
        "target: /v2/messages",
        "decision: would_deny, code: unfiltered_cancel",
    );
}

#[test]
fn the_shipped_tests_pass_and_reach_every_rule() {
    let folder = Folder::new();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    for name in ["gateway", "sidecar"] {
        let tests = shipped.join(format!("{name}.test.yaml"));
        let (code, out, err) = test(&folder, &[tests.to_str().unwrap()]);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
        assert!(
            out.contains(&format!("config/{name}.yaml (policy")) && !out.contains("no test reached"),
            "{out}"
        );
    }
}
