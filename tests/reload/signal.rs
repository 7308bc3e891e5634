//! SIGHUP: read again at once, whether or not anything changed.

use std::sync::Arc;

use crate::support::{Client, Folder, Upstream, assert_denied, refusal};
use crate::{
    LOADED, REJECTED, TOKEN, UNLIMITED, cancel, capped, detail, logged, reload, reload_in_vain, spawn, start, target,
};

#[test]
fn the_next_request_is_judged_by_the_new_policy() {
    let (upstream, guard) = start(&capped(100));
    let mut client = Client::connect(guard.address);
    assert_eq!(client.request("DELETE", &target(50), &[TOKEN], b"").status(), 202);
    let got = upstream.bytes();
    let old = guard.records_of("intent").pop().unwrap()["policy"].clone();
    let loaded = reload(&guard, &capped(10));
    let before = guard.records().len();
    // Over the connection that was open all the while.
    let answer = client.request("DELETE", &target(50), &[TOKEN], b"");
    let denied = assert_denied(&guard, before, &answer, 403, &["count_over_cap"]);
    assert_eq!(upstream.bytes(), got, "not one byte more");
    assert_eq!(loaded["policy"], denied["policy"]);
    assert_ne!(loaded["policy"], old);
    assert_eq!(detail(&loaded), format!("by SIGHUP; before: {}", old.as_str().unwrap()));
    let line = logged(&guard, "policy loaded").pop().unwrap();
    assert_eq!(
        (&line["policy"], &line["before"], &line["level"]),
        (&loaded["policy"], &old, &"INFO".into())
    );
    assert_eq!(guard.verify().0, Some(0));
}

#[test]
fn a_faulty_file_leaves_the_old_policy() {
    let (upstream, guard) = start(&capped(10));
    let policy = guard.records_of("started").pop().unwrap()["policy"].clone();
    let faulty = format!(
        "{}credentials: {{token: secret-in-the-file, mode: secret-too}}\n",
        capped(1000)
    )
    .replace("max_count", "max_cout");
    let rejected = reload_in_vain(&guard, &faulty);
    assert_eq!(rejected["policy"], policy, "what stays in force");
    assert!(
        detail(&rejected).starts_with("by SIGHUP; ")
            && detail(&rejected).contains(" faults, the first: `max_cout` is not"),
        "{rejected}"
    );
    assert_eq!((guard.metric_line(REJECTED), guard.metric_line(LOADED)), (1, 0));
    let line = logged(&guard, "the policy in force stays").pop().unwrap();
    assert_eq!(line["level"], "ERROR");
    assert!(
        line["faults"].as_str().unwrap().contains("guard.yaml:2:24"),
        "with its place: {line}"
    );
    refusal(&cancel(&guard, 50), 403, &["count_over_cap"]);
    upstream.assert_untouched();

    let syntax = reload_in_vain(&guard, "policy: {");
    assert!(!detail(&syntax).contains("faults"), "alone: {syntax}");
    refusal(&cancel(&guard, 50), 403, &["count_over_cap"]);
    upstream.assert_untouched();

    reload(&guard, &capped(100));
    assert_eq!(cancel(&guard, 50).status(), 202);
    assert_eq!((guard.metric_line(REJECTED), guard.metric_line(LOADED)), (2, 1));
    let records = std::fs::read_to_string(guard.trail_path()).unwrap();
    assert!(!records.contains("secret-") && !guard.log().contains("secret-"));
}

#[test]
fn an_identical_reload_is_recorded_too() {
    let (_upstream, guard) = start(&capped(10));
    let started = guard.records_of("started").pop().unwrap();
    let first = reload(&guard, &capped(10));
    // Not a word of it is the same, and all of its meaning.
    let other = "# A comment.\npolicy:\n  bulk_cancel:\n    max_count: 10\nrate_limits: []\n";
    let second = reload(&guard, other);
    for record in [&first, &second] {
        assert_eq!(record["policy"], started["policy"]);
        assert_eq!(detail(record), "by SIGHUP; as before");
    }
    assert_eq!(guard.records_of("policy_loaded").len(), 2);
    assert_eq!(
        guard.metric_line(r#"qstash_guard_audit_records_total{event="policy_loaded"}"#),
        2
    );
}

#[test]
fn built_in_defaults_are_reloaded_as_well() {
    let upstream = Upstream::json("{}");
    let guard = spawn(Arc::new(Folder::new()), &upstream.url(), &[]);
    guard.signal("HUP");
    let loaded = guard.wait_for("policy_loaded", 1).pop().unwrap();
    assert_eq!(detail(&loaded), "by SIGHUP; as before");
}

#[test]
fn limits_keep_what_is_used_up() {
    let limits = |rate: &str, more: &str| {
        format!(
            "rate_limits: [{{name: cancels, applies_to: [messages.bulk_cancel], per: caller, unit: requests, rate: \
             {rate}, burst: 2}}]\npolicy: {{bulk_cancel: {{max_count: 100{more}}}}}\n"
        )
    };
    let (upstream, guard) = start(&limits("1/h", ""));
    (0..2).for_each(|_| assert_eq!(cancel(&guard, 5).status(), 202));
    refusal(&cancel(&guard, 5), 429, &["rate_limited"]);
    let got = upstream.bytes();
    reload(&guard, &limits("1/h", ", require_cap: false"));
    refusal(&cancel(&guard, 5), 429, &["rate_limited"]);
    assert_eq!(upstream.bytes(), got);
    // Another rate makes another limit of it, which begins with full buckets, and that is said.
    let loaded = reload(&guard, &limits("2/h", ""));
    assert!(
        detail(&loaded).ends_with("limits that begin with full buckets: cancels"),
        "{loaded}"
    );
    (0..2).for_each(|_| assert_eq!(cancel(&guard, 5).status(), 202));
    refusal(&cancel(&guard, 5), 429, &["rate_limited"]);
}

#[test]
fn what_is_logged_and_recorded_changes_too() {
    let (_upstream, guard) = start(UNLIMITED);
    let publish = || {
        let answer = crate::request(guard.address, "POST", "/v2/publish/https://example.com", &[TOKEN], b"x");
        assert_eq!(answer.status(), 202);
    };
    publish();
    reload(
        &guard,
        &format!("{UNLIMITED}audit: {{record: all}}\nlog: {{level: debug}}\n"),
    );
    publish();
    guard.wait_for("passed", 1);
    guard.wait_until("a line at debug", || !logged(&guard, "request").is_empty());
    reload(&guard, UNLIMITED);
    publish();
    assert_eq!(cancel(&guard, 5).status(), 202);
    assert_eq!(guard.records_of("passed").len(), 1);
    assert_eq!(logged(&guard, "request").len(), 1);
}
