//! The admin port.

use std::collections::BTreeSet;

use crate::support::{Guard, Upstream, request};

#[test]
fn health_and_readiness_are_told() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    assert_eq!(guard.admin("/healthz").0, 200);
    let answer = request(guard.admin, "GET", "/readyz", &[], b"");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("content-type"), ["application/json"]);
    assert_eq!(answer.json(), serde_json::json!({"status": "ready", "trail": "ok"}));
    assert_eq!(request(guard.admin, "HEAD", "/readyz", &[], b"").status(), 200);
    assert_eq!(request(guard.admin, "POST", "/readyz", &[], b"").status(), 405);
    assert_eq!(guard.admin("/").0, 404);
    upstream.assert_untouched();
}

#[test]
fn the_admin_paths_are_not_on_the_port_of_the_clients() {
    let upstream = Upstream::json("upstream");
    let guard = Guard::start(&upstream.url(), "");
    for path in ["/healthz", "/readyz", "/metrics", "/audit/head"] {
        assert_eq!(request(guard.address, "GET", path, &[], b"").text(), "upstream");
    }
    // Nor what they ask about on the admin port.
    assert_eq!(request(guard.admin, "GET", "/v2/logs", &[], b"").status(), 404);
}

#[test]
fn metrics_tell_what_happened_under_their_names() {
    let upstream = Upstream::json(r#"{"cancelled":3}"#);
    let limits = "rate_limits: [{name: cancels, applies_to: [messages.bulk_cancel], per: caller, unit: requests, \
                  rate: 1/h, burst: 1}]";
    let guard = Guard::start(&upstream.url(), limits);
    let ask = |method: &str, target: &str| request(guard.address, method, target, &[], b"").status();
    assert_eq!(ask("GET", "/v2/logs?qstash_token=secret-token"), 202);
    assert_eq!(ask("GET", "/v2/nothing/known"), 202);
    assert_eq!(ask("DELETE", "/v2/messages"), 403);
    assert_eq!(ask("DELETE", "/v2/messages?label=a&count=3"), 202);
    assert_eq!(ask("DELETE", "/v2/messages?label=a&count=3"), 429);

    let counters = |operation: &str, decision: &str, code: &str| {
        let labels = format!(r#"{{code="{code}",decision="{decision}",operation="{operation}"}}"#);
        guard.metric_line(&format!("qstash_guard_requests_total{labels}"))
    };
    assert_eq!(counters("logs.list", "allow", ""), 1);
    assert_eq!(counters("unknown", "allow", ""), 1);
    assert_eq!(counters("messages.bulk_cancel", "deny", "unfiltered_cancel"), 1);
    assert_eq!(counters("messages.bulk_cancel", "allow", ""), 1);
    assert_eq!(counters("messages.bulk_cancel", "deny", "rate_limited"), 1);
    for (line, value) in [
        (r#"qstash_guard_cancelled_messages_total{caller="other"}"#, 3),
        (r#"qstash_guard_rate_limited_total{limit="cancels"}"#, 1),
        (r#"qstash_guard_audit_records_total{event="started"}"#, 1),
        (r#"qstash_guard_audit_records_total{event="denied"}"#, 2),
        (r#"qstash_guard_audit_records_total{event="intent"}"#, 1),
        (r#"qstash_guard_audit_records_total{event="outcome"}"#, 1),
        ("qstash_guard_audit_failures_total", 0),
        ("qstash_guard_audit_seq", 5),
        ("qstash_guard_query_tokens_moved_total", 1),
        ("qstash_guard_request_duration_seconds_count", 5),
        ("qstash_guard_upstream_duration_seconds_count", 3),
        (
            concat!(
                r#"qstash_guard_build_info{version=""#,
                env!("CARGO_PKG_VERSION"),
                r#""}"#
            ),
            1,
        ),
    ] {
        assert_eq!(guard.metric_line(line), value, "{line}");
    }
    let (_, text) = guard.admin("/metrics");
    let described: BTreeSet<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    for metric in [
        "qstash_guard_requests_total counter",
        "qstash_guard_request_duration_seconds histogram",
        "qstash_guard_upstream_duration_seconds histogram",
        "qstash_guard_cancelled_messages_total counter",
        "qstash_guard_rate_limited_total counter",
        "qstash_guard_audit_records_total counter",
        "qstash_guard_audit_failures_total counter",
        "qstash_guard_audit_sync_seconds histogram",
        "qstash_guard_audit_seq gauge",
        "qstash_guard_connections gauge",
        "qstash_guard_max_connections gauge",
        "qstash_guard_query_tokens_moved_total counter",
        "qstash_guard_build_info gauge",
    ] {
        assert!(described.contains(metric), "{metric} in {described:#?}");
    }
    assert!(!text.contains("secret"), "{text}");
    assert!(
        request(guard.admin, "GET", "/metrics", &[], b"").header("content-type")[0]
            .starts_with("text/plain; version=0.0.4")
    );
}

#[test]
fn the_head_of_the_trail_is_the_one_that_verify_finds() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    for _ in 0..3 {
        request(guard.address, "DELETE", "/v2/messages", &[], b"");
        let head: serde_json::Value = serde_json::from_str(&guard.admin("/audit/head").1).unwrap();
        let records = guard.records();
        assert_eq!(head["seq"], records.last().unwrap()["seq"]);
        let hash = head["hash"].as_str().unwrap();
        let verified = super::start::qstash_guard(&["audit", "verify", "--head", hash, "audit"], guard.folder.path());
        let text = String::from_utf8(verified.stdout).unwrap();
        assert_eq!(verified.status.code(), Some(0), "{text}");
        let line = text.lines().find(|line| line.contains(hash));
        assert!(line.is_some(), "{hash} in {text}");
    }
}

#[test]
fn the_head_of_the_trail_is_for_those_who_know_the_token() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "admin: {token_file: token.txt}");
    let ask = |headers: &[&str]| request(guard.admin, "GET", "/audit/head", headers, b"");
    let refused = |headers: &[&str]| {
        let answer = ask(headers);
        assert!(matches!(answer.status(), 401 | 404), "{answer:?}");
        assert!(!answer.text().contains("\"hash\""), "{answer:?}");
    };
    // No file yet: nobody can know.
    refused(&["Authorization: Bearer "]);
    guard.folder.write("token.txt", "\n");
    refused(&["Authorization: Bearer "]);
    refused(&[]);
    guard.folder.write("token.txt", "secret-1\n");
    refused(&[]);
    refused(&["Authorization: Bearer secret"]);
    refused(&["Authorization: Basic secret-1"]);
    assert_eq!(ask(&["Authorization: Bearer secret-1"]).json()["seq"], 1);
    assert_eq!(ask(&["Authorization: bearer secret-1"]).status(), 200);
    // Read anew when it changes.
    guard.folder.write("token.txt", "secret-2");
    refused(&["Authorization: Bearer secret-1"]);
    assert_eq!(ask(&["Authorization: Bearer secret-2"]).status(), 200);
    // Health and metrics are everybody's.
    assert_eq!(guard.admin("/readyz").0, 200);
    assert_eq!(guard.admin("/metrics").0, 200);
}
