//! Where a query token goes: into the header, or nowhere.

use crate::support::check::assert_unchanged;
use crate::support::{Guard, Upstream, assert_forwarded, request};
use crate::{TOKEN, caller, percent_encoded, start};

/// Asserts that a request arrives with this target and these header lines besides Host; gives nothing.
#[track_caller]
fn assert_arrives(
    (upstream, guard): (&Upstream, &Guard),
    (method, target, headers): (&str, &str, &[&str]),
    (expected, lines): (&str, &[&str]),
) {
    let requests = upstream.requests().len();
    let body: &[u8] = if method == "POST" { b"{\"a\": 1}" } else { b"" };
    let answer = request(guard.address, method, target, headers, body);
    assert_eq!(answer.status(), 202, "{target}: {answer:?}");
    let got = upstream.requests().split_off(requests);
    assert_eq!(got.len(), 1, "{target}");
    let lines: Vec<String> = lines.iter().map(|line| line.to_lowercase()).collect();
    let mut got = got[0].clone();
    // The case of a header that the guard makes is its own business.
    got.head = got
        .head
        .split("\r\n")
        .map(|line| {
            if is_authorization(line) {
                line.to_lowercase()
            } else {
                line.to_owned()
            }
        })
        .collect::<Vec<_>>()
        .join("\r\n");
    let lines: Vec<&str> = lines
        .iter()
        .map(String::as_str)
        .filter(|line| is_authorization(line))
        .chain(headers.iter().copied().filter(|line| !is_authorization(line)))
        .collect();
    assert_unchanged(&got, method, expected, &lines, body, &upstream.host());
}

fn is_authorization(line: &str) -> bool {
    line.get(..14)
        .is_some_and(|name| name.eq_ignore_ascii_case("authorization:"))
}

#[test]
fn the_pair_moves_and_every_other_byte_stays() {
    let (upstream, guard) = start("");
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let rows = [
        (
            "POST",
            "/v2/publish/https://example.com/api/webhook?T",
            "/v2/publish/https://example.com/api/webhook",
        ),
        (
            "POST",
            "/v2/publish/https://example.com/a//b/?x=1&T&y=%20+z",
            "/v2/publish/https://example.com/a//b/?x=1&y=%20+z",
        ),
        (
            "POST",
            "/v2/publish/https://example.com/?T&x=1",
            "/v2/publish/https://example.com/?x=1",
        ),
        (
            "POST",
            "/v2/publish/https://example.com/?x=1&T",
            "/v2/publish/https://example.com/?x=1",
        ),
        (
            "POST",
            "/v2/publish/https://example.com/?a&&T&&b=%zz;c",
            "/v2/publish/https://example.com/?a&&&b=%zz;c",
        ),
        (
            "POST",
            "/v2/publish/https://example.com/?a=?b&T",
            "/v2/publish/https://example.com/?a=?b",
        ),
        (
            "POST",
            "/v2/publish/group?upstash-retries=3&T",
            "/v2/publish/group?upstash-retries=3",
        ),
        (
            "POST",
            "/v2/enqueue/q/https://example.com/%7Euser/%2e%2e?T",
            "/v2/enqueue/q/https://example.com/%7Euser/%2e%2e",
        ),
        (
            "POST",
            "/v2/schedules/https://example.com/x?T",
            "/v2/schedules/https://example.com/x",
        ),
        (
            "POST",
            "/v2/trigger/https://example.com/x?T",
            "/v2/trigger/https://example.com/x",
        ),
        ("POST", "/v2/batch?T", "/v2/batch"),
        (
            "GET",
            "/v2/logs?cursor=a%3D%3D&T&count=5",
            "/v2/logs?cursor=a%3D%3D&count=5",
        ),
        ("GET", "/v2/keys?T", "/v2/keys"),
        ("GET", "/?T", "/"),
        ("GET", "/v2/brand-new//thing/?T", "/v2/brand-new//thing/"),
        ("DELETE", "/v2/messages/msg_1?T", "/v2/messages/msg_1"),
        (
            "DELETE",
            "/v2/messages?label=%61&T&count=5",
            "/v2/messages?label=%61&count=5",
        ),
        (
            "DELETE",
            "/v2/messages/?T&label=a&count=5",
            "/v2/messages/?label=a&count=5",
        ),
        ("GET", "http://elsewhere.test/v2/keys?T&a=b", "/v2/keys?a=b"),
    ];
    let encoded = percent_encoded(TOKEN);
    let pairs = [
        format!("qstash_token={TOKEN}"),
        format!("%71stash%5Ftoken={}", TOKEN.replace('=', "%3D")),
        format!("%71%73%74%61%73%68%5f%74%6f%6b%65%6e={encoded}"),
    ];
    for (method, target, expected) in rows {
        for pair in &pairs {
            let target = target.replace('T', pair);
            assert_arrives(
                (&upstream, &guard),
                (method, &target, &["x-a: 1", "Accept: */*"]),
                (expected, &[&bearer]),
            );
        }
    }
    let moved = guard.metric("qstash_guard_query_tokens_moved_total", &[]);
    assert_eq!(moved, (rows.len() * pairs.len()) as u64);
    assert!(
        guard
            .records_of("intent")
            .iter()
            .all(|record| record["caller"] == caller(TOKEN).as_str())
    );
}

