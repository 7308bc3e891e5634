//! Whoever shows no known key is refused, whatever is asked for, and nothing of it goes on.

use std::fmt::Write as _;

use crate::support::check::{assert_denied, refusal};
use crate::support::{Client, request};
use crate::{KEY, NEXT_KEY, TOKEN, bearer, broker, hash, start};

#[test]
fn strangers_get_401_for_everything() {
    for mode in ["enforce", "monitor"] {
        let (upstream, guard) = start(&format!("policy: {{mode: {mode}}}\naudit: {{record: all}}\n"));
        for (method, target) in [
            ("DELETE", "/v2/messages"),
            ("DELETE", "/v2/messages?label=a&count=5"),
            ("DELETE", "/v2/messages%2f..;"),
            ("POST", "/v2/publish/https://e.com/hook"),
            ("GET", "/v2/keys"),
            ("GET", "/"),
            ("GET", "/not/known"),
            ("OPTIONS", "*"),
            ("HEAD", "/v2/keys"),
        ] {
            let before = guard.records().len();
            let answer = request(guard.address, method, target, &[], b"");
            assert_eq!(answer.status(), 401, "{method} {target}");
            assert_eq!(answer.header("www-authenticate"), ["Bearer"], "{answer:?}");
            if method == "HEAD" {
                continue;
            }
            let record = assert_denied(&guard, before, &answer, 401, &["unauthenticated"]);
            assert_eq!(record["caller"], "anonymous", "{record}");
        }
        upstream.assert_untouched();
        assert!(
            guard.metric(
                "qstash_guard_requests_total",
                &["code=\"unauthenticated\"", "decision=\"deny\""]
            ) > 8
        );
    }
}

#[test]
fn an_unknown_credential_is_none() {
    let (upstream, guard) = start("");
    let short = &KEY[..KEY.len() - 1];
    for credential in [
        "Authorization: Bearer qg_unknown".to_owned(),
        // The guard's own token, and the hash of a key, are no keys.
        bearer(TOKEN),
        bearer(&hash(KEY)),
        bearer(short),
        bearer(&format!("{KEY}a")),
        bearer(&KEY.to_lowercase()),
        format!("Authorization: Basic {KEY}"),
        format!("Authorization: {KEY}"),
        "Authorization: Bearer".to_owned(),
        "Authorization: Bearer ".to_owned(),
        format!("Proxy-Authorization: Bearer {KEY}"),
        format!("X-Api-Key: {KEY}"),
        format!("Upstash-Forward-Authorization: Bearer {KEY}"),
    ] {
        let before = guard.records().len();
        let answer = request(guard.address, "GET", "/v2/keys", &[&credential], b"");
        let record = assert_denied(&guard, before, &answer, 401, &["unauthenticated"]);
        assert_ne!(record["caller"], "billing", "{credential}");
    }
    for target in [
        "/v2/keys?qstash_token=",
        "/v2/keys?qstash_token=qg_unknown",
        &format!("/v2/keys?QSTASH_TOKEN={KEY}"),
        &format!("/v2/keys?token={KEY}"),
    ] {
        let before = guard.records().len();
        let answer = request(guard.address, "GET", target, &[], b"");
        assert_denied(&guard, before, &answer, 401, &["unauthenticated"]);
    }
    upstream.assert_untouched();
    let record = guard.records().remove(1);
    assert!(record["caller"].as_str().unwrap().starts_with("token:"), "{record}");
}

#[test]
fn what_cannot_be_one_credential_is_refused_as_in_passthrough() {
    let (upstream, guard) = start("");
    let key = bearer(KEY);
    let target = format!("/v2/keys?qstash_token={KEY}");
    for (target, headers, status, code) in [
        (
            "/v2/keys",
            vec![key.clone(), bearer(NEXT_KEY)],
            400,
            "conflicting_credentials",
        ),
        (
            "/v2/keys",
            vec![key.clone(), key.clone()],
            400,
            "conflicting_credentials",
        ),
        (
            "/v2/keys",
            vec![key.clone(), "Authorization: Basic YTpi".into()],
            400,
            "conflicting_credentials",
        ),
        (&target, vec![bearer(NEXT_KEY)], 400, "conflicting_credentials"),
        (
            &format!("{target}&qstash_token={KEY}"),
            vec![],
            400,
            "conflicting_credentials",
        ),
        (&format!("{target}%0a"), vec![], 400, "malformed_credential"),
    ] {
        let before = guard.records().len();
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let answer = request(guard.address, "GET", target, &headers, b"");
        assert_denied(&guard, before, &answer, status, &[code]);
    }
    upstream.assert_untouched();
}

