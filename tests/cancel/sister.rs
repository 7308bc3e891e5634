//! The other bulk operations under `guard`: each row of their table, over sockets, with its own parameters.

use serde_json::{Value, json};

use crate::support::check::assert_unchanged;
use crate::support::upstream::answer;
use crate::support::{Guard, Upstream, assert_denied, assert_forwarded, request};
use crate::{TOKEN, UNLIMITED};

/// A bulk operation, and what is its own.
pub(super) struct Sister {
    pub(super) name: &'static str,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) ids: &'static str,
    /// An answer that says 2.
    pub(super) two: &'static str,
    /// Filters that narrow, as pairs, and as they are recorded.
    narrowing: &'static [(&'static str, &'static str)],
    /// Pairs that are known and narrow nothing.
    weak: &'static [&'static str],
    /// Names that it does not have, and what the refusal says of them.
    foreign: &'static [(&'static str, &'static str)],
}

const DLQ: &[(&str, &str)] = &[
    ("messageId=m", r#"{"messageId":["m"]}"#),
    ("url=https://a.test", r#"{"url":["https://a.test"]}"#),
    ("topicName=t,u", r#"{"topicName":["t","u"]}"#),
    ("scheduleId=s", r#"{"scheduleId":["s"]}"#),
    ("queueName=q&queueName=r", r#"{"queueName":["q","r"]}"#),
    ("label=%61", r#"{"label":["a"]}"#),
    ("flowControlKey=k", r#"{"flowControlKey":["k"]}"#),
];

const WEAK_IN_DLQ: &[&str] = &[
    "fromDate=0",
    "toDate=9",
    "responseStatus=500,503",
    "callerIp=1.1.1.1",
    "callerIP=1.1.1.1",
    "cursor=abc",
    "label=",
    "messageId=",
];

const NOT_IN_DLQ: &[(&str, &str)] = &[
    ("host=h", "known are dlqIds, messageId"),
    ("async=true", "known are"),
    ("dlqId=d", "did you mean `dlqIds`?"),
    ("Label=a", "did you mean `label`?"),
    ("messageIds=m", "did you mean `messageId`?"),
    ("urlGroup=g", "did you mean `topicName`"),
];

const RUNS_IN_DLQ: &[(&str, &str)] = &[
    ("workflowRunId=w", r#"{"workflowRunId":["w"]}"#),
    ("label=a", r#"{"label":["a"]}"#),
    ("flowControlKey=k", r#"{"flowControlKey":["k"]}"#),
    (
        "workflowUrl=https://a.test/w",
        r#"{"workflowUrl":["https://a.test/w"]}"#,
    ),
    (
        "workflowUrl=https://a.test&workflowUrlExactMatch=true",
        r#"{"workflowUrl":["https://a.test"],"workflowUrlExactMatch":["true"]}"#,
    ),
];

const WEAK_FOR_RUNS: &[&str] = &[
    "workflowUrl=https://a.test",
    "workflowUrl=https://a.test/",
    "workflowUrl=https://a.test/x,https://a.test/",
    "workflowUrl=https://a.test&workflowUrlExactMatch=false",
    "workflowUrlExactMatch=true",
    "callerIp=1.1.1.1",
    "fromDate=0&toDate=9",
];

const WEAK_FOR_DEAD_RUNS: &[&str] = &[
    "workflowCreatedAt=1767225600000",
    "failureFunctionState=CALLBACK_FAIL",
    "responseStatus=500",
    "cursor=abc",
];

const NOT_OF_RUNS: &[(&str, &str)] = &[
    ("url=https://a.test/w", "did you mean `workflowUrl`?"),
    ("callerIP=1.1.1.1", "did you mean `callerIp`?"),
    ("workflowURL=https://a.test/w", "did you mean `workflowUrl`?"),
    ("queueName=q", "is no parameter of a bulk"),
];

pub(super) const SISTERS: [Sister; 6] = [
    Sister {
        name: "dlq.bulk_delete",
        method: "DELETE",
        path: "/v2/dlq",
        ids: "dlqIds",
        two: r#"{"deleted":2,"cursor":"c"}"#,
        narrowing: DLQ,
        weak: WEAK_IN_DLQ,
        foreign: NOT_IN_DLQ,
    },
    Sister {
        name: "dlq.bulk_retry",
        method: "POST",
        path: "/v2/dlq/retry",
        ids: "dlqIds",
        two: r#"{"cursor":"","responses":[{"messageId":"a"},[{"messageId":"b"},{"messageId":"c"}]]}"#,
        narrowing: DLQ,
        weak: WEAK_IN_DLQ,
        foreign: NOT_IN_DLQ,
    },
    Sister {
        name: "workflows.bulk_cancel",
        method: "DELETE",
        path: "/v2/workflows/runs",
        ids: "workflowRunIds",
        two: r#"{"cancelled":2}"#,
        narrowing: &[
            ("label=a", r#"{"label":["a"]}"#),
            ("flowControlKey=k", r#"{"flowControlKey":["k"]}"#),
            ("host=h", r#"{"host":["h"]}"#),
            ("path=/p&async=false", r#"{"path":["/p"]}"#),
            (
                "workflowUrl=https://a.test/w",
                r#"{"workflowUrl":["https://a.test/w"]}"#,
            ),
        ],
        weak: WEAK_FOR_RUNS,
        foreign: NOT_OF_RUNS,
    },
    Sister {
        name: "workflows.dlq.bulk_delete",
        method: "DELETE",
        path: "/v2/workflows/dlq",
        ids: "dlqIds",
        two: r#"{"deleted":2}"#,
        narrowing: RUNS_IN_DLQ,
        weak: WEAK_FOR_DEAD_RUNS,
        foreign: NOT_OF_RUNS,
    },
    Sister {
        name: "workflows.dlq.bulk_resume",
        method: "POST",
        path: "/v2/workflows/dlq/resume",
        ids: "dlqIds",
        two: r#"{"workflowRuns":[{},{}]}"#,
        narrowing: RUNS_IN_DLQ,
        weak: WEAK_FOR_RUNS,
        foreign: NOT_OF_RUNS,
    },
    Sister {
        name: "workflows.dlq.bulk_restart",
        method: "POST",
        path: "/v2/workflows/dlq/restart",
        ids: "dlqIds",
        two: r#"{"cursor":"c","workflowRuns":[{},{}]}"#,
        narrowing: RUNS_IN_DLQ,
        weak: WEAK_FOR_DEAD_RUNS,
        foreign: NOT_OF_RUNS,
    },
];

impl Sister {
    /// A guard of this operation alone beside the bulk cancel, before an upstream that always says 2.
    pub(super) fn start(&self, yaml: &str) -> (Upstream, Guard) {
        let two = self.two;
        let upstream = Upstream::answering(move |_| answer("200 OK", two));
        let yaml = format!("{UNLIMITED}policy:\n  operations: {{{}: guard}}\n{yaml}", self.name);
        let guard = Guard::start(&upstream.url(), &yaml);
        (upstream, guard)
    }

    fn ask(&self, guard: &Guard, query: &str, body: &str) -> crate::Answer {
        let query = if query.is_empty() {
            String::new()
        } else {
            format!("?{query}")
        };
        let target = format!("{}{query}", self.path);
        request(guard.address, self.method, &target, &[TOKEN], body.as_bytes())
    }

    #[track_caller]
    fn assert_passes(&self, upstream: &Upstream, guard: &Guard, query: &str, body: &str, selection: &Value) {
        let (before, requests) = (guard.records().len(), upstream.requests().len());
        let answer = self.ask(guard, query, body);
        assert_eq!(
            (answer.status(), answer.text().as_str()),
            (200, self.two),
            "{} {query} {body} {answer:?}",
            self.name
        );
        let got = upstream.requests().split_off(requests);
        assert_eq!(got.len(), 1, "{} {query} was sent once", self.name);
        let query = if query.is_empty() {
            String::new()
        } else {
            format!("?{query}")
        };
        let target = format!("{}{query}", self.path);
        assert_unchanged(
            &got[0],
            self.method,
            &target,
            &[TOKEN],
            body.as_bytes(),
            &upstream.host(),
        );
        let (intent, outcome) = assert_forwarded(guard, before);
        assert_eq!(&intent["selection"], selection, "{} {query} {body}", self.name);
        assert_eq!(
            (&intent["operation"], &intent["decision"]),
            (&json!(self.name), &json!("allow"))
        );
        assert_eq!(
            (&outcome["result"], &outcome["cancelled"]),
            (&json!("completed"), &json!(2)),
            "{}",
            self.name
        );
    }

    #[track_caller]
    fn assert_denied(&self, upstream: &Upstream, guard: &Guard, query: &str, body: &str, codes: &[&str]) -> String {
        let (before, bytes) = (guard.records().len(), upstream.bytes().len());
        let status = match codes[0] {
            "ambiguous_request" | "unsupported_body" => 400,
            _ => 403,
        };
        let answer = self.ask(guard, query, body);
        let record = assert_denied(guard, before, &answer, status, codes);
        assert_eq!(record["operation"], self.name, "{query}");
        assert_eq!(
            upstream.bytes().len(),
            bytes,
            "{} {query} reached the upstream",
            self.name
        );
        answer.text()
    }
}

#[test]
fn bounded_requests_go_on_as_they_are() {
    for sister in &SISTERS {
        let (upstream, guard) = sister.start("");
        let ids = sister.ids;
        sister.assert_passes(
            &upstream,
            &guard,
            &format!("{ids}=a,b&{ids}=c"),
            "",
            &json!({"kind": "ids", "ids": ["a", "b", "c"], "ids_total": 3}),
        );
        sister.assert_passes(
            &upstream,
            &guard,
            "",
            &format!(r#"{{"{ids}": ["a", "b"]}}"#),
            &json!({"kind": "ids", "ids": ["a", "b"], "ids_total": 2}),
        );
        for (pairs, filters) in sister.narrowing {
            let mut selection = json!({
                "kind": "filter",
                "filters": serde_json::from_str::<Value>(filters).unwrap(),
                "count": 50,
            });
            if pairs.contains("async") {
                selection["async"] = json!(false);
            }
            sister.assert_passes(&upstream, &guard, &format!("{pairs}&count=50"), "", &selection);
        }
        assert_eq!(guard.verify().0, Some(0));
    }
}

#[test]
fn what_reaches_everything_or_has_no_cap_is_refused() {
    let unfiltered: &[&str] = &["unfiltered_cancel"];
    for sister in &SISTERS {
        let (upstream, guard) = sister.start("");
        let deny =
            |query: &str, body: &str, codes: &[&str]| sister.assert_denied(&upstream, &guard, query, body, codes);
        let both = ["unfiltered_cancel", "uncapped_cancel"];
        let said = deny("", "", &both);
        assert!(said.contains(&format!("add {} or one of", sister.ids)), "{said}");
        deny("count=5", "", unfiltered);
        deny(&format!("{}=", sister.ids), "", &both);
        deny("", "{}", &both);
        deny("", &format!(r#"{{"{}": []}}"#, sister.ids), &both);
        deny("count=101", "", &["unfiltered_cancel", "count_over_cap"]);
        for pairs in sister.weak {
            deny(&format!("{pairs}&count=5"), "", unfiltered);
        }
        deny("label=a", "", &["uncapped_cancel"]);
        deny("label=a&count=101", "", &["count_over_cap"]);
        let many: Vec<String> = (0..101).map(|number| number.to_string()).collect();
        deny(
            &format!("{}={}", sister.ids, many.join(",")),
            "",
            &["too_many_message_ids"],
        );
        for (pair, told) in sister.foreign {
            let said = deny(&format!("{pair}&label=a&count=5"), "", &["unknown_parameter"]);
            assert!(said.contains(told), "{}: {said}", sister.name);
        }
        upstream.assert_untouched();
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    for sister in &SISTERS {
        let (upstream, guard) = sister.start("");
        let ids = sister.ids;
        for query in [
            format!("{ids}=a&label=b"),
            format!("{ids}=a&fromDate=1"),
            "label=a&count=5&count=6".to_owned(),
            "label=a&count=05".to_owned(),
            "label=a&count=".to_owned(),
            "label=a;b&count=5".to_owned(),
            "label=%&count=5".to_owned(),
            "label=%00&count=5".to_owned(),
            "label=a&count=5&fromDate=x".to_owned(),
            "label=a&count=5&fromDate=9&toDate=1".to_owned(),
        ] {
            sister.assert_denied(&upstream, &guard, &query, "", &["ambiguous_request"]);
        }
        for body in [
            format!(r#"{{"{ids}": "a"}}"#),
            format!(r#"{{"{ids}": [1]}}"#),
            format!(r#"{{"{ids}": [null]}}"#),
            format!(r#"{{"{ids}": ["a"], "{ids}": []}}"#),
            r#"{"label": 1, "count": 5}"#.to_owned(),
            r#"{"label": "a", "count": "5"}"#.to_owned(),
        ] {
            sister.assert_denied(&upstream, &guard, "", &body, &["ambiguous_request"]);
        }
        sister.assert_denied(&upstream, &guard, "label=a&count=5", "{}", &["ambiguous_request"]);
        sister.assert_denied(&upstream, &guard, "", "[]", &["unsupported_body"]);
        upstream.assert_untouched();
    }
}

/// What only some of them have: single values, numbers, flags and cursors.
#[test]
fn each_form_of_a_parameter_has_its_own_faults() {
    let of = |name: &str| SISTERS.iter().find(|sister| sister.name == name).unwrap();
    let dlq: &[(&str, &str, &str)] = &[
        (
            "messageId=a&messageId=b&count=5",
            "",
            "`messageId` is given more than once",
        ),
        (
            "messageId=&messageId=b&count=5",
            "",
            "`messageId` is given more than once",
        ),
        ("messageId=a,b&count=5", "", "`messageId` takes one value"),
        (
            "label=a&count=5&responseStatus=5xx",
            "",
            "`responseStatus` takes decimal numbers",
        ),
        (
            "label=a&count=5&responseStatus=500&responseStatus=-1",
            "",
            "`responseStatus` takes decimal numbers",
        ),
        (
            "label=a&count=5&cursor=a&cursor=b",
            "",
            "`cursor` is given more than once",
        ),
        (
            "",
            r#"{"messageId": ["a"], "count": 5}"#,
            "`messageId` must be a string",
        ),
        (
            "",
            r#"{"label": "a", "count": 5, "responseStatus": true}"#,
            "`responseStatus` must be a whole number or an array",
        ),
        (
            "",
            r#"{"label": "a", "count": 5, "responseStatus": [500, "x"]}"#,
            "`responseStatus` must be a whole number or",
        ),
        (
            "",
            r#"{"label": "a", "count": 5, "cursor": 7}"#,
            "`cursor` must be a string",
        ),
        (
            "",
            r#"{"label": "a", "count": 5, "cursor": "\u0000"}"#,
            "`cursor` has a control character",
        ),
    ];
    let runs: &[(&str, &str, &str)] = &[
        (
            "workflowUrl=https://a.test&workflowUrlExactMatch=yes&count=5",
            "",
            "`workflowUrlExactMatch` is neither true nor false",
        ),
        (
            "workflowUrl=https://a.test&workflowUrlExactMatch=false&workflowUrlExactMatch=true&count=5",
            "",
            "`workflowUrlExactMatch` is given more than once",
        ),
        (
            "",
            r#"{"workflowUrl": "https://a.test", "workflowUrlExactMatch": "true", "count": 5}"#,
            "must be true or false",
        ),
        (
            "label=a&count=5&workflowCreatedAt=today",
            "",
            "`workflowCreatedAt` is not a decimal number",
        ),
        (
            "label=a&count=5&failureFunctionState=A,B",
            "",
            "`failureFunctionState` takes one value",
        ),
        (
            "workflowRunId=a&workflowRunId=b&count=5",
            "",
            "`workflowRunId` is given more than once",
        ),
        (
            "",
            r#"{"label": "a", "count": 5, "workflowCreatedAt": [1]}"#,
            "`workflowCreatedAt` must be a whole number",
        ),
    ];
    for (sister, rows) in [(of("dlq.bulk_delete"), dlq), (of("workflows.dlq.bulk_resume"), runs)] {
        let (upstream, guard) = sister.start("");
        for (query, body, told) in rows {
            let said = sister.assert_denied(&upstream, &guard, query, body, &["ambiguous_request"]);
            assert!(said.contains(told), "{query} {body}: {said}");
        }
        upstream.assert_untouched();
    }
    let sister = of("dlq.bulk_retry");
    let (upstream, guard) = sister.start("");
    for body in [
        r#"{"label": "a", "count": 5, "responseStatus": 503, "cursor": "c"}"#,
        r#"{"label": "a", "count": 5, "responseStatus": [503]}"#,
        r#"{"label": "a", "count": 5, "responseStatus": "503"}"#,
    ] {
        let filters = json!({"label": ["a"], "responseStatus": ["503"]});
        let selection = json!({"kind": "filter", "filters": filters, "count": 5});
        sister.assert_passes(&upstream, &guard, "", body, &selection);
    }
}

/// A prefix of everything is said to be one.
#[test]
fn a_workflow_url_that_narrows_nothing_is_told_why() {
    let sister = SISTERS
        .iter()
        .find(|sister| sister.name == "workflows.bulk_cancel")
        .unwrap();
    let (upstream, guard) = sister.start("");
    let said = sister.assert_denied(
        &upstream,
        &guard,
        "workflowUrl=https://a.test/&count=5",
        "",
        &["unfiltered_cancel"],
    );
    assert!(said.contains("workflowUrl is a prefix"), "{said}");
    assert!(said.contains("cancel every workflow run"), "{said}");
    upstream.assert_untouched();
}

/// The policy's bounds hold for all of them, but what narrows messages is of messages alone.
#[test]
fn bounds_of_the_policy_are_theirs_too() {
    let sister = &SISTERS[0];
    let (upstream, guard) = sister.start(
        "  bulk_cancel: {max_count: 7, max_message_ids: 2, allowed_filters: [label, messageId], narrowing_filters: \
         [queueName], extra_parameters: [shard]}\n",
    );
    let filter = |name: &str| json!({"kind": "filter", "filters": {name: ["a"]}, "count": 7});
    sister.assert_passes(&upstream, &guard, "label=a&count=7", "", &filter("label"));
    sister.assert_passes(
        &upstream,
        &guard,
        "messageId=a&count=7&shard=1",
        "",
        &filter("messageId"),
    );
    sister.assert_denied(&upstream, &guard, "label=a&count=8", "", &["count_over_cap"]);
    sister.assert_denied(&upstream, &guard, "shard=1&count=7", "", &["unfiltered_cancel"]);
    sister.assert_denied(&upstream, &guard, "dlqIds=a,b,c", "", &["too_many_message_ids"]);
    let said = sister.assert_denied(&upstream, &guard, "queueName=a&count=7", "", &["filter_not_allowed"]);
    assert!(said.contains("allowed: label, messageId."), "{said}");
}

/// Records show the values of their parameters, and no others; user info goes out of URLs.
#[test]
fn targets_are_recorded_by_their_own_names() {
    for (sister, query, shown) in [
        (&SISTERS[0], "dlqIds=a&upstash-x=secret", "dlqIds=a&upstash-x=***"),
        (
            &SISTERS[1],
            "messageId=m&responseStatus=503&cursor=c&x=secret",
            "messageId=m&responseStatus=503&cursor=c&x=***",
        ),
        (
            &SISTERS[4],
            "workflowUrl=https://user:secret@a.test/w&workflowUrlExactMatch=true&x=secret",
            "workflowUrl=https://a.test/w&workflowUrlExactMatch=true&x=***",
        ),
    ] {
        let (upstream, guard) = sister.start("");
        assert_eq!(sister.ask(&guard, query, "").status(), 403);
        upstream.assert_untouched();
        let record = guard.records_of("denied").remove(0);
        assert_eq!(record["target"], format!("{}?{shown}", sister.path));
        let trail = std::fs::read_to_string(guard.trail_path()).expect("the trail");
        assert!(!trail.contains("secret@") && !trail.contains("=secret"), "{trail}");
    }
}

/// Beside it, operations that are not guarded pass unread.
#[test]
fn the_single_forms_pass() {
    for sister in &SISTERS {
        let (upstream, guard) = sister.start("");
        let target = format!("{}/id_1", sister.path);
        let answer = request(guard.address, sister.method, &target, &[TOKEN], b"");
        assert_eq!(answer.status(), 200, "{target}");
        assert_eq!(upstream.wait_for(1).target(), target);
        assert!(guard.records_of("intent").is_empty());
    }
}
