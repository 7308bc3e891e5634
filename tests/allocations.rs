//! What passes costs no allocation: the guard may stand before every publish of an account.

use std::net::Ipv4Addr;
use std::sync::LazyLock;

use allocation_counter::measure;
use jiff::Timestamp;
use qstash_guard::policy::{Caller, Context, Policy, Request, Route, judge, route};
use qstash_guard::qstash::credential;

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
    let policy = Policy::default();
    let mut passes = false;
    let info = measure(|| passes = matches!(route(&policy, method, path.as_bytes(), false).route, Route::Pass(_)));
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
