//! A cut query keeps its other bytes and has no token left; what is moved can stand in a header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qstash_guard::qstash::credential;

fuzz_target!(|input: (Option<Vec<u8>>, &str)| {
    let (authorization, query) = input;
    let Ok(shown) = credential::read(authorization.iter().map(Vec::as_slice), Some(query.as_bytes())) else {
        return;
    };
    let Some(pair) = &shown.query else { return };
    let rest = pair.cut_from(query).unwrap_or_default();
    let again = credential::read([], Some(rest.as_bytes())).expect("nothing is left to be faulty");
    assert!(again.query.is_none(), "{query:?} keeps a token as {rest:?}");
    let kept = |text: &str| text.split('&').filter(|pair| !pair.is_empty()).count();
    assert_eq!(
        kept(&rest) + 1,
        kept(query),
        "{query:?} lost more than the pair: {rest:?}"
    );
    if let Some(token) = &pair.token {
        let bearer = token.to_bearer();
        assert!(bearer.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' '));
        assert_eq!(
            credential::bearer_token(&bearer).map(<[u8]>::len),
            Some(bearer.len() - 7)
        );
    }
});
