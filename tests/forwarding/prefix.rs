//! `listen.path_prefix`: one prefix is served, and cut off; and the path of `upstream.url`, which nothing leaves.

use crate::support::{Guard, Upstream, request};

const PREFIXED: &str = "listen: {path_prefix: /qstash}";

#[test]
fn the_prefix_is_cut_before_the_target_is_sent_on() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), PREFIXED);
    let answer = request(
        guard.address,
        "POST",
        "/qstash/v2/publish/https://e.com//a/../%62?x=%2f",
        &[],
        b"{}",
    );
    assert_eq!(answer.status(), 202);
    assert_eq!(upstream.request().target(), "/v2/publish/https://e.com//a/../%62?x=%2f");
}

#[test]
fn what_stands_behind_the_prefix_is_judged() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), PREFIXED);
    for (target, status, code) in [
        ("/qstash/v2/messages", 403, "unfiltered_cancel"),
        ("/qstash//v2/messages/", 403, "unfiltered_cancel"),
        ("/qstash/../v2/messages?label=a&count=1", 400, "ambiguous_request"),
        ("/qstash?qstash_token=a&qstash_token=b", 400, "conflicting_credentials"),
    ] {
        let answer = request(guard.address, "DELETE", target, &[], b"");
        assert_eq!((answer.status(), answer.code().as_str()), (status, code), "{target}");
    }
    upstream.assert_untouched();
    assert_eq!(guard.records_of("denied").len(), 4);
}

#[test]
fn what_is_outside_the_prefix_is_not_served() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), PREFIXED);
    for target in [
        "/v2/messages",
        "/",
        "/qstashed/v2/keys",
        "/QSTASH/v2/keys",
        "/%71stash/v2/keys",
        "//qstash/v2/keys",
    ] {
        let answer = request(guard.address, "GET", target, &[], b"");
        assert_eq!(
            (answer.status(), answer.code().as_str()),
            (404, "not_served"),
            "{target}"
        );
        assert!(answer.json()["error"].as_str().unwrap().contains("/qstash"), "{target}");
    }
    upstream.assert_untouched();
    assert_eq!(guard.records_of("denied").len(), 6);
}

#[test]
fn no_path_leads_out_of_the_upstreams_own() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&format!("{}/team/qstash", upstream.url()), "");
    for target in [
        "/../qstash/v2/messages",
        "/../../team/qstash/v2/messages",
        "/%2e%2e/qstash/v2/messages",
        "/..%2fqstash/v2/messages",
        "/..\\qstash\\v2\\messages",
        "/x/../../qstash/v2/messages",
        "/x//..//..//../qstash/v2/messages",
        "/%252e%252e/qstash/v2/messages",
        "/..;x/qstash/v2/messages",
    ] {
        for method in ["DELETE", "GET", "POST"] {
            let answer = request(guard.address, method, target, &[], b"");
            assert_eq!(
                (answer.status(), answer.code().as_str()),
                (400, "ambiguous_request"),
                "{method} {target}"
            );
        }
    }
    upstream.assert_untouched();
    let within = "/v2/publish/https://e.com/a/../../b";
    let answer = request(guard.address, "POST", within, &[], b"{}");
    assert_eq!(answer.status(), 202, "{answer:?}");
    assert_eq!(upstream.request().target(), format!("/team/qstash{within}"));
}

#[test]
fn without_a_path_of_the_upstream_there_is_nothing_to_leave() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let answer = request(guard.address, "GET", "/../v2/keys", &[], b"");
    assert_eq!(answer.status(), 202, "{answer:?}");
    assert_eq!(upstream.request().target(), "/../v2/keys");
}