#[test]
fn the_value_is_decoded_once_and_a_plus_stays_a_plus() {
    let (upstream, guard) = start("");
    for (value, token) in [
        ("a+b", "a+b"),
        ("a%2Bb", "a+b"),
        ("a/b~c.d-e_f", "a/b~c.d-e_f"),
        ("a=", "a="),
        ("a==", "a=="),
    ] {
        assert_arrives(
            (&upstream, &guard),
            ("GET", &format!("/v2/keys?qstash_token={value}"), &[]),
            ("/v2/keys", &[&format!("Authorization: Bearer {token}")]),
        );
    }
}

#[test]
fn names_that_are_only_alike_are_left_alone() {
    let (upstream, guard) = start("");
    for query in [
        "QSTASH_TOKEN=a",
        "qstash_tokens=a",
        "qstash-token=a",
        "x=qstash_token=a",
        "qstash%255Ftoken=a",
        "+qstash_token=a",
    ] {
        let target = format!("/v2/keys?{query}");
        assert_arrives((&upstream, &guard), ("GET", &target, &[]), (&target, &[]));
    }
}

#[test]
fn an_empty_value_is_dropped() {
    let (upstream, guard) = start("");
    let header = format!("Authorization: Bearer {TOKEN}");
    for pair in ["qstash_token=", "qstash_token"] {
        for (headers, lines) in [(vec![], vec![]), (vec![header.as_str()], vec![header.as_str()])] {
            assert_arrives(
                (&upstream, &guard),
                ("GET", &format!("/v2/keys?{pair}"), &headers),
                ("/v2/keys", &lines),
            );
            assert_arrives(
                (&upstream, &guard),
                ("GET", &format!("/v2/keys?a=1&{pair}&b"), &headers),
                ("/v2/keys?a=1&b", &lines),
            );
        }
    }
}

#[test]
fn the_same_token_twice_passes_with_the_header_alone() {
    let (upstream, guard) = start("");
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let header = format!("Authorization: {scheme} {TOKEN}");
        let target = format!("/v2/messages?label=a&count=5&qstash_token={TOKEN}");
        let before = guard.records().len();
        assert_arrives(
            (&upstream, &guard),
            ("DELETE", &target, &[&header]),
            ("/v2/messages?label=a&count=5", &[&header]),
        );
        assert_eq!(assert_forwarded(&guard, before).0["caller"], caller(TOKEN).as_str());
    }
}

#[test]
fn a_header_of_another_scheme_stays_and_the_token_too() {
    let (upstream, guard) = start("");
    let target = format!("/v2/publish/https://example.com/hook?a=1&qstash_token={TOKEN}");
    for header in [
        "Authorization: Basic dTpw",
        "Authorization: GitHub-Hmac x",
        "Authorization: Bearerx y",
    ] {
        assert_arrives((&upstream, &guard), ("POST", &target, &[header]), (&target, &[header]));
    }
    // It does not get in the way of a cancel either.
    let target = format!("/v2/messages?qstash_token={TOKEN}&label=a&count=5");
    let before = guard.records().len();
    assert_arrives(
        (&upstream, &guard),
        ("DELETE", &target, &["Authorization: Basic dTpw"]),
        (&target, &["Authorization: Basic dTpw"]),
    );
    let (intent, _) = assert_forwarded(&guard, before);
    assert_eq!(intent["caller"], caller(TOKEN).as_str());
    assert_eq!(intent["target"], "/v2/messages?qstash_token=***&label=a&count=5");
}

