//! The spellings of the bulk cancel's path and method.

use crate::support::{Client, assert_denied, request};
use crate::{TOKEN, delete, start};

#[test]
fn every_spelling_that_servers_take_for_it_is_judged_as_it() {
    let (upstream, guard) = start("");
    for (method, target) in [
        ("DELETE", "/v2/messages/"),
        ("DELETE", "//v2/messages"),
        ("DELETE", "/v2//messages"),
        ("DELETE", "/v2/messages//"),
        ("DELETE", "/V2/Messages"),
        ("DELETE", "/v2/%6dessages"),
        ("DELETE", "/v2/%6Dessages/"),
        ("DELETE", "/v1/messages"),
        ("DELETE", "/v12/messages"),
        ("DELETE", "http://elsewhere.test/v2/messages"),
        ("delete", "/v2/messages"),
        ("Delete", "/v2/messages"),
    ] {
        let before = guard.records().len();
        let answer = request(guard.address, method, target, &[TOKEN], b"");
        let record = assert_denied(&guard, before, &answer, 403, &["unfiltered_cancel", "uncapped_cancel"]);
        assert_eq!(
            (&record["method"], &record["operation"]),
            (&method.into(), &"messages.bulk_cancel".into())
        );
    }
    upstream.assert_untouched();
    // Where they are bounded, they arrive as they were written.
    for target in ["//v2/messages", "/V2/Messages", "/v2/%6dessages", "/v2/messages/"] {
        let requests = upstream.requests().len();
        let target = format!("{target}?label=a&count=5");
        assert_eq!(delete(&guard, &target).status(), 202, "{target}");
        assert_eq!(upstream.wait_for(requests + 1).target(), target);
    }
}

#[test]
fn paths_that_can_be_read_in_two_ways_are_refused_whatever_they_select() {
    let (upstream, guard) = start("");
    for (method, target) in [
        ("DELETE", "/v2/x/../messages?label=a&count=5"),
        ("DELETE", "/v2/./messages?label=a&count=5"),
        ("DELETE", "/v2/messages/.?label=a&count=5"),
        ("DELETE", "/v2/messages/msg_1/.."),
        ("DELETE", "/v2/messages/%2e%2e/messages"),
        ("DELETE", "/v2/messages;a=b?label=a&count=5"),
        ("DELETE", "/v2/messages/;"),
        ("DELETE", "/v2/messages%2f"),
        ("DELETE", "/v2/messages%3Flabel=a"),
        ("DELETE", "/v2%2fmessages"),
        ("DELETE", "/v2%5cmessages"),
        ("DELETE", "/v2/%256dessages"),
        ("DELETE", "/v2/messages%20"),
        ("DELETE", "/v2/messages%"),
        ("DELETE", "/v2/messages*"),
        ("DELETE", "/v2/messages/%20"),
        ("DELETE", "/v2/messages/%00"),
        ("DELETE", "/v2/messages//msg_1"),
        ("GET", "/v2/x/../messages"),
        ("POST", "/v2/messages%2f"),
    ] {
        let before = guard.records().len();
        let answer = request(guard.address, method, target, &[TOKEN], b"");
        assert_denied(&guard, before, &answer, 400, &["ambiguous_request"]);
    }
    upstream.assert_untouched();
}

#[test]
fn no_header_turns_another_method_into_a_cancel() {
    let (upstream, guard) = start("");
    for name in ["X-HTTP-Method-Override", "x-method-override", "X-HTTP-METHOD"] {
        for (method, target) in [
            ("POST", "/v2/messages"),
            ("GET", "/v2/messages/msg_1"),
            ("DELETE", "/v2/messages?messageIds=a"),
        ] {
            let before = guard.records().len();
            let answer = request(guard.address, method, target, &[TOKEN, &format!("{name}: DELETE")], b"");
            assert_denied(&guard, before, &answer, 400, &["ambiguous_request"]);
        }
    }
    upstream.assert_untouched();
    let answer = request(
        guard.address,
        "POST",
        "/v2/publish/https://example.com",
        &[TOKEN, "X-HTTP-Method: PUT"],
        b"",
    );
    assert_eq!(answer.status(), 202, "elsewhere it is the client's own business");
}

#[test]
fn a_raw_backslash_never_arrives() {
    let (upstream, guard) = start("");
    let mut client = Client::connect(guard.address);
    client.send("DELETE /v2\\messages HTTP/1.1\r\nHost: guard.test\r\n\r\n");
    assert_eq!(client.answer().status(), 400);
    upstream.assert_untouched();
}
