//! Rules: what they decide, what is said of faulty ones, and what they cost.
#![expect(clippy::unwrap_used, reason = "a test may panic, and takes the short way")]

mod bounded;
mod deciding;
mod explained;
mod faults;
mod loading;
mod monitored;
mod odd;
mod over_sockets;
mod paths;
mod sisters;
#[path = "../support/mod.rs"]
mod support;

use jiff::Timestamp;
use qstash_guard::config;
use qstash_guard::policy::{Caller, Context, Judgement, Policy, Request, Verdict, judge};
use qstash_guard::qstash::credential::TokenHash;

/// The callers of these tests: each has its own name as its token.
const NAMES: [&str; 4] = ["billing-cron", "billing-web", "ops-anna", "incident-commander"];

/// `callers:` with all of them.
fn callers() -> String {
    let entries = NAMES.map(|name| format!("{{name: {name}, token_sha256: {}}}", hash(name)));
    format!("callers: [{}]\n", entries.join(", "))
}

fn hash(token: &str) -> String {
    TokenHash::of(token.as_bytes()).to_hex()
}

/// Rules as YAML, without further configuration.
fn with_rules(rules: &str) -> String {
    let rules: String = rules
        .lines()
        .fold(String::new(), |text, line| text + "    " + line + "\n");
    format!(
        "upstream: {{url: \"http://127.0.0.1:9\"}}\n{}policy:\n  rules:\n{rules}",
        callers()
    )
}

fn policy(yaml: &str) -> Policy {
    let loaded = config::compile("guard.yaml", yaml, &|_| None);
    loaded
        .unwrap_or_else(|faults| panic!("not valid:\n{faults}"))
        .settings
        .policy
}

/// The judgement on `METHOD TARGET` by whoever has this token (none where it is empty), at this time.
fn judged(policy: &Policy, token: &str, line: &str, time: &str) -> Judgement {
    let (method, target) = line.split_once(' ').unwrap();
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.as_bytes())),
        None => (target, None),
    };
    let request = Request {
        method,
        path: path.as_bytes(),
        query,
        overridden: false,
        body: b"",
        content_encoded: false,
    };
    let token = (!token.is_empty()).then(|| TokenHash::of(token.as_bytes()));
    let caller: Caller = policy.callers.identify(token);
    let context = Context {
        caller: &caller,
        client: "10.1.2.3".parse().unwrap(),
        time: time.parse().unwrap(),
    };
    judge(policy, &request, &context)
}

/// `allow`, or the codes of the refusal; behind it ` by` the rule that decided, and ` rehearsed` what a monitored rule
/// would have refused.
fn said(judgement: &Judgement) -> String {
    let (word, rule) = match &judgement.verdict {
        Verdict::Allow(_) => ("allow".to_owned(), judgement.rule.clone()),
        Verdict::Deny(refusal) => (codes(refusal), refusal.rule().cloned()),
        Verdict::WouldDeny(_, refusal) => (format!("would {}", codes(refusal)), refusal.rule().cloned()),
    };
    let by = rule.map(|rule| format!(" by {rule}")).unwrap_or_default();
    let rehearsed = judgement.rehearsed.as_ref().map(|refusal| {
        let rule = refusal.rule().unwrap();
        format!(" rehearsed {} by {rule}", codes(refusal))
    });
    format!("{word}{by}{}", rehearsed.unwrap_or_default())
}

fn codes(refusal: &qstash_guard::policy::Refusal) -> String {
    let codes: Vec<&str> = refusal.violations().map(|violation| violation.code.as_str()).collect();
    codes.join(" ")
}

/// Rows of a token, `METHOD TARGET` and what is said.
#[track_caller]
fn table(yaml: &str, rows: &[(&str, &str, &str)]) {
    let policy = policy(yaml);
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(token, line, expected)| {
            let is = said(&judged(&policy, token, line, NOON));
            (is != *expected).then(|| format!("{token}: {line}\n    is        {is}\n    should be {expected}"))
        })
        .collect();
    assert!(!rows.is_empty() && wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The time of most judgements here; 13 o'clock in Berlin.
const NOON: &str = "2026-11-24T12:00:00Z";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}