/// What turns on that QStash sends the request's headers on: header lines and query pairs.
const FORWARDING: &[(&str, &str)] = &[
    ("Upstash-Header-Forward: true", ""),
    ("UPSTASH-HEADER-FORWARD: TRUE", ""),
    ("upstash-header-forward: 1", ""),
    ("upstash-header-forward:", ""),
    ("", "upstash-header-forward=true"),
    ("", "Upstash-Header-Forward=yes"),
    ("", "%75pstash-header-forward=%74rue"),
    ("", "upstash-header-forward"),
];
const NOT_FORWARDING: &[(&str, &str)] = &[
    ("Upstash-Header-Forward: false", ""),
    ("upstash-header-forward: False", ""),
    ("", "upstash-header-forward=false"),
    ("Upstash-Forward-X: true", "x=upstash-header-forward"),
];

/// Sends a publish with a token and this row of the tables above; `moved` tells where the token has to be.
#[track_caller]
fn assert_token_goes(upstream: &Upstream, guard: &Guard, (header, pair): (&str, &str), moved: bool) {
    let headers: Vec<&str> = Some(header).filter(|header| !header.is_empty()).into_iter().collect();
    let rest = if pair.is_empty() {
        "a=1".to_owned()
    } else {
        format!("a=1&{pair}")
    };
    let target = format!("/v2/publish/https://example.com/hook?qstash_token={TOKEN}&{rest}");
    let requests = upstream.requests().len();
    assert_eq!(
        request(guard.address, "POST", &target, &headers, b"x").status(),
        202,
        "{header} {pair}"
    );
    let got = upstream.requests().split_off(requests).remove(0);
    let bearer = format!("Bearer {TOKEN}");
    if moved {
        assert_eq!(
            got.target(),
            format!("/v2/publish/https://example.com/hook?{rest}"),
            "{header} {pair}"
        );
        assert_eq!(got.header("authorization"), [bearer.as_str()], "{header} {pair}");
    } else {
        assert_eq!(got.target(), target, "{header} {pair}");
        assert!(got.header("authorization").is_empty(), "{header} {pair}");
    }
}

#[test]
fn a_token_beside_header_forward_stays_in_the_query() {
    let (upstream, guard) = start("");
    for row in FORWARDING {
        assert_token_goes(&upstream, &guard, *row, false);
    }
    for row in NOT_FORWARDING {
        assert_token_goes(&upstream, &guard, *row, true);
    }
    // A kept token is no parameter of a cancel, and names its caller.
    let target = format!("/v2/messages?label=a&count=5&qstash_token={TOKEN}");
    let before = guard.records().len();
    let line = "Upstash-Header-Forward: true";
    assert_arrives((&upstream, &guard), ("DELETE", &target, &[line]), (&target, &[]));
    assert_eq!(assert_forwarded(&guard, before).0["caller"], caller(TOKEN).as_str());
}

#[test]
fn a_token_beside_header_forward_moves_where_it_is_said() {
    let (upstream, guard) = start("credentials: {header_forward_token: move}\n");
    for row in FORWARDING.iter().chain(NOT_FORWARDING) {
        assert_token_goes(&upstream, &guard, *row, true);
    }
}

#[test]
fn a_token_beside_header_forward_is_refused_where_it_is_said() {
    let (upstream, guard) = start("credentials: {header_forward_token: reject}\n");
    for (header, pair) in FORWARDING {
        let headers: Vec<&str> = Some(*header).filter(|header| !header.is_empty()).into_iter().collect();
        let target = format!("/v2/publish/https://example.com/?qstash_token={TOKEN}&{pair}");
        let before = guard.records().len();
        let answer = request(guard.address, "POST", &target, &headers, b"x");
        crate::support::assert_denied(&guard, before, &answer, 403, &["query_token_forbidden"]);
    }
    upstream.assert_untouched();
    for row in NOT_FORWARDING {
        assert_token_goes(&upstream, &guard, *row, true);
    }
}
