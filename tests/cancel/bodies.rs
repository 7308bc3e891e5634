//! Cancels that select with a body, as older clients do.

use crate::support::{Client, assert_denied, assert_forwarded, request};
use crate::{CANCELLED, TOKEN, start};

/// What stands in the query, further header lines, the body, the status of the refusal, and its codes.
type Row<'r> = (&'r str, &'r [&'r str], &'r str, u16, &'r [&'r str]);

#[test]
fn bodies_that_are_refused() {
    let (upstream, guard) = start("resources: {max_inspected_body: 1KiB}\n");
    let long = format!(r#"{{"messageIds":["{}"]}}"#, "a".repeat(1024));
    let ambiguous: &[&str] = &["ambiguous_request"];
    let unsupported: &[&str] = &["unsupported_body"];
    let unfiltered: &[&str] = &["unfiltered_cancel", "uncapped_cancel"];
    let rows: &[Row<'_>] = &[
        // Empty arrays cancel everything, and two SDKs send them.
        ("", &[], r#"{"messageIds":[]}"#, 403, unfiltered),
        ("", &[], r#"{"messageIds": []}"#, 403, unfiltered),
        ("", &[], "{}", 403, unfiltered),
        ("", &[], r#"{"messageIds":null,"label":""}"#, 403, unfiltered),
        (
            "",
            &[],
            r#"{"messageIds":["", " ", ","],"count":5}"#,
            403,
            &["unfiltered_cancel"],
        ),
        ("", &[], r#"{"label":"a"}"#, 403, &["uncapped_cancel"]),
        (
            "",
            &[],
            r#"{"messageIDs":["a"]}"#,
            403,
            &["unknown_parameter", "unfiltered_cancel", "uncapped_cancel"],
        ),
        ("", &[], r#"{"messageIds":["a"],"":1}"#, 403, &["unknown_parameter"]),
        (
            "",
            &[],
            r#"{"messageIds":["a"],"nope":null}"#,
            403,
            &["unknown_parameter"],
        ),
        ("", &[], r#"{"messageIds":"a"}"#, 400, ambiguous),
        ("", &[], r#"{"messageIds":["a",null]}"#, 400, ambiguous),
        ("", &[], r#"{"messageIds":["a",1]}"#, 400, ambiguous),
        ("", &[], r#"{"messageIds":["a"],"messageIds":["b"]}"#, 400, ambiguous),
        (
            "",
            &[],
            r#"{"messageIds":["a"],"message\u0049ds":["b"]}"#,
            400,
            ambiguous,
        ),
        ("", &[], r#"{"messageIds":["a"],"label":"b"}"#, 400, ambiguous),
        ("", &[], r#"{"label":1,"count":5}"#, 400, ambiguous),
        ("", &[], r#"{"label":"a","count":"5"}"#, 400, ambiguous),
        ("", &[], r#"{"label":"a","count":5.0}"#, 400, ambiguous),
        ("", &[], r#"{"label":"a","count":0}"#, 400, ambiguous),
        ("", &[], r#"{"label":"a","count":-1}"#, 400, ambiguous),
        ("", &[], r#"{"label":"a","count":5,"async":"true"}"#, 400, ambiguous),
        ("", &[], r#"{"label":"\u0000","count":5}"#, 400, ambiguous),
        // Two places.
        ("?count=5", &[], r#"{"label":"a"}"#, 400, ambiguous),
        ("?label=a&count=5", &[], "{}", 400, ambiguous),
        // No JSON object, or not plain.
        ("", &[], "[]", 400, unsupported),
        ("", &[], "null", 400, unsupported),
        ("", &[], r#"{"messageIds":["a"]}{}"#, 400, unsupported),
        ("", &[], r#"{"messageIds":["a"]"#, 400, unsupported),
        ("", &[], "\u{feff}{\"messageIds\":[\"a\"]}", 400, unsupported),
        ("", &[], "messageIds=a", 400, unsupported),
        ("", &[], " ", 400, unsupported),
        (
            "",
            &["Content-Encoding: gzip"],
            r#"{"messageIds":["a"]}"#,
            400,
            unsupported,
        ),
        (
            "",
            &["Content-Encoding: identity", "Content-Encoding: br"],
            r#"{"messageIds":["a"]}"#,
            400,
            unsupported,
        ),
        ("", &[], &long, 413, &["body_too_large"]),
    ];
    for (query, headers, body, status, codes) in rows {
        let before = guard.records().len();
        let mut lines = vec![TOKEN];
        lines.extend_from_slice(headers);
        let answer = request(
            guard.address,
            "DELETE",
            &format!("/v2/messages{query}"),
            &lines,
            body.as_bytes(),
        );
        let record = assert_denied(&guard, before, &answer, *status, codes);
        assert_eq!(record["operation"], "messages.bulk_cancel", "{query} {body}");
    }
    upstream.assert_untouched();
}

#[test]
fn a_chunked_body_is_judged_and_arrives_whole() {
    let (upstream, guard) = start("");
    let before = guard.records().len();
    let mut client = Client::connect(guard.address);
    client.send("DELETE /v2/messages HTTP/1.1\r\nHost: guard.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("4;a=b\r\n{\"me\r\n");
    client.send("12\r\nssageIds\":[\"a\",\"b\"\r\n2\r\n]}\r\n0\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status(), answer.text().as_str()), (202, CANCELLED));
    let got = upstream.request();
    let body = r#"{"messageIds":["a","b"]}"#;
    let framings = (
        got.header("content-length").len(),
        got.header("transfer-encoding").len(),
    );
    assert_eq!(framings.0 + framings.1, 1, "{got:?}");
    let text = String::from_utf8(got.body.clone()).unwrap();
    let plain = if framings.0 == 1 {
        text
    } else {
        text.split("\r\n").nth(1).unwrap().to_owned()
    };
    assert_eq!(plain, body);
    let (intent, _) = assert_forwarded(&guard, before);
    assert_eq!(intent["selection"]["ids_total"], 2);
    // The same with nothing in it is a cancel of everything.
    let before = guard.records().len();
    client.send("DELETE /v2/messages HTTP/1.1\r\nHost: guard.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    let answer = client.answer();
    assert_denied(&guard, before, &answer, 403, &["unfiltered_cancel", "uncapped_cancel"]);
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_chunked_body_without_end_is_too_large() {
    let (upstream, guard) = start("resources: {max_inspected_body: 1KiB}\n");
    let before = guard.records().len();
    let mut client = Client::connect(guard.address);
    client
        .send("DELETE /v2/messages?label=a&count=5 HTTP/1.1\r\nHost: guard.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(format!("1000\r\n{}\r\n", "a".repeat(0x1000)));
    assert_denied(&guard, before, &client.answer(), 413, &["body_too_large"]);
    upstream.assert_untouched();
}

#[test]
fn a_body_that_stands_still_is_not_waited_for() {
    let (upstream, guard) = start("resources: {body_idle_timeout: 250ms}\n");
    let before = guard.records().len();
    let mut client = Client::connect(guard.address);
    client.send("DELETE /v2/messages HTTP/1.1\r\nHost: guard.test\r\nContent-Length: 24\r\n\r\n{\"messageIds\"");
    assert_denied(&guard, before, &client.answer(), 408, &["body_timeout"]);
    upstream.assert_untouched();
}

#[test]
fn a_body_that_breaks_off_is_recorded_as_refused() {
    let (upstream, guard) = start("");
    let mut client = Client::connect(guard.address);
    client.send("DELETE /v2/messages HTTP/1.1\r\nHost: guard.test\r\nContent-Length: 24\r\n\r\n{\"messageIds\"");
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    let answer = client.read_answer(true);
    let record = guard.wait_for("denied", 1).remove(0);
    assert_eq!(record["code"], "malformed_request");
    if let Some(answer) = answer {
        assert_eq!(answer.status(), 400);
    }
    upstream.assert_untouched();
}
