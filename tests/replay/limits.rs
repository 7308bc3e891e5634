//! Rate limits, counted by the recorded times.

use std::fmt::Write as _;

use serde_json::json;

use crate::{UNLIMITED, Written};

fn limit(unit: &str, burst: u32) -> String {
    format!(
        "rate_limits: [{{name: slow, applies_to: [messages.bulk_cancel], per: caller, unit: {unit}, rate: 1/d, burst: {burst}}}]\n"
    )
}

const CANCEL: (&str, &str, &str) = ("DELETE", "/v2/messages?label=a&count=5", "");
const REFUSED: (&str, &str, &str) = ("DELETE", "/v2/messages", "");

#[test]
fn limits_refuse_as_they_did_and_a_denial_costs_nothing() {
    let written = Written::by(&limit("requests", 2), &[REFUSED, CANCEL, REFUSED, CANCEL, CANCEL]);
    written.assert_unchanged(&limit("requests", 2), 5);
    let (code, changes, _) = written.replay(&limit("requests", 1));
    assert_eq!((code, changes.len()), (Some(6), 1), "{changes:#?}");
    let after = json!({"decision": "deny", "code": "rate_limited", "rule": null, "limit": "slow"});
    assert_eq!(changes[0]["after"], after);
    let (code, changes, _) = written.replay(UNLIMITED);
    assert_eq!((code, changes.len()), (Some(6), 1), "{changes:#?}");
    assert_eq!(
        (&changes[0]["before"], &changes[0]["after"]["decision"]),
        (&after, &json!("allow"))
    );
}

#[test]
fn messages_are_counted_by_count_and_what_went_beyond_it() {
    // Each answer says 3 messages: a cancel of one settles 2 more. An overrun of ids in the query closes nothing.
    let one = ("DELETE", "/v2/messages?messageIds=a", "");
    let written = Written::by(&limit("messages", 7), &[one, one, one, CANCEL]);
    written.assert_unchanged(&limit("messages", 7), 4);
    let (_, changes, _) = written.replay(&limit("messages", 4));
    let codes: Vec<_> = changes.iter().map(|change| &change["after"]["code"]).collect();
    assert_eq!(codes, ["rate_limited"], "{changes:#?}");
    let (_, changes, _) = written.replay(&limit("messages", 20));
    assert_eq!(changes.len(), 1, "the last one would pass: {changes:#?}");
}

#[test]
fn a_limit_that_counts_what_is_not_recorded_is_left_out() {
    let written = Written::by(UNLIMITED, &[CANCEL, CANCEL, CANCEL]);
    let yaml = "rate_limits: [{name: all, applies_to: [messages.bulk_cancel, messages.publish], per: caller, unit: requests, rate: 1/d, burst: 1}]\n";
    let (code, changes, totals) = written.replay(yaml);
    assert_eq!(
        (code, changes.len(), &totals["limits_left_out"]),
        (Some(0), 0, &json!(["all"])),
        "{totals}"
    );
}

#[test]
fn buckets_are_full_where_a_guard_starts() {
    let written = Written::by(&limit("requests", 1), &[CANCEL, CANCEL]);
    let upstream = crate::Upstream::json(r#"{"cancelled":3}"#);
    let guard = crate::Guard::start_in(written.folder.clone(), &upstream.url(), &limit("requests", 1));
    for _ in 0..2 {
        crate::request(guard.address, CANCEL.0, CANCEL.1, &[crate::TOKEN], b"");
    }
    assert!(guard.stop().0.success());
    written.assert_unchanged(&limit("requests", 1), 4);
}

/// A trail of cancels at these seconds, each let through or refused by the limit.
fn trail(cancels: &[(&str, bool)]) -> Written {
    trail_with(cancels, r#""decision":"deny","code":"rate_limited","limit":"slow""#)
}

/// The same, refused for another reason.
fn trail_with(cancels: &[(&str, bool)], denied: &str) -> Written {
    let folder = crate::Folder::new();
    std::fs::create_dir(folder.path().join("audit")).unwrap();
    let mut text = String::new();
    for (seq, (second, passed)) in cancels.iter().enumerate() {
        let (event, decision) = if *passed {
            ("intent", r#""decision":"allow""#)
        } else {
            ("denied", denied)
        };
        writeln!(
            text,
            r#"{{"seq":{},"time":"2026-11-24T17:{second}Z","event":"{event}","instance":"a","caller":"anonymous","client":"192.0.2.7","operation":"messages.bulk_cancel","method":"DELETE","target":"/v2/messages?label=a&count=5","selection":{{"kind":"filter","filters":{{"label":["a"]}},"count":5}},{decision},"prev":""}}"#,
            seq + 1
        )
        .unwrap();
    }
    folder.write("audit/audit.jsonl", &text);
    Written {
        folder: std::sync::Arc::new(folder),
    }
}

#[test]
fn where_a_bucket_refills_about_then_what_was_recorded_stands() {
    let minute = limit("requests", 1).replace("1/d", "1/min");
    // Written up to 2 s after they were decided, these may have come just in time, or just too early.
    trail(&[("00:00.000000", true), ("00:58.500000", true)]).assert_unchanged(&minute, 2);
    trail(&[("00:00.000000", true), ("01:01.500000", false)]).assert_unchanged(&minute, 2);
    let (code, changes, _) = trail(&[("00:00.000000", true), ("00:57.500000", true)]).replay(&minute);
    assert_eq!((code, changes.len()), (Some(6), 1), "{changes:?}");
    let (code, changes, _) = trail(&[("00:00.000000", true), ("01:02.500000", false)]).replay(&minute);
    assert_eq!((code, changes.len()), (Some(6), 1), "{changes:?}");
}

#[test]
fn what_the_state_of_the_trail_refused_is_not_decided_by_a_policy() {
    for code in ["audit_unavailable", "store_unavailable", "internal_error"] {
        let denied = format!(r#""decision":"deny","code":"{code}""#);
        let written = trail_with(&[("00:00.000000", false)], &denied);
        let (code, changes, totals) = written.replay(UNLIMITED);
        assert_eq!((code, changes.len()), (Some(0), 0), "{totals}");
        let reason = "refused for the state of the trail, the store of limits or the upstream, not by the policy";
        assert_eq!(totals["undecided"], json!([{"reason": reason, "number": 1}]));
        // What the new policy refuses stays refused.
        written.assert_unchanged(&format!("{UNLIMITED}policy: {{bulk_cancel: {{max_count: 1}}}}"), 1);
    }
    // A code of another version is no word of this policy.
    let written = trail_with(
        &[("00:00.000000", false)],
        r#""decision":"deny","code":"from_the_future""#,
    );
    let (code, _, totals) = written.replay(UNLIMITED);
    assert_eq!(
        (code, &totals["undecided"][0]["number"]),
        (Some(0), &json!(1)),
        "{totals}"
    );
}
