//! Request lines: forwarded as the client wrote them.

use crate::support::{Client, Guard, RawRequest, Upstream, request};

#[test]
fn a_target_arrives_byte_for_byte() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let targets = [
        "/",
        "/v2/publish/https://example.com/a//b/../c?x=1&y=%2f&&z",
        "/v2/publish/https://example.com?b=2&a=1&b=1",
        "/v2/publish/HTTPS://EXAMPLE.com:8443/%2F%2f/./;p=1",
        "/v2/publish/my-group?",
        "/v2/queues/a%20b/../c",
        "//v2//queues",
        "/v2/queues/?",
        "/x?a=b?c=d/e//f",
        "/x?=&&==",
        "/odd/!$&'()*+,;=:@~|^\\\"{}[]",
        "/caf\u{e9}?\u{fc}=\u{1f600}",
        "/%zz/%/%4",
        "/v2/messages/msg_1?async=%74rue",
    ];
    // Over one connection, so that they arrive in their order.
    let mut client = Client::connect(guard.address);
    for target in targets {
        let answer = client.request("GET", target, &[], b"");
        assert_eq!(answer.status(), 202, "{target}: {answer:?}");
    }
    let requests = upstream.requests();
    let arrived: Vec<_> = requests.iter().map(RawRequest::line).collect();
    let sent = targets.map(|target| format!("GET {target} HTTP/1.1"));
    assert_eq!(arrived, sent);
}

#[test]
fn a_method_keeps_its_spelling() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let methods = ["GET", "PATCH", "get", "M-SEARCH", "QUERY"];
    let mut client = Client::connect(guard.address);
    for method in methods {
        assert_eq!(client.request(method, "/v2/logs", &[], b"").status(), 202);
    }
    let arrived: Vec<_> = upstream
        .requests()
        .iter()
        .map(|request| request.line().to_owned())
        .collect();
    assert_eq!(arrived, methods.map(|method| format!("{method} /v2/logs HTTP/1.1")));
}

#[test]
fn the_path_of_the_upstream_goes_before_the_target() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&format!("{}/eu/qstash/", upstream.url()), "");
    let target = "/v2/publish/https://example.com//a/../b?x=%2f";
    assert_eq!(request(guard.address, "POST", target, &[], b"").status(), 202);
    assert_eq!(upstream.request().target(), format!("/eu/qstash{target}"));
}

#[test]
fn an_absolute_target_is_judged_by_its_path_and_sent_in_origin_form() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    for (target, forwarded) in [
        ("http://elsewhere.test/v2/logs?a=%2f", "/v2/logs?a=%2f"),
        ("HTTP://elsewhere.test:81//v2/queues", "//v2/queues"),
        ("http://elsewhere.test", "/"),
        ("http://elsewhere.test?a=1", "/?a=1"),
    ] {
        let answer = client.request("GET", target, &[], b"");
        assert_eq!(answer.status(), 202, "{target}");
        assert_eq!(upstream.requests().last().unwrap().target(), forwarded);
        assert_eq!(
            upstream.requests().last().unwrap().header("host"),
            [upstream.address.to_string()]
        );
    }
    let before = upstream.requests().len();
    let answer = request(guard.address, "DELETE", "http://elsewhere.test/v2/messages", &[], b"");
    assert_eq!((answer.status(), answer.code().as_str()), (403, "unfiltered_cancel"));
    assert_eq!(upstream.requests().len(), before);
}

#[test]
fn options_of_the_server_itself_passes() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    assert_eq!(request(guard.address, "OPTIONS", "*", &[], b"").status(), 202);
    assert_eq!(upstream.request().line(), "OPTIONS * HTTP/1.1");
}

#[test]
fn connect_and_trace_are_not_served() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    for (method, target) in [("CONNECT", "example.com:443"), ("TRACE", "/v2/logs")] {
        let answer = request(guard.address, method, target, &[], b"");
        assert_eq!((answer.status(), answer.code().as_str()), (405, "method_not_served"));
    }
    assert_eq!(guard.wait_for("denied", 2)[0]["code"], "method_not_served");
    upstream.assert_untouched();
}

#[test]
fn a_request_has_one_host() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    for hosts in [
        "",
        "Host: a.test\r\nHost: b.test\r\n",
        "Host: a.test\r\nhost: a.test\r\n",
    ] {
        let mut client = Client::connect(guard.address);
        client.send(format!("GET /v2/logs HTTP/1.1\r\n{hosts}\r\n"));
        let answer = client.answer();
        assert_eq!(
            (answer.status(), answer.code().as_str()),
            (400, "malformed_request"),
            "{hosts:?}"
        );
    }
    upstream.assert_untouched();
}
