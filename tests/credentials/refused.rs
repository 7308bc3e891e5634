//! Credentials that are double, malformed or in the wrong place.

use crate::support::{assert_denied, request};
use crate::{TOKEN, caller, start};

#[test]
fn two_credentials_are_one_too_many() {
    let (upstream, guard) = start("");
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let twice = format!("qstash_token={TOKEN}&qstash_token={TOKEN}");
    let rows: &[(&str, &[&str])] = &[
        ("qstash_token=a&qstash_token=b", &[]),
        (&twice, &[]),
        ("qstash_token=a&x=1&%71stash_token=", &[]),
        ("qstash_token=other", &[&bearer]),
        ("qstash_token=a&qstash_token=b", &["Authorization: Basic dTpw"]),
        ("", &[&bearer, &bearer]),
        ("", &[&bearer, "authorization: Basic dTpw"]),
        ("", &["Authorization: Basic dTpw", "AUTHORIZATION: Basic dTpw"]),
    ];
    for (query, headers) in rows {
        for (method, path) in [
            ("DELETE", "/v2/messages"),
            ("POST", "/v2/publish/https://example.com/"),
            ("GET", "/v2/keys"),
        ] {
            let before = guard.records().len();
            let answer = request(guard.address, method, &format!("{path}?{query}"), headers, b"");
            let record = assert_denied(&guard, before, &answer, 400, &["conflicting_credentials"]);
            assert_eq!(record["caller"], "anonymous", "who it is cannot be told");
        }
    }
    upstream.assert_untouched();
}

#[test]
fn what_can_be_no_token_is_refused() {
    let (upstream, guard) = start("");
    for value in [
        "a%20b",
        "%20",
        "a%0d%0ab",
        "a%0D%0AX-Injected:%201",
        "%00",
        "a%zz",
        "a%",
        "a%2",
        "%c3%a4",
        "a,b",
        "a:b",
        "a%22",
        "=",
        "==",
        "=a",
        "a=b",
        "a%26b",
        "Bearer%20a",
        "a%250d",
    ] {
        for (method, path) in [
            ("DELETE", "/v2/messages?label=a&count=5&"),
            ("POST", "/v2/publish/https://example.com/?"),
        ] {
            let before = guard.records().len();
            let answer = request(guard.address, method, &format!("{path}qstash_token={value}"), &[], b"");
            assert_denied(&guard, before, &answer, 400, &["malformed_credential"]);
        }
    }
    upstream.assert_untouched();
}

#[test]
fn a_policy_may_take_no_query_token_at_all() {
    let (upstream, guard) = start("credentials: {query_token: reject}\n");
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let target = format!("/v2/keys?qstash_token={TOKEN}");
    for headers in [
        &[][..],
        &[bearer.as_str()],
        &["Upstash-Header-Forward: true"],
        &["Authorization: Basic dTpw"],
    ] {
        let before = guard.records().len();
        let answer = request(guard.address, "GET", &target, headers, b"");
        let record = assert_denied(&guard, before, &answer, 403, &["query_token_forbidden"]);
        assert_eq!(
            (&record["caller"], &record["target"]),
            (&caller(TOKEN).into(), &"/v2/keys?qstash_token=***".into())
        );
    }
    upstream.assert_untouched();
    assert_eq!(request(guard.address, "GET", "/v2/keys", &[&bearer], b"").status(), 202);
    assert_eq!(upstream.request().header("authorization"), [format!("Bearer {TOKEN}")]);
}
