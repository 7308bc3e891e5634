//! `listen.trusted_proxies`: whose address counts as the client's, for the trail and for limits alone.

use crate::support::{Guard, Upstream, request};

const CANCEL_ALL: &str = "/v2/messages";

#[test]
fn a_trusted_proxy_says_who_the_client_is() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "listen: {trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]}");
    for forwarded in ["203.0.113.9", "198.51.100.1, 203.0.113.9, 10.1.2.3"] {
        let header = format!("X-Forwarded-For: {forwarded}");
        let answer = request(guard.address, "DELETE", CANCEL_ALL, &[&header], b"");
        assert_eq!(answer.status(), 403);
    }
    upstream.assert_untouched();
    for record in guard.records_of("denied") {
        assert_eq!(record["client"], "203.0.113.9");
    }
    // The header itself goes on as it came.
    request(
        guard.address,
        "GET",
        "/v2/queues",
        &["X-Forwarded-For: 203.0.113.9, 10.1.2.3"],
        b"",
    );
    assert_eq!(upstream.request().header("x-forwarded-for"), ["203.0.113.9, 10.1.2.3"]);
}

#[test]
fn nobody_else_does() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "listen: {trusted_proxies: [10.0.0.0/8]}");
    let answer = request(
        guard.address,
        "DELETE",
        CANCEL_ALL,
        &["X-Forwarded-For: 203.0.113.9"],
        b"",
    );
    assert_eq!(answer.status(), 403);
    upstream.assert_untouched();
    assert_eq!(guard.records_of("denied")[0]["client"], "127.0.0.1");
}

#[test]
fn limits_count_the_client_behind_the_proxy() {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let yaml = "listen: {trusted_proxies: [127.0.0.1]}\n\
                rate_limits: [{name: one, applies_to: [messages.bulk_cancel], per: client_ip, unit: requests, rate: 1/d, burst: 1}]";
    let guard = Guard::start(&upstream.url(), yaml);
    let cancel = |client: &str| {
        let header = format!("X-Forwarded-For: {client}");
        request(guard.address, "DELETE", "/v2/messages?label=a&count=1", &[&header], b"").status()
    };
    assert_eq!(
        [cancel("203.0.113.9"), cancel("203.0.113.9"), cancel("203.0.113.10")],
        [202, 429, 202]
    );
    assert_eq!(upstream.requests().len(), 2);
}
