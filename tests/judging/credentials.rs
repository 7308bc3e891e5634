//! Query tokens: where the pair is cut, what it holds, and what is refused.

use qstash_guard::qstash::credential::{
    self, CredentialFault, Fingerprint, forwards_headers, query_forwards_headers, read,
};

type Outcome<'a> = Result<(Option<&'a str>, Option<&'a str>), CredentialFault>;

/// The query that is forwarded and the `Authorization` made of the pair; the query as it is where there is no pair.
fn moved(authorization: &[&str], query: &str) -> Result<(Option<String>, Option<String>), CredentialFault> {
    let shown = read(authorization.iter().map(|line| line.as_bytes()), Some(query.as_bytes()))?;
    Ok(match shown.query {
        None => (Some(query.to_owned()), None),
        Some(pair) => {
            let bearer = pair
                .token
                .as_ref()
                .map(|token| String::from_utf8(token.to_bearer().to_vec()).expect("a token is ASCII"));
            (pair.cut_from(query), bearer)
        }
    })
}

#[track_caller]
fn check(rows: &[(&[&str], &str, Outcome<'_>)]) {
    for (authorization, query, expected) in rows {
        let expected = expected.map(|(query, bearer)| (query.map(str::to_owned), bearer.map(str::to_owned)));
        assert_eq!(moved(authorization, query), expected, "{authorization:?} {query}");
    }
}

const ABC: Option<&str> = Some("Bearer abc");

#[test]
fn only_the_pair_is_cut() {
    check(&[
        (&[], "qstash_token=abc", Ok((None, ABC))),
        (&[], "qstash_token=abc&a=1", Ok((Some("a=1"), ABC))),
        (&[], "a=1&qstash_token=abc", Ok((Some("a=1"), ABC))),
        (&[], "a=1&qstash_token=abc&b=2", Ok((Some("a=1&b=2"), ABC))),
        (
            &[],
            "a=%zz;x&qstash_token=abc&=&b=\u{fc}+%20",
            Ok((Some("a=%zz;x&=&b=\u{fc}+%20"), ABC)),
        ),
        (&[], "a=1&&qstash_token=abc&&b=2", Ok((Some("a=1&&&b=2"), ABC))),
        (&[], "&qstash_token=abc", Ok((None, ABC))),
        (&[], "qstash_token=abc&", Ok((None, ABC))),
        (&[], "qstash_token=abc&&", Ok((Some("&"), ABC))),
        (&[], "&&qstash_token=abc", Ok((Some("&"), ABC))),
        (&[], "b=2&a=1&qstash_token=abc&a=0", Ok((Some("b=2&a=1&a=0"), ABC))),
    ]);
}

#[test]
fn the_name_is_read_decoded() {
    check(&[
        (&[], "qstash%5Ftoken=abc", Ok((None, ABC))),
        (&[], "%71%73%74%61%73%68%5f%74%6f%6b%65%6e=abc", Ok((None, ABC))),
        (&[], "a=1&qstash_%74oken=abc", Ok((Some("a=1"), ABC))),
        (&[], "Qstash_token=abc", Ok((Some("Qstash_token=abc"), None))),
        (&[], "qstash%255Ftoken=abc", Ok((Some("qstash%255Ftoken=abc"), None))),
        (&[], "qstash_token%=abc", Ok((Some("qstash_token%=abc"), None))),
        (&[], "qstash_token%00=abc", Ok((Some("qstash_token%00=abc"), None))),
        (&[], "+qstash_token=abc", Ok((Some("+qstash_token=abc"), None))),
        (&[], "qstash_tokens=abc", Ok((Some("qstash_tokens=abc"), None))),
        (&[], "qstash_toke=abc", Ok((Some("qstash_toke=abc"), None))),
        (&[], "a=qstash_token=abc", Ok((Some("a=qstash_token=abc"), None))),
    ]);
}

#[test]
fn the_value_is_decoded_and_keeps_its_plus() {
    check(&[
        (&[], "qstash_token=a+b/c-d._~", Ok((None, Some("Bearer a+b/c-d._~")))),
        (&[], "qstash_token=a%2Bb%2fc%3D%3d", Ok((None, Some("Bearer a+b/c==")))),
        (&[], "qstash_token=abc==", Ok((None, Some("Bearer abc==")))),
        (&[], "qstash_token=", Ok((None, None))),
        (&[], "qstash_token", Ok((None, None))),
        (&[], "a=1&qstash_token=&b=2", Ok((Some("a=1&b=2"), None))),
        (&[], "a=1&qstash_token", Ok((Some("a=1"), None))),
    ]);
    let malformed = Err(CredentialFault::Malformed);
    for value in [
        "a%0D%0AX-Evil:%201",
        "a\r\nb",
        "%0a",
        "a%00",
        "a%20b",
        "a b",
        "a%",
        "a%2",
        "a%zz",
        "a%25",
        "=abc",
        "a=b",
        "==",
        "%C3%BC",
        "\u{fc}",
        "%FF",
        "a,b",
        "a;b",
        "a:b",
        "abc?x=1",
        "a\"b",
        "Bearer%20abc",
    ] {
        check(&[(&[], &format!("a=1&qstash_token={value}"), malformed)]);
        check(&[(&["Bearer abc"], &format!("qstash_token={value}&a=1"), malformed)]);
    }
}

/// A destination URL in the path has its own query, and a `?` in that is a character like others.
#[test]
fn nested_question_marks() {
    check(&[
        (
            &[],
            "x=https://e.com?y=1&qstash_token=abc",
            Ok((Some("x=https://e.com?y=1"), ABC)),
        ),
        (&[], "x=1?qstash_token=abc", Ok((Some("x=1?qstash_token=abc"), None))),
        (&[], "?qstash_token=abc", Ok((Some("?qstash_token=abc"), None))),
        (&[], "qstash_token=abc?x=1", Err(CredentialFault::Malformed)),
        (&[], "qstash_token=abc&x=1?y=2", Ok((Some("x=1?y=2"), ABC))),
    ]);
}

#[test]
fn in_both_places() {
    let differing = Err(CredentialFault::Differing);
    check(&[
        (&["Bearer abc"], "qstash_token=abc", Ok((None, ABC))),
        (&["bearer  abc "], "a=1&qstash_token=%61bc", Ok((Some("a=1"), ABC))),
        (&["Bearer abc"], "qstash_token=", Ok((None, None))),
        (&["Bearer abc"], "a=1", Ok((Some("a=1"), None))),
        (&["Bearer abc"], "qstash_token=abd", differing),
        (&["Bearer ABC"], "qstash_token=abc", differing),
        (&["Bearer abc="], "qstash_token=abc", differing),
        (&["BEARER\tabd"], "qstash_token=abc", differing),
        (&["Bearer abc, Bearer abc"], "qstash_token=abc", differing),
        // Another scheme is the sender's own; both are there to be left as they are.
        (&["Basic abc"], "a=1&qstash_token=abc", Ok((Some("a=1"), ABC))),
        (&["Bearerabc"], "qstash_token=abc", Ok((None, ABC))),
    ]);
}

#[test]
fn more_than_one() {
    check(&[
        (
            &[],
            "qstash_token=abc&qstash_token=abc",
            Err(CredentialFault::TwoQueryTokens),
        ),
        (
            &[],
            "qstash_token=abc&a=1&qstash%5Ftoken=abd",
            Err(CredentialFault::TwoQueryTokens),
        ),
        (&[], "qstash_token&qstash_token=", Err(CredentialFault::TwoQueryTokens)),
        (
            &[],
            "qstash_token=%&qstash_token=abc",
            Err(CredentialFault::TwoQueryTokens),
        ),
        (
            &["Bearer abc", "Bearer abc"],
            "a=1",
            Err(CredentialFault::TwoAuthorizations),
        ),
        (
            &["Basic abc", "Bearer abc"],
            "qstash_token=abc",
            Err(CredentialFault::TwoAuthorizations),
        ),
        (&["", ""], "", Err(CredentialFault::TwoAuthorizations)),
    ]);
    assert!(matches!(
        read([&b"Bearer a"[..], b"Bearer b"], None),
        Err(CredentialFault::TwoAuthorizations)
    ));
}

#[test]
fn schemes_of_the_header() {
    for (line, bearer, other) in [
        ("Bearer abc", Some("abc"), false),
        ("bEARER abc", Some("abc"), false),
        (" Bearer \t abc ", Some("abc"), false),
        ("Bearer a b", Some("a b"), false),
        ("Bearer", None, true),
        ("Bearer ", None, true),
        ("Bearerabc", None, true),
        ("Bear abc", None, true),
        ("Basic YTpi", None, true),
        ("", None, true),
    ] {
        let shown = read([line.as_bytes()], None).unwrap();
        assert_eq!(
            (shown.bearer, shown.other_scheme),
            (bearer.map(str::as_bytes), other),
            "{line:?}"
        );
    }
    let none = read([], Some(b"a=1")).unwrap();
    assert_eq!((none.bearer, none.other_scheme, none.query), (None, false, None));
}

#[test]
fn a_fingerprint_is_of_the_token_alone() {
    let of = |line: Option<&'static str>, query: Option<&'static str>| {
        read(line.map(str::as_bytes), query.map(str::as_bytes))
            .unwrap()
            .hash()
            .map(|hash| hash.fingerprint())
            .map(|print| print.to_string())
    };
    // The first 12 digits of `printf abc | sha256sum`.
    let abc = Some("ba7816bf8f01".to_owned());
    assert_eq!(of(Some("Bearer abc"), None), abc);
    assert_eq!(of(Some("  bearer   abc  "), None), abc);
    assert_eq!(of(None, Some("a=1&qstash_token=%61bc")), abc);
    assert_eq!(of(Some("Bearer abc"), Some("qstash_token=abc")), abc);
    assert_eq!(of(Some("Basic x"), Some("qstash_token=abc")), abc);
    assert_eq!(of(Some("Basic abc"), None), None);
    assert_eq!(of(None, Some("qstash_token=")), None);
    assert_eq!(of(None, None), None);
    assert_eq!(Fingerprint::of(b"").to_string(), "e3b0c44298fc");
}

#[test]
fn nothing_prints_a_token() {
    let shown = read([], Some(b"qstash_token=s3cr3t")).unwrap();
    let printed = format!("{:?} {:#?}", shown.query, shown.query);
    assert!(!printed.contains("s3cr3t") && printed.contains("Token("), "{printed}");
}

#[test]
fn header_forward() {
    for (value, on) in [
        ("true", true),
        ("1", true),
        ("", true),
        ("false", false),
        (" False ", false),
        ("no", true),
    ] {
        assert_eq!(forwards_headers(value.as_bytes()), on, "{value:?}");
    }
    for (query, on) in [
        ("upstash-header-forward=true", true),
        ("a=1&Upstash-Header-Forward=1&b", true),
        ("upstash%2Dheader%2dforward=true", true),
        ("upstash-header-forward", true),
        ("upstash-header-forward=%", true),
        ("upstash-header-forward=false", false),
        ("upstash-header-forward=%46alse", false),
        ("upstash-header-forward=false&UPSTASH-HEADER-FORWARD=true", true),
        ("a=upstash-header-forward=true", false),
        ("upstash-header-forwards=true", false),
        ("", false),
    ] {
        assert_eq!(query_forwards_headers(query.as_bytes()), on, "{query}");
    }
}

#[test]
fn bearer_tokens() {
    assert_eq!(credential::bearer_token(b"Bearer abc"), Some(&b"abc"[..]));
    assert_eq!(credential::bearer_token(b"Bearer\xffabc"), None);
}
