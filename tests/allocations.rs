//! What passes costs no allocation: the guard may stand before every publish of an account.

use std::net::Ipv4Addr;
use std::sync::LazyLock;

use allocation_counter::measure;
use jiff::Timestamp;
use qstash_guard::config;
use qstash_guard::policy::{Asked, Caller, Context, Overrun, Policy, Request, Route, Verdict, decide, judge, route};
use qstash_guard::qstash::credential;
use qstash_guard::qstash::operation::Operation;
use qstash_guard::qstash::selection::{Parameters, read};

/// A caller without a token, on loopback, at the epoch.
fn nobody() -> Context<'static> {
    static CALLER: LazyLock<Caller> = LazyLock::new(Caller::anonymous);
    Context {
        caller: &CALLER,
        client: Ipv4Addr::LOCALHOST.into(),
        time: Timestamp::UNIX_EPOCH,
    }
}

/// How many allocations routing makes; the request has to pass.
fn to_route(method: &str, path: &str) -> u64 {
    to_route_under(&Policy::default(), method, path)
}

fn to_route_under(policy: &Policy, method: &str, path: &str) -> u64 {
    let mut passes = false;
    let info = measure(|| passes = matches!(route(policy, method, path.as_bytes(), false).route, Route::Pass(_)));
    assert!(passes, "{method} {path}");
    info.count_total
}

#[test]
fn requests_that_pass_are_routed_without_allocating() {
    for (method, path) in [
        ("POST", "/v2/publish/https://example.com/a//b/"),
        ("POST", "/v2/publish/https://example.com/%C3%BC/a-b%7Ec"),
        ("POST", "/v2/publish/https://example.com//a%20b/c%2Fd/../e"),
        ("POST", "/v2/publish/https://example.com/v2/messages;x?y"),
        ("POST", "/v2/publish/my-url-group"),
        ("POST", "/v2/enqueue/queue/https://u:p@example.com:8443/z/"),
        ("POST", "/v2/enqueue/my%20queue/https://example.com/%25"),
        ("POST", "/v2/batch"),
        ("GET", "/v2/messages/msg_26hZCxZCuWyyTWPmSVBrNB882AGpF"),
        ("DELETE", "/v2/messages/msg_26hZCxZCuWyyTWPmSVBrNB882AGpF"),
        ("GET", "/v2/logs"),
        ("GET", "/v3/not/known//to//anyone/%41"),
        ("OPTIONS", "*"),
    ] {
        assert_eq!(to_route(method, path), 0, "{method} {path}");
    }
}

#[test]
fn a_credential_in_the_header_is_read_without_allocating() {
    let queries: [Option<&[u8]>; 4] = [
        None,
        Some(b""),
        Some(b"a=1&url=https%3A%2F%2Fexample.com&%zz"),
        Some(b"qstash_tokens=x"),
    ];
    for query in queries {
        let mut bearer = false;
        let info = measure(|| {
            let shown = credential::read([&b"Bearer eyJVc2VySUQiOiIifQ=="[..]], query);
            bearer = shown.is_ok_and(|shown| shown.bearer.is_some());
        });
        assert!(bearer);
        assert_eq!(info.count_total, 0, "{query:?}");
    }
}

/// A thousand rules for bulk cancels, each with a condition that does not hold.
fn a_thousand_rules(callers: &str) -> Policy {
    let rules = (0..1000).map(|number| {
        format!("    - {{name: rule-{number}, callers: ['{callers}'], when: 'cancel.kind == \"all\"', deny: x}}\n")
    });
    let yaml = format!("policy:\n  rules:\n{}", rules.collect::<String>());
    let loaded = config::compile("guard.yaml", &yaml, &|_| None).unwrap_or_else(|faults| panic!("{faults}"));
    loaded.settings.policy
}

#[test]
fn rules_cost_nothing_where_none_names_the_operation() {
    let policy = a_thousand_rules("*");
    for (method, path) in [
        ("POST", "/v2/publish/https://example.com//a%20b/c%2Fd/../e"),
        ("DELETE", "/v2/messages/msg_26hZCxZCuWyyTWPmSVBrNB882AGpF"),
        ("DELETE", "/v2/dlq"),
        ("GET", "/v2/logs"),
    ] {
        assert_eq!(to_route_under(&policy, method, path), 0, "{method} {path}");
    }
}

#[test]
fn guarding_every_bulk_operation_costs_what_passes_nothing() {
    let yaml = "policy: {operations: {\"*.bulk_*\": guard}}\n";
    let loaded = config::compile("guard.yaml", yaml, &|_| None).unwrap_or_else(|faults| panic!("{faults}"));
    let policy = loaded.settings.policy;
    for (method, path) in [
        ("POST", "/v2/publish/https://example.com//a%20b/c%2Fd/../e"),
        ("DELETE", "/v2/messages/msg_26hZCxZCuWyyTWPmSVBrNB882AGpF"),
        ("DELETE", "/v2/dlq/1725323658779-0"),
        ("POST", "/v2/dlq/retry/1725323658779-0"),
        ("DELETE", "/v2/workflows/runs/wfr_1"),
        ("POST", "/v2/workflows/dlq/resume/1725323658779-0"),
        ("GET", "/v2/dlq"),
    ] {
        assert_eq!(to_route_under(&policy, method, path), 0, "{method} {path}");
    }
}

/// What a cancel allocates, beyond what it does without any rule.
fn to_try_rules(policy: &Policy) -> u64 {
    let nobody = nobody();
    let asked = Asked {
        operation: Operation::MessagesBulkCancel,
        method: "DELETE",
        path: "/v2/messages",
        context: &nobody,
        overrun: Overrun::default(),
    };
    let reading = read(&Parameters::messages(Vec::new()), Some(b"label=x&count=1"), b"", false);
    let mut passes = false;
    let mut decide = |policy: &Policy| {
        let info = measure(|| {
            let ruling = decide(policy, &asked, Some(&reading), Vec::new(), None);
            passes = matches!(ruling.verdict, Verdict::Allow(_));
        });
        assert!(passes);
        info.count_total
    };
    // What is made once, at the first of all evaluations, is made before.
    decide(policy);
    decide(policy) - decide(&Policy::default())
}

#[test]
fn rules_for_others_cost_a_cancel_nothing() {
    assert_eq!(to_try_rules(&a_thousand_rules("ops-*")), 0);
}

#[test]
fn the_variables_of_rules_are_made_once_for_all_of_them() {
    let allocations = to_try_rules(&a_thousand_rules("*"));
    // One comparison is all that each of the thousand conditions has to do.
    assert!(allocations > 0 && allocations < 1000, "{allocations}");
}

/// The counter counts: what is read, refused or moved does allocate.
#[test]
fn what_is_guarded_allocates() {
    let policy = Policy::default();
    let request = Request {
        method: "DELETE",
        path: b"/v2/messages",
        query: Some(b"label=x&count=1"),
        overridden: false,
        body: b"",
        content_encoded: false,
    };
    assert!(measure(|| drop(judge(&policy, &request, &nobody()))).count_total > 0);
    assert!(measure(|| drop(route(&policy, "DELETE", b"/v2/messages;x", false))).count_total > 0);
    assert!(measure(|| drop(credential::read([], Some(b"qstash_token=abc")))).count_total > 0);
    // Longer than what is kept on the stack.
    let long = format!("/v2/publish/https://example.com/%41{}", "a".repeat(300));
    assert!(to_route("POST", &long) > 0);
}
