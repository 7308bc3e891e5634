//! Rules that look at the path: no other spelling of it gets past them.

use qstash_guard::config;

use crate::{table, with_rules};

const QUEUES: &str = r#"
- {name: kept, operations: [queues.delete], when: 'request.path.startsWith("/v2/queues/prod")', deny: Keep it.}"#;

#[test]
fn a_path_is_judged_however_it_is_spelled() {
    table(
        &with_rules(QUEUES.trim()),
        &[
            ("", "DELETE /v2/queues/prod-1", "denied_by_rule by kept"),
            ("", "DELETE /v2//queues/prod-1", "denied_by_rule by kept"),
            ("", "DELETE //v2/queues//prod-1/", "denied_by_rule by kept"),
            ("", "DELETE /v2/queues/%70rod-1", "denied_by_rule by kept"),
            ("", "DELETE /V2/Queues/PROD-1", "denied_by_rule by kept"),
            ("", "DELETE /v2/queues/x/../prod-1", "ambiguous_request"),
            ("", "DELETE /v2/queues/x/%2e%2e/prod-1", "ambiguous_request"),
            ("", "DELETE /v2/queues/;x/prod-1", "ambiguous_request"),
            ("", "DELETE /v2/queues/%2570rod-1", "ambiguous_request"),
            ("", "DELETE /v2/queues/%0aprod-1", "ambiguous_request"),
            ("", "DELETE /v2/queues/test-1", "allow"),
            ("", "GET /v2/queues/prod-1", "allow"),
        ],
    );
}

const PUBLISHES: &str = r#"
- name: no-internal
  operations: [messages.publish, messages.enqueue]
  when: request.path.contains("internal.example")
  deny: Not there."#;

#[test]
fn so_is_a_destination() {
    table(
        &with_rules(PUBLISHES.trim()),
        &[
            (
                "",
                "POST /v2/publish/https://internal.example/a",
                "denied_by_rule by no-internal",
            ),
            (
                "",
                "POST /v2/publish/https://INTERNAL.example/a",
                "denied_by_rule by no-internal",
            ),
            (
                "",
                "POST /v2/publish/https://internal%2eexample/a",
                "denied_by_rule by no-internal",
            ),
            (
                "",
                "POST /v2/publish/https://%69nternal.example/a",
                "denied_by_rule by no-internal",
            ),
            (
                "",
                "POST /v2/publish/http%3A//internal.example",
                "denied_by_rule by no-internal",
            ),
            (
                "",
                "POST /v2/publish/a/b/c/d/e/f/internal.example",
                "denied_by_rule by no-internal",
            ),
            (
                "",
                "POST /v2/publish/https://internal%252eexample/a",
                "ambiguous_request",
            ),
            (
                "",
                "POST /v2/publish/https://inter%09nal.example/a",
                "ambiguous_request",
            ),
            (
                "",
                "POST /v2/publish/https://internal%E3%80%82example/a",
                "ambiguous_request",
            ),
            (
                "",
                "POST /v2/publish/https://inter%C2%ADnal.example/a",
                "ambiguous_request",
            ),
            (
                "",
                "POST /v2/enqueue/q/https://internal%E3%80%82example/a",
                "ambiguous_request",
            ),
            ("", "POST /v2/publish/https://a.example/caf%C3%A9", "allow"),
            ("", "POST /v2/publish/https://a.example/x", "allow"),
        ],
    );
}

#[test]
fn odd_paths_to_other_rules_pass_as_before() {
    let other = "- {name: nightly, operations: [messages.publish], when: caller.name == \"ops-anna\", deny: x}";
    let monitored = PUBLISHES.replace("- name: no-internal", "- name: no-internal\n  mode: monitor");
    for rules in [other, monitored.trim()] {
        table(
            &with_rules(rules),
            &[
                ("", "POST /v2/publish/https://a.example/x%252fy", "allow"),
                ("", "POST /v2/publish/https://a.example/x;y", "allow"),
            ],
        );
    }
}

#[test]
fn a_text_that_no_path_holds_is_a_fault() {
    let said = |when: &str| {
        let yaml = with_rules(&format!(
            "- {{name: a, deny: x, operations: [queues.delete], when: '{when}'}}"
        ));
        match config::compile("guard.yaml", &yaml, &|_| None) {
            Ok(_) => String::new(),
            Err(faults) => faults.render(false),
        }
    };
    for (when, instead) in [
        (
            r#"request.path.startsWith("/v2/queues/Prod")"#,
            "write `/v2/queues/prod`",
        ),
        (r#"request.path.contains("https://a")"#, "write `https:/a`"),
        (r#""/V2" == request.path"#, "write `/v2`"),
        (r#"request.path in ["/v2/a", "/v2/B"]"#, "write `/v2/b`"),
    ] {
        assert!(said(when).contains(instead), "{when}: {}", said(when));
    }
    assert_eq!(said(r#"request.path.endsWith("/prod-1") || caller.name == "Anna""#), "");
}
