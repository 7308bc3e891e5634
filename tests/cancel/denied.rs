//! Every refusal of a bulk cancel by what its query selects.

use std::fmt::Write as _;

use crate::support::{Guard, Upstream, assert_denied, redacted};
use crate::{delete, start};

/// A query, the status of its refusal, and the codes of all violations in order.
type Row = (&'static str, u16, &'static [&'static str]);

#[track_caller]
fn assert_all_denied(upstream: &Upstream, guard: &Guard, rows: &[Row]) {
    for (target, status, codes) in rows {
        let before = guard.records().len();
        let answer = delete(guard, target);
        let record = assert_denied(guard, before, &answer, *status, codes);
        assert_eq!(record["operation"], "messages.bulk_cancel", "{target}");
        assert_eq!(record["method"], "DELETE", "{target}");
        assert_eq!(
            upstream.connections(),
            0,
            "{target} opened a connection to the upstream"
        );
    }
    upstream.assert_untouched();
    let denied = guard.metric(
        "qstash_guard_requests_total",
        &["operation=\"messages.bulk_cancel\"", "decision=\"deny\""],
    );
    assert_eq!(denied, rows.len() as u64);
}

const UNFILTERED: &[&str] = &["unfiltered_cancel", "uncapped_cancel"];
const AMBIGUOUS: &[&str] = &["ambiguous_request"];

#[test]
fn nothing_that_reaches_everything_goes_on() {
    let (upstream, guard) = start("");
    assert_all_denied(
        &upstream,
        &guard,
        &[
            ("/v2/messages", 403, UNFILTERED),
            ("/v2/messages?", 403, UNFILTERED),
            ("/v2/messages?&&", 403, UNFILTERED),
            ("/v2/messages?count=50", 403, &["unfiltered_cancel"]),
            ("/v2/messages?count=101", 403, &["unfiltered_cancel", "count_over_cap"]),
            ("/v2/messages?messageIds=", 403, UNFILTERED),
            ("/v2/messages?messageIds=&count=5", 403, &["unfiltered_cancel"]),
            ("/v2/messages?messageIds=,,%20,", 403, UNFILTERED),
            ("/v2/messages?messageIds", 403, UNFILTERED),
            ("/v2/messages?label=&count=5", 403, &["unfiltered_cancel"]),
            ("/v2/messages?label=+%09&count=5", 400, AMBIGUOUS),
            ("/v2/messages?label=+&count=5", 403, &["unfiltered_cancel"]),
            ("/v2/messages?label=%E2%80%83&count=5", 403, &["unfiltered_cancel"]),
            ("/v2/messages?fromDate=0&count=5", 403, &["unfiltered_cancel"]),
            (
                "/v2/messages?fromDate=0&toDate=99999999999999&count=5",
                403,
                &["unfiltered_cancel"],
            ),
            ("/v2/messages?callerIp=10.0.0.1&count=5", 403, &["unfiltered_cancel"]),
            ("/v2/messages?callerIP=10.0.0.1&count=5", 403, &["unfiltered_cancel"]),
            ("/v2/messages?async=true&count=5", 403, &["unfiltered_cancel"]),
        ],
    );
}

#[test]
fn a_name_that_qstash_would_ignore_is_no_filter() {
    let (upstream, guard) = start("");
    let both: &[&str] = &["unknown_parameter", "unfiltered_cancel"];
    assert_all_denied(
        &upstream,
        &guard,
        &[
            ("/v2/messages?api=llm&count=5", 403, both),
            ("/v2/messages?urlGroup=g&count=5", 403, both),
            ("/v2/messages?messageId=msg_1&count=5", 403, both),
            ("/v2/messages?Label=a&count=5", 403, both),
            ("/v2/messages?MessageIds=a&count=5", 403, both),
            ("/v2/messages?label%20=a&count=5", 403, both),
            ("/v2/messages?=a&count=5", 403, both),
            ("/v2/messages?label=a&count=5&limit=5", 403, &["unknown_parameter"]),
            (
                "/v2/messages?label=a&Count=5",
                403,
                &["unknown_parameter", "uncapped_cancel"],
            ),
            (
                "/v2/messages?lable=a&quene=b",
                403,
                &[
                    "unknown_parameter",
                    "unknown_parameter",
                    "unfiltered_cancel",
                    "uncapped_cancel",
                ],
            ),
        ],
    );
    let answer = delete(&guard, "/v2/messages?lable=a&count=5");
    assert!(answer.text().contains("did you mean `label`?"), "{answer:?}");
    let answer = delete(&guard, "/v2/messages?urlGroup=a&count=5");
    assert!(answer.text().contains("`topicName`"), "{answer:?}");
}

#[test]
fn a_cancel_over_its_bounds_is_refused_with_every_violation() {
    let (upstream, guard) = start(
        "policy: {bulk_cancel: {max_count: 10, max_message_ids: 3, allowed_filters: [label, queueName], \
         narrowing_filters: [label, queueName, url]}}\n",
    );
    assert_all_denied(
        &upstream,
        &guard,
        &[
            ("/v2/messages?label=a", 403, &["uncapped_cancel"]),
            ("/v2/messages?label=a&count=11", 403, &["count_over_cap"]),
            (
                "/v2/messages?label=a&count=99999999999999999999999",
                403,
                &["count_over_cap"],
            ),
            (
                "/v2/messages?url=https://example.com&count=5",
                403,
                &["filter_not_allowed"],
            ),
            (
                "/v2/messages?url=https://example.com&label=a&count=5",
                403,
                &["filter_not_allowed"],
            ),
            (
                "/v2/messages?url=https://example.com",
                403,
                &["filter_not_allowed", "uncapped_cancel"],
            ),
            // A filter, but none that narrows under this policy.
            (
                "/v2/messages?topicName=a",
                403,
                &["unfiltered_cancel", "filter_not_allowed", "uncapped_cancel"],
            ),
            ("/v2/messages?messageIds=a,b,c,d", 403, &["too_many_message_ids"]),
            (
                "/v2/messages?messageIds=a&messageIds=a&messageIds=a&messageIds=a",
                403,
                &["too_many_message_ids"],
            ),
            (
                "/v2/messages?messageIds=a,b%2Cc&messageIds=d",
                403,
                &["too_many_message_ids"],
            ),
            (
                "/v2/messages?messageIds=a,b,c,d&count=11",
                403,
                &["count_over_cap", "too_many_message_ids"],
            ),
            ("/v2/messages?messageIds=a&count=11", 403, &["count_over_cap"]),
        ],
    );
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let (upstream, guard) = start("");
    let twice: &[&str] = &["ambiguous_request", "ambiguous_request"];
    assert_all_denied(
        &upstream,
        &guard,
        &[
            ("/v2/messages?label=%zz&count=5", 400, AMBIGUOUS),
            ("/v2/messages?label=a%&count=5", 400, AMBIGUOUS),
            ("/v2/messages?label=a;b&count=5", 400, AMBIGUOUS),
            ("/v2/messages?label=a;count=5", 400, AMBIGUOUS),
            ("/v2/messages?label=%00&count=5", 400, AMBIGUOUS),
            ("/v2/messages?la%0Abel=a&count=5", 400, AMBIGUOUS),
            ("/v2/messages?label=%ff&count=5", 400, AMBIGUOUS),
            ("/v2/messages?label=a&count=5&count=5", 400, AMBIGUOUS),
            ("/v2/messages?label=a&count=", 400, AMBIGUOUS),
            ("/v2/messages?label=a&count=05", 400, AMBIGUOUS),
            ("/v2/messages?label=a&count=0", 400, AMBIGUOUS),
            ("/v2/messages?label=a&count=-1", 400, AMBIGUOUS),
            ("/v2/messages?label=a&count=+5", 400, AMBIGUOUS),
            ("/v2/messages?label=a&count=5.0", 400, AMBIGUOUS),
            ("/v2/messages?label=a&count=1e2", 400, AMBIGUOUS),
            ("/v2/messages?label=a&count=%D9%A5", 400, AMBIGUOUS),
            ("/v2/messages?label=a&count=5&fromDate=yesterday", 400, AMBIGUOUS),
            ("/v2/messages?label=a&count=5&fromDate=1&fromDate=1", 400, AMBIGUOUS),
            ("/v2/messages?label=a&count=5&fromDate=2&toDate=1", 400, AMBIGUOUS),
            ("/v2/messages?label=a&count=5&toDate=-1", 400, AMBIGUOUS),
            ("/v2/messages?label=a&count=5&async=1", 400, AMBIGUOUS),
            ("/v2/messages?label=a&count=5&async=True", 400, AMBIGUOUS),
            ("/v2/messages?label=a&count=5&async=true&async=true", 400, AMBIGUOUS),
            ("/v2/messages?messageIds=a&label=b", 400, AMBIGUOUS),
            ("/v2/messages?messageIds=a&fromDate=1", 400, AMBIGUOUS),
            ("/v2/messages?messageIds=a&callerIp=b", 400, AMBIGUOUS),
            ("/v2/messages?label=a;b&count=x", 400, twice),
            (
                "/v2/messages?label=a&count=x&nope=1",
                400,
                &["ambiguous_request", "unknown_parameter"],
            ),
        ],
    );
}

#[test]
fn no_more_than_a_thousand_ids_whatever_the_policy_says() {
    let (upstream, guard) = start("policy: {bulk_cancel: {max_message_ids: 1000}}\n");
    let ids = |number: usize| {
        let ids: Vec<String> = (0..number).map(|id| format!("m{id}")).collect();
        format!("/v2/messages?messageIds={}", ids.join(","))
    };
    let before = guard.records().len();
    let record = assert_denied(
        &guard,
        before,
        &delete(&guard, &ids(1001)),
        403,
        &["too_many_message_ids"],
    );
    // A denial holds the first hundred.
    assert_eq!(record["selection"]["ids"].as_array().unwrap().len(), 100);
    assert_eq!(record["selection"]["ids_total"], 1001);
    assert!(record["target"].as_str().unwrap().len() < 1100, "{record}");
    upstream.assert_untouched();
    assert_eq!(delete(&guard, &ids(1000)).status(), 202);
    let intent = guard.records_of("intent").remove(0);
    assert_eq!(
        intent["selection"]["ids"].as_array().unwrap().len(),
        1000,
        "an intent holds all"
    );
}

#[test]
fn refusals_and_their_records_read_well() {
    let (upstream, guard) = start("");
    let mut shown = String::new();
    for target in [
        "/v2/messages",
        "/v2/messages?fromDate=0&label=&count=500",
        "/v2/messages?lable=nightly&count=5",
        "/v2/messages?label=nightly",
        "/v2/messages?messageIds=a&label=b",
        "/v2/messages/../messages?label=a&count=5",
    ] {
        let before = guard.records().len();
        let answer = delete(&guard, target);
        let record = guard.records().remove(before);
        _ = write!(
            shown,
            "DELETE {target}\n{} {:#}\n{}\n\n",
            answer.status(),
            redacted(&answer.json()),
            redacted(&record)
        );
    }
    insta::assert_snapshot!("refusals", shown);
    upstream.assert_untouched();
}