#[test]
fn keys_in_the_query_may_be_forbidden() {
    for (setting, header, status) in [
        ("query_token: reject", "X-Own: 1", 403),
        ("header_forward_token: reject", "Upstash-Header-Forward: true", 403),
        ("header_forward_token: reject", "X-Own: 1", 202),
        // The guard's own token stays out of the header beside this one, whatever is said of clients' tokens.
        ("header_forward_token: move", "Upstash-Header-Forward: true", 202),
    ] {
        let upstream = crate::Upstream::json("{}");
        let yaml = broker(&format!("token: \"{TOKEN}\", {setting}"));
        let guard = crate::Guard::start(&upstream.url(), &yaml);
        let target = format!("/v2/keys?qstash_token={KEY}");
        let answer = request(guard.address, "GET", &target, &[header], b"");
        assert_eq!(answer.status(), status, "{setting} {header}: {answer:?}");
        if status == 403 {
            refusal(&answer, 403, &["query_token_forbidden"]);
            upstream.assert_untouched();
        } else {
            let expected = if header.starts_with("Upstash") {
                crate::Place::Pair
            } else {
                crate::Place::Header
            };
            assert_eq!(crate::place(&upstream.request()), expected, "{setting} {header}");
        }
    }
}

#[test]
fn a_stranger_is_answered_before_its_body_is_there() {
    let (upstream, guard) = start("");
    let mut client = Client::connect(guard.address);
    let mut head = String::from("POST /v2/publish/https://e.com HTTP/1.1\r\nHost: guard.test\r\n");
    write!(head, "Content-Length: {}\r\nExpect: 100-continue\r\n\r\n", 1 << 30).unwrap();
    client.send(head);
    let answer = client.answer();
    assert_eq!(answer.status(), 401, "{answer:?}");
    upstream.assert_untouched();
}

#[test]
fn rules_and_limits_know_a_caller_by_its_key() {
    let upstream = crate::Upstream::json(r#"{"cancelled":1}"#);
    let yaml = broker(&format!("token: \"{TOKEN}\""))
        .replace("rate_limits: []\n", "")
        .replace(
            "callers:\n",
            &format!("callers:\n  - {{name: ops, key_sha256: \"{}\"}}\n", hash("qg_ops")),
        );
    let limits = "rate_limits:\n  - {name: one, applies_to: [messages.bulk_cancel], per: caller, unit: requests, rate: 1/d, burst: 1}\n";
    let rules = "policy: {rules: [{name: not-ops, callers: [ops], operations: [keys.get], deny: no.}]}\n";
    let guard = crate::Guard::start(&upstream.url(), &format!("{yaml}{limits}{rules}"));
    let send = |method: &str, target: &str, key: &str| request(guard.address, method, target, &[&bearer(key)], b"");
    assert_eq!(send("GET", "/v2/keys", "qg_ops").code(), "denied_by_rule");
    assert_eq!(send("GET", "/v2/keys", KEY).status(), 202);
    let cancel = "/v2/messages?label=a&count=5";
    assert_eq!(send("DELETE", cancel, KEY).status(), 202);
    // Both keys are billing's, and so is the bucket.
    assert_eq!(send("DELETE", cancel, NEXT_KEY).code(), "rate_limited");
    assert_eq!(send("DELETE", cancel, "qg_ops").status(), 202);
    let denied = guard.records_of("denied");
    let callers: Vec<_> = denied.iter().map(|record| record["caller"].clone()).collect();
    assert_eq!(callers, ["ops", "billing"]);
    let fingerprints = guard.log();
    assert!(!fingerprints.contains(KEY));
}
