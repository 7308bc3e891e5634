//! Selections in the query.

use qstash_guard::policy::Policy;
use qstash_guard::qstash::operation::Operation;
use qstash_guard::qstash::selection::{Kind, Selection};

use super::{Sent, said, table};

fn line(query: &str) -> String {
    if query.is_empty() {
        "DELETE /v2/messages".to_owned()
    } else {
        format!("DELETE /v2/messages?{query}")
    }
}

/// Rows of a query and its outcome under the default policy.
#[track_caller]
fn judged(rows: &[(&str, &str)]) {
    let policy = Policy::default();
    let lines: Vec<(String, &str)> = rows.iter().map(|&(query, expected)| (line(query), expected)).collect();
    table(
        lines.iter().map(|(line, expected)| (Sent::line(line), *expected)),
        |sent| said(&sent.judged(&policy)),
    );
}

fn selection(query: &str) -> (Selection, Kind) {
    let policy = Policy::default();
    let selection = Sent::line(&line(query))
        .judged(&policy)
        .reading
        .expect("a bulk cancel is read")
        .selection;
    let kind = policy.bulk_cancel.kind(Operation::MessagesBulkCancel, &selection);
    (selection, kind)
}

#[test]
fn bounded_cancels_pass() {
    judged(&[
        ("messageIds=a", "allow"),
        ("messageIds=a&messageIds=b", "allow"),
        ("messageIds=a,b,c", "allow"),
        ("messageIds=a%2Cb", "allow"),
        ("messageIds=a&count=100", "allow"),
        ("messageIds=a&async=true", "allow"),
        ("label=x&count=1", "allow"),
        ("label=x&count=100", "allow"),
        ("count=100&label=x", "allow"),
        (
            "queueName=a+b&queueName=c%2Cd&url=https%3A%2F%2Fexample.com%2F&fromDate=0&count=7",
            "allow",
        ),
        ("topicName=t&count=1", "allow"),
        ("queueName=q&count=1", "allow"),
        ("url=https://example.com/?x&count=1", "allow"),
        ("host=example.com&count=1", "allow"),
        ("path=/a&count=1", "allow"),
        ("flowControlKey=k&count=1", "allow"),
        ("scheduleId=s&count=1", "allow"),
        (
            "label=x&count=5&async=false&fromDate=1&toDate=2&callerIp=1.2.3.4&callerIP=1.2.3.4",
            "allow",
        ),
        ("l%61bel=x&c%6Funt=%35", "allow"),
        ("label=a=b&count=1", "allow"),
        ("label=%3B%26&count=1", "allow"),
        ("&&label=x&&count=1&", "allow"),
        ("qstash_token=abc&label=x&count=1", "allow"),
        ("label=x&count=1&qstash%5Ftoken=abc", "allow"),
    ]);
}

#[test]
fn what_narrows_nothing_is_unfiltered() {
    let both = "unfiltered_cancel uncapped_cancel";
    judged(&[
        ("", both),
        ("&", both),
        ("&&&", both),
        ("qstash_token=abc", both),
        ("count=100", "unfiltered_cancel"),
        ("count=101", "unfiltered_cancel count_over_cap"),
        ("async=true", both),
        ("fromDate=0", both),
        ("fromDate=0&count=1", "unfiltered_cancel"),
        ("toDate=99999999999999&count=1", "unfiltered_cancel"),
        ("callerIp=1.2.3.4&count=1", "unfiltered_cancel"),
        ("callerIP=1.2.3.4&count=1", "unfiltered_cancel"),
        ("fromDate=1&toDate=2&callerIp=x", both),
        // Empty, blank, or nothing but commas.
        ("messageIds=", both),
        ("messageIds", both),
        ("messageIds=,", both),
        ("messageIds=%20", both),
        ("messageIds=+,%2C&count=1", "unfiltered_cancel"),
        ("label=&count=1", "unfiltered_cancel"),
        ("label&count=1", "unfiltered_cancel"),
        ("label=,&count=1", "unfiltered_cancel"),
        ("label=%2C+%2C&count=1", "unfiltered_cancel"),
        ("label=+&count=1", "unfiltered_cancel"),
        ("label=%C2%A0&count=1", "unfiltered_cancel"),
        ("label=%E3%80%80&count=1", "unfiltered_cancel"),
        ("label=&queueName=&url=&count=1", "unfiltered_cancel"),
        ("label=&queueName=q&count=1", "allow"),
        ("label=x,&count=1", "allow"),
    ]);
}

