//! Selections in a JSON body, as older clients send them.

use qstash_guard::policy::{Policy, judge};
use qstash_guard::qstash::operation::Operation;
use qstash_guard::qstash::selection::Kind;

use super::{Sent, nobody, said, table};

fn sent<'a>(line: &'a str, body: &'a str) -> Sent<'a> {
    Sent {
        body,
        ..Sent::line(line)
    }
}

/// Rows of a body and its outcome under the default policy.
#[track_caller]
fn judged(rows: &[(&str, &str)]) {
    let policy = Policy::default();
    table(
        rows.iter()
            .map(|&(body, expected)| (sent("DELETE /v2/messages", body), expected)),
        |sent| said(&sent.judged(&policy)),
    );
}

const BOTH: &str = "unfiltered_cancel uncapped_cancel";

#[test]
fn what_clients_send() {
    judged(&[
        (r#"{"messageIds":["a","b"]}"#, "allow"),
        (r#"{"messageIds": ["a", "b"]}"#, "allow"),
        (r#"{"messageIds":[]}"#, BOTH),
        (r#"{"messageIds": []}"#, BOTH),
        ("{}", BOTH),
        ("", BOTH),
    ]);
    let policy = Policy::default();
    // An empty id, as the Python and Ruby clients put it.
    for (line, body) in [("DELETE /v2/messages/", ""), ("DELETE v2/messages/", "{}")] {
        assert_eq!(said(&sent(line, body).judged(&policy)), BOTH);
    }
}

#[test]
fn bounded_cancels_pass() {
    judged(&[
        (r#"{"label":"x","count":100}"#, "allow"),
        (r#"{"label":["x","y"],"count":1}"#, "allow"),
        (
            r#"{"queueName":"a,b","count":1,"async":true,"fromDate":0,"toDate":9}"#,
            "allow",
        ),
        (r#"{"l\u0061bel":"x","co\u0075nt":7}"#, "allow"),
        (" \n{ \"label\" : \"x\" , \"count\" : 1 }\r\n\t", "allow"),
        (r#"{"messageIds":["a"],"count":100}"#, "allow"),
        (r#"{"messageIds":["a,b",""]}"#, "allow"),
        (
            r#"{"messageIds":["a"],"label":null,"fromDate":null,"count":null,"async":null}"#,
            "allow",
        ),
        (r#"{"messageIds":["a"],"label":"","url":[]}"#, "allow"),
        (r#"{"messageIds":null,"label":"x","count":1}"#, "allow"),
    ]);
}

#[test]
fn what_narrows_nothing_is_unfiltered() {
    judged(&[
        (r#"{"count":100}"#, "unfiltered_cancel"),
        (r#"{"count":101}"#, "unfiltered_cancel count_over_cap"),
        (r#"{"messageIds":null,"count":1}"#, "unfiltered_cancel"),
        (r#"{"messageIds":["",","," "],"count":1}"#, "unfiltered_cancel"),
        (r#"{"label":"","count":1}"#, "unfiltered_cancel"),
        (r#"{"label":null,"count":1}"#, "unfiltered_cancel"),
        (r#"{"label":[],"count":1}"#, "unfiltered_cancel"),
        (r#"{"label":[""," ,\u00a0"],"count":1}"#, "unfiltered_cancel"),
        (r#"{"callerIP":"1.2.3.4","count":1}"#, "unfiltered_cancel"),
        (
            r#"{"fromDate":0,"toDate":99999999999999,"count":1}"#,
            "unfiltered_cancel",
        ),
        (r#"{"async":true}"#, BOTH),
        (r#"{"label":"x"}"#, "uncapped_cancel"),
        (r#"{"label":"x","count":null}"#, "uncapped_cancel"),
        (r#"{"label":"x","count":101}"#, "count_over_cap"),
        (r#"{"label":"x","count":18446744073709551615}"#, "count_over_cap"),
    ]);
}

#[test]
fn types_and_forms() {
    let ambiguous = "ambiguous_request";
    judged(&[
        (r#"{"messageIds":"a"}"#, ambiguous),
        (r#"{"messageIds":1}"#, ambiguous),
        (r#"{"messageIds":{"a":1}}"#, ambiguous),
        (r#"{"messageIds":[1]}"#, ambiguous),
        (r#"{"messageIds":["a",null]}"#, ambiguous),
        (r#"{"messageIds":[["a"]]}"#, ambiguous),
        (r#"{"messageIds":true}"#, ambiguous),
        (r#"{"label":1,"count":1}"#, ambiguous),
        (r#"{"label":false,"count":1}"#, ambiguous),
        (r#"{"label":{"a":"b"},"count":1}"#, ambiguous),
        (r#"{"label":[null],"count":1}"#, ambiguous),
        (r#"{"label":["x",["y"]],"count":1}"#, ambiguous),
        (r#"{"label":"x","count":"1"}"#, ambiguous),
        (r#"{"label":"x","count":0}"#, ambiguous),
        (r#"{"label":"x","count":-1}"#, ambiguous),
        (r#"{"label":"x","count":-0}"#, ambiguous),
        (r#"{"label":"x","count":1.0}"#, ambiguous),
        (r#"{"label":"x","count":1e1}"#, ambiguous),
        (r#"{"label":"x","count":18446744073709551616}"#, ambiguous),
        (r#"{"label":"x","count":[1]}"#, ambiguous),
        (r#"{"label":"x","count":true}"#, ambiguous),
        (r#"{"label":"x","count":1,"async":"true"}"#, ambiguous),
        (r#"{"label":"x","count":1,"async":1}"#, ambiguous),
        (r#"{"label":"x","count":1,"fromDate":"0"}"#, ambiguous),
        (r#"{"label":"x","count":1,"fromDate":-1}"#, ambiguous),
        (r#"{"label":"x","count":1,"toDate":1.5}"#, ambiguous),
        (r#"{"label":"x","count":1,"fromDate":2,"toDate":1}"#, ambiguous),
        (r#"{"messageIds":["a"],"label":"x"}"#, ambiguous),
        (r#"{"messageIds":["a"],"fromDate":0}"#, ambiguous),
        (r#"{"messageIds":["\u0000"]}"#, ambiguous),
        (r#"{"label":"a\nb","count":1}"#, ambiguous),
        // A key twice, however it is spelled, and whatever it holds.
        (r#"{"count":1,"label":"x","count":500}"#, ambiguous),
        (r#"{"messageIds":["a"],"messageIds":[]}"#, ambiguous),
        (r#"{"label":"x","l\u0061bel":null,"count":1}"#, ambiguous),
        (r#"{"label":"x","count":null,"count":1}"#, ambiguous),
    ]);
}

#[test]
fn unknown_keys() {
    judged(&[
        (r#"{"messageIds":["a"],"x":1}"#, "unknown_parameter"),
        (r#"{"messageIds":["a"],"x":null}"#, "unknown_parameter"),
        (r#"{"messageIds":["a"],"":""}"#, "unknown_parameter"),
        (r#"{"messageIds":["a"],"qstash_token":"t"}"#, "unknown_parameter"),
        (
            r#"{"MessageIds":["a"]}"#,
            "unknown_parameter unfiltered_cancel uncapped_cancel",
        ),
        (
            r#"{"me\u017fsageIds":["a"]}"#,
            "unknown_parameter unfiltered_cancel uncapped_cancel",
        ),
        (r#"{"label":"x","count":1,"Count":500}"#, "unknown_parameter"),
        (r#"{"label":"x","count":1,"LABEL":null}"#, "unknown_parameter"),
        (
            r#"{"filter":{"label":"x"},"count":1}"#,
            "unknown_parameter unfiltered_cancel",
        ),
        (
            r#"{"label":1,"x":{"label":"x"}}"#,
            "ambiguous_request unknown_parameter",
        ),
    ]);
}

#[test]
fn what_is_not_one_object() {
    let unsupported = "unsupported_body";
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let nested = format!(r#"{{"label":{deep}}}"#);
    let bodies = [
        "null",
        "[]",
        r#"[{"messageIds":["a"]}]"#,
        r#""messageIds""#,
        "1",
        " ",
        "\n",
        "messageIds=a",
        "{",
        "}",
        r#"{"messageIds":["a"]"#,
        r#"{"messageIds":["a"]}}"#,
        r#"{"messageIds":["a"]}{}"#,
        r#"{"messageIds":["a"]} x"#,
        "{\"messageIds\":[\"a\"]}\0",
        r#"{"messageIds":["a"],}"#,
        r#"{"messageIds":["a",]}"#,
        "{'messageIds':['a']}",
        r#"{messageIds:["a"]}"#,
        r#"{"messageIds":["a"]/**/}"#,
        "\u{feff}{\"messageIds\":[\"a\"]}",
        r#"{"label":"x","count":01}"#,
        r#"{"label":"x","count":+1}"#,
        r#"{"label":"x","count":NaN}"#,
        r#"{"label":"\ud800","count":1}"#,
        "{\"label\":\"a\nb\",\"count\":1}",
        &nested,
    ];
    judged(&bodies.map(|body| (body, unsupported)));
    let policy = Policy::default();
    let encoded = Sent {
        content_encoded: true,
        ..sent("DELETE /v2/messages", r#"{"messageIds":["a"]}"#)
    };
    assert_eq!(said(&encoded.judged(&policy)), unsupported);
    // A coding of nothing is nothing.
    let empty = Sent {
        content_encoded: true,
        ..Sent::line("DELETE /v2/messages?messageIds=a")
    };
    assert_eq!(said(&empty.judged(&policy)), "allow");
    let not_utf8 = b"{\"label\":\"\xff\",\"count\":1}";
    let request = qstash_guard::policy::Request {
        method: "DELETE",
        path: b"/v2/messages",
        query: None,
        overridden: false,
        body: not_utf8,
        content_encoded: false,
    };
    let judgement = judge(&policy, &request, &nobody());
    assert_eq!(said(&judgement), unsupported);
}

#[test]
fn all_parameters_stand_in_one_place() {
    let rows = [
        ("messageIds=a", "{}", "ambiguous_request"),
        ("messageIds=a", r#"{"messageIds":["a"]}"#, "ambiguous_request"),
        ("label=x", r#"{"count":1}"#, "ambiguous_request"),
        ("x=1", r#"{"messageIds":["a"]}"#, "ambiguous_request unknown_parameter"),
        ("label=", r#"{"messageIds":["a"]}"#, "ambiguous_request"),
        ("=", r#"{"messageIds":["a"]}"#, "ambiguous_request unknown_parameter"),
        ("%", r#"{"messageIds":["a"]}"#, "ambiguous_request ambiguous_request"),
        ("messageIds=a", "x", "unsupported_body"),
        ("qstash_token=abc", r#"{"messageIds":["a"]}"#, "allow"),
        ("qstash%5ftoken=abc&", r#"{"messageIds":["a"]}"#, "allow"),
        ("&&", r#"{"messageIds":["a"]}"#, "allow"),
        ("", r#"{"messageIds":["a"]}"#, "allow"),
    ];
    let policy = Policy::default();
    let lines = rows.map(|(query, body, expected)| (format!("DELETE /v2/messages?{query}"), body, expected));
    table(
        lines.iter().map(|(line, body, expected)| (sent(line, body), *expected)),
        |sent| said(&sent.judged(&policy)),
    );
}

#[test]
fn how_many_ids() {
    let array = |count: usize| format!(r#"{{"messageIds":[{}]}}"#, vec![r#""a""#; count].join(","));
    let string = |count: usize| format!(r#"{{"messageIds":["{}"]}}"#, vec!["a"; count].join(","));
    for spelled in [array, string] {
        judged(&[(&spelled(100), "allow"), (&spelled(101), "too_many_message_ids")]);
    }
}

#[test]
fn values_come_split() {
    let policy = Policy::default();
    let body = r#"{"label":["a,b"," c",""],"topicName":"t","count":5,"fromDate":1,"async":false,"url":""}"#;
    let selection = sent("DELETE /v2/messages", body)
        .judged(&policy)
        .reading
        .unwrap()
        .selection;
    assert_eq!(selection.filter("label"), ["a", "b", " c"]);
    assert_eq!(selection.filter("topicName"), ["t"]);
    assert_eq!(selection.empty, ["url"]);
    assert_eq!(
        (selection.count, selection.from_date, selection.to_date),
        (Some(5), Some(1), None)
    );
    assert_eq!(selection.r#async, Some(false));
    assert_eq!(
        policy.bulk_cancel.kind(Operation::MessagesBulkCancel, &selection),
        Kind::Filter
    );
}
