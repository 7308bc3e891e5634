//! Limits around a listing: requests are charged before it, messages after it, as many as were found.

use serde_json::json;

use crate::script::{serving, waiting};
use crate::support::{Guard, Upstream, assert_denied};
use crate::{cancelled, delete};

fn limited(upstream: &Upstream, limits: &str) -> Guard {
    let yaml = format!("policy: {{bulk_cancel: {{cap_enforced_by: guard}}}}\nrate_limits: [{limits}]\n");
    Guard::start(&upstream.url(), &yaml)
}

const MESSAGES: &str =
    "{name: messages, applies_to: [messages.bulk_cancel], per: caller, unit: messages, rate: 1/d, burst: 5}";
const REQUESTS: &str =
    "{name: requests, applies_to: [messages.bulk_cancel], per: caller, unit: requests, rate: 1/d, burst: 2}";

#[test]
fn messages_are_charged_as_found() {
    let upstream = serving(vec![waiting(0..3)]);
    let guard = limited(&upstream, MESSAGES);
    // A count of 100 could never pass a burst of 5; the three that match do.
    let cancel = || delete(&guard, "/v2/messages?label=a&count=100");
    assert_eq!(cancel().json(), json!({"cancelled": 3}));
    let (before, sent) = (guard.records().len(), cancelled(&upstream).len());
    let answer = cancel();
    let record = assert_denied(&guard, before, &answer, 429, &["rate_limited"]);
    assert_eq!(record["limit"], "messages");
    assert_eq!(record["selection"]["ids_total"], 3, "those that were found: {record}");
    assert_eq!(answer.header("burst-ratelimit-remaining"), ["2"]);
    assert_eq!(cancelled(&upstream).len(), sent, "nothing was cancelled");
    assert_eq!(
        delete(&guard, "/v2/messages?label=a&count=2").json(),
        json!({"cancelled": 2})
    );
    assert_eq!(
        guard.metric("qstash_guard_rate_limited_total", &["limit=\"messages\""]),
        1
    );
}

#[test]
fn more_than_a_budget_ever_holds_is_refused() {
    let upstream = serving(vec![waiting(0..9)]);
    let guard = limited(&upstream, MESSAGES);
    let answer = delete(&guard, "/v2/messages?label=a&count=100");
    assert_denied(&guard, 1, &answer, 403, &["count_over_budget"]);
    assert_eq!(cancelled(&upstream), Vec::<Vec<String>>::new());
    assert_eq!(
        delete(&guard, "/v2/messages?label=a&count=5").json(),
        json!({"cancelled": 5})
    );
}

#[test]
fn nothing_found_costs_no_message() {
    let upstream = serving(vec![vec![]]);
    let guard = limited(&upstream, MESSAGES);
    for _ in 0..20 {
        assert_eq!(
            delete(&guard, "/v2/messages?label=a&count=100").json(),
            json!({"cancelled": 0})
        );
    }
}

#[test]
fn a_request_over_its_limit_lists_nothing() {
    let upstream = serving(vec![waiting(0..2)]);
    let guard = limited(&upstream, &format!("{MESSAGES}, {REQUESTS}"));
    let cancel = || delete(&guard, "/v2/messages?label=a&count=1");
    assert_eq!((cancel().status(), cancel().status()), (200, 200));
    let (before, asked) = (guard.records().len(), upstream.requests().len());
    let answer = cancel();
    let record = assert_denied(&guard, before, &answer, 429, &["rate_limited"]);
    assert_eq!(record["limit"], "requests");
    assert_eq!(upstream.requests().len(), asked);
    assert_eq!(answer.header("burst-ratelimit-remaining"), ["0"]);
}

#[test]
fn a_cancel_by_ids_is_charged_as_before() {
    let upstream = Upstream::json(r#"{"cancelled":2}"#);
    let guard = limited(&upstream, &format!("{MESSAGES}, {REQUESTS}"));
    assert_eq!(delete(&guard, "/v2/messages?messageIds=a,b,c").status(), 202);
    let before = guard.records().len();
    let answer = delete(&guard, "/v2/messages?messageIds=a,b,c");
    let record = assert_denied(&guard, before, &answer, 429, &["rate_limited"]);
    assert_eq!(record["limit"], "messages", "in the order listed");
}