#[test]
fn a_cap_is_a_decimal_count() {
    judged(&[
        ("label=x", "uncapped_cancel"),
        ("label=x&async=true", "uncapped_cancel"),
        ("label=x&count=101", "count_over_cap"),
        ("label=x&count=18446744073709551615", "count_over_cap"),
        ("label=x&count=18446744073709551616", "count_over_cap"),
        ("label=x&count=4294967297", "count_over_cap"),
        ("messageIds=a&count=101", "count_over_cap"),
        ("label=x&count=", "ambiguous_request"),
        ("label=x&count", "ambiguous_request"),
        ("label=x&count=0", "ambiguous_request"),
        ("label=x&count=01", "ambiguous_request"),
        ("label=x&count=-1", "ambiguous_request"),
        ("label=x&count=+5", "ambiguous_request"),
        ("label=x&count=%2B5", "ambiguous_request"),
        ("label=x&count=5+", "ambiguous_request"),
        ("label=x&count=1e2", "ambiguous_request"),
        ("label=x&count=5.0", "ambiguous_request"),
        ("label=x&count=0x5", "ambiguous_request"),
        ("label=x&count=1_0", "ambiguous_request"),
        ("label=x&count=5,6", "ambiguous_request"),
        ("label=x&count=%EF%BC%95", "ambiguous_request"),
        ("label=x&count=5&count=5", "ambiguous_request"),
        ("label=x&count=5&co%75nt=500", "ambiguous_request"),
        ("messageIds=a&count=", "ambiguous_request"),
        ("count=0", "ambiguous_request"),
    ]);
}

#[test]
fn dates_and_async() {
    judged(&[
        ("label=x&count=1&fromDate=1&toDate=1", "allow"),
        ("label=x&count=1&fromDate=007", "allow"),
        ("label=x&count=1&fromDate=&toDate=+", "allow"),
        ("label=x&count=1&async=", "allow"),
        ("label=x&count=1&async", "allow"),
        ("label=x&count=1&fromDate=2&toDate=1", "ambiguous_request"),
        ("label=x&count=1&fromDate=-1", "ambiguous_request"),
        ("label=x&count=1&toDate=2026-01-01", "ambiguous_request"),
        ("label=x&count=1&fromDate=1.5", "ambiguous_request"),
        ("label=x&count=1&fromDate=1&fromDate=1", "ambiguous_request"),
        ("label=x&count=1&fromDate=&fromDate=1", "ambiguous_request"),
        ("label=x&count=1&toDate=1&toDate=2", "ambiguous_request"),
        ("label=x&count=1&async=True", "ambiguous_request"),
        ("label=x&count=1&async=1", "ambiguous_request"),
        ("label=x&count=1&async=true&async=true", "ambiguous_request"),
        ("label=x&count=1&async=true,false", "ambiguous_request"),
        // Each is a violation of its own.
        (
            "label=x&count=0&async=no&fromDate=x",
            "ambiguous_request ambiguous_request ambiguous_request",
        ),
    ]);
}

#[test]
fn ids_stand_alone() {
    judged(&[
        ("messageIds=a&label=x", "ambiguous_request"),
        ("messageIds=a&label=x&count=1", "ambiguous_request"),
        ("messageIds=a&callerIp=1.2.3.4", "ambiguous_request"),
        ("messageIds=a&fromDate=0", "ambiguous_request"),
        ("messageIds=a&toDate=9", "ambiguous_request"),
        ("messageIds=a&label=", "allow"),
        ("messageIds=a&fromDate=", "allow"),
        ("messageIds=&label=x&count=1", "allow"),
        ("messageIds=,a,", "allow"),
    ]);
}

#[test]
fn how_many_ids() {
    for separator in [",", "&messageIds=", "%2C"] {
        let spelled = |count: usize| {
            let ids: Vec<String> = (0..count).map(|id| id.to_string()).collect();
            format!("messageIds={}", ids.join(separator))
        };
        judged(&[
            (&spelled(100), "allow"),
            (&spelled(101), "too_many_message_ids"),
            (&spelled(1001), "too_many_message_ids"),
            (
                &format!("{}&count=101", spelled(101)),
                "count_over_cap too_many_message_ids",
            ),
        ]);
    }
    // The same one a hundred and one times is a hundred and one.
    judged(&[(&vec!["messageIds=a"; 101].join("&"), "too_many_message_ids")]);
    judged(&[(
        &format!("messageIds={}", ",".repeat(500)),
        "unfiltered_cancel uncapped_cancel",
    )]);
}

#[test]
fn unknown_parameters() {
    judged(&[
        ("label=x&count=1&lable=y", "unknown_parameter"),
        ("Label=x&count=1", "unknown_parameter unfiltered_cancel"),
        ("MessageIds=a", "unknown_parameter unfiltered_cancel uncapped_cancel"),
        ("label=x&Count=1", "unknown_parameter uncapped_cancel"),
        ("api=llm&count=1", "unknown_parameter unfiltered_cancel"),
        ("urlGroup=g&count=1", "unknown_parameter unfiltered_cancel"),
        ("messageId=a&count=1", "unknown_parameter unfiltered_cancel"),
        ("messageIds[]=a", "unknown_parameter unfiltered_cancel uncapped_cancel"),
        ("label%20=x&count=1", "unknown_parameter unfiltered_cancel"),
        ("+label=x&count=1", "unknown_parameter unfiltered_cancel"),
        ("label%3Dx&count=1", "unknown_parameter unfiltered_cancel"),
        ("messageIds=a&cursor=c", "unknown_parameter"),
        ("messageIds=a&=x", "unknown_parameter"),
        ("messageIds=a&=", "unknown_parameter"),
        ("messageIds=a&Qstash_token=abc", "unknown_parameter"),
        ("messageIds=a&x=1&x=2&y=3", "unknown_parameter unknown_parameter"),
        (
            "me%C5%BFsageIds=a",
            "unknown_parameter unfiltered_cancel uncapped_cancel",
        ),
    ]);
}

#[test]
fn what_parsers_read_differently() {
    judged(&[
        ("label=%&count=1", "ambiguous_request"),
        ("label=%2&count=1", "ambiguous_request"),
        ("label=%zz&count=1", "ambiguous_request"),
        ("%zz=1&messageIds=a", "ambiguous_request"),
        ("label=a;b&count=1", "ambiguous_request"),
        ("label=x;count=1", "ambiguous_request"),
        (";&label=x&count=1", "ambiguous_request"),
        ("label=%00&count=1", "ambiguous_request"),
        ("label=a%0Ab&count=1", "ambiguous_request"),
        ("label%00=x&count=1", "ambiguous_request"),
        ("label=%7F&count=1", "ambiguous_request"),
        ("label=%C2%85&count=1", "ambiguous_request"),
        ("label=\t&count=1", "ambiguous_request"),
        ("label=%FF&count=1", "ambiguous_request"),
        ("label=%ED%A0%80&count=1", "ambiguous_request"),
        ("label=%C0%AF&count=1", "ambiguous_request"),
        ("qstash_token=a;b&label=x&count=1", "ambiguous_request"),
        // The reach of what cannot be read is not judged, unknown names are.
        ("label=%&lable=x", "ambiguous_request unknown_parameter"),
        ("label=%&label=%2&x=;", "ambiguous_request ambiguous_request"),
    ]);
}

#[test]
fn values_come_decoded_once_and_split() {
    let (selection, kind) =
        selection("label=a%2Cb&label=c,,%20d&queueName=x+y&count=%37&fromDate=1&toDate=02&async=true");
    assert_eq!(selection.filter("label"), ["a", "b", "c", " d"]);
    assert_eq!(selection.filter("queueName"), ["x y"]);
    assert_eq!(selection.filter("url"), [""; 0]);
    assert_eq!(
        (selection.count, selection.from_date, selection.to_date),
        (Some(7), Some(1), Some(2))
    );
    assert_eq!((selection.r#async, kind), (Some(true), Kind::Filter));
}

#[test]
fn kinds_of_selections() {
    for (query, expected) in [
        ("messageIds=%252e", Kind::Ids),
        ("messageIds=a&messageIds=a", Kind::Ids),
        ("label=x", Kind::Filter),
        ("callerIp=x&label=x", Kind::Filter),
        ("callerIp=x", Kind::All),
        ("fromDate=1", Kind::All),
        ("count=1&async=true", Kind::All),
        ("label=", Kind::All),
    ] {
        assert_eq!(selection(query).1, expected, "{query}");
    }
    assert_eq!(selection("messageIds=%252e&messageIds=b,b").0.ids, ["%2e", "b", "b"]);
    assert_eq!(
        selection("label=&messageIds=,&label=x&toDate=").0.empty,
        ["messageIds", "toDate"]
    );
}
