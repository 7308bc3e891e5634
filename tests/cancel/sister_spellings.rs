//! The spellings of the other bulk operations' paths.

use crate::TOKEN;
use crate::sister::SISTERS;
use crate::support::{assert_denied, request};

/// `/v2/dlq/` is what an empty id leaves of `/v2/dlq/ID`, and QStash takes it for the bulk operation.
#[test]
fn every_spelling_that_servers_take_for_one_is_judged_as_it() {
    for sister in &SISTERS {
        let (upstream, guard) = sister.start("");
        let path = sister.path;
        let shouted = path.to_uppercase();
        let encoded = path.replace("dlq", "%64lq").replace("runs", "%72uns");
        for target in [
            format!("{path}/"),
            format!("{path}//"),
            format!("/{path}"),
            path.replacen("/v2/", "/v2//", 1),
            path.replacen("/v2/", "/v1/", 1),
            shouted,
            encoded,
        ] {
            let before = guard.records().len();
            let answer = request(guard.address, sister.method, &target, &[TOKEN], b"");
            let record = assert_denied(&guard, before, &answer, 403, &["unfiltered_cancel", "uncapped_cancel"]);
            assert_eq!(record["operation"], sister.name, "{target}");
        }
        upstream.assert_untouched();
        let target = format!("/{path}/?label=a&count=5");
        assert_eq!(
            request(guard.address, sister.method, &target, &[TOKEN], b"").status(),
            200
        );
        assert_eq!(upstream.wait_for(1).target(), target);
    }
}

#[test]
fn paths_that_can_be_read_in_two_ways_are_refused_whatever_they_select() {
    for sister in &SISTERS {
        let (upstream, guard) = sister.start("");
        let path = sister.path;
        for target in [
            format!("{path}/.?label=a&count=5"),
            format!("{path}/id/.."),
            format!("{path}/%2e"),
            format!("{path}/%20"),
            format!("{path}/%C2%A0"),
            format!("{path}/;x"),
            format!("{path};x?label=a&count=5"),
            format!("{path}%2f"),
            format!("{path}%3Flabel=a"),
            format!("{path}%20"),
            format!("{path}%"),
            format!("{path}*"),
            format!("{path}//id"),
            format!("{path}//id;x"),
            path.replacen("/v2/", "/v2/x/../", 1),
            path.replacen("/v2/", "/v2%2f", 1),
            path.replacen("/v2/", "/v2/%252e/", 1),
        ] {
            let before = guard.records().len();
            let answer = request(guard.address, sister.method, &target, &[TOKEN], b"");
            assert_denied(&guard, before, &answer, 400, &["ambiguous_request"]);
        }
        for header in [
            "X-HTTP-Method-Override: DELETE",
            "X-Method-Override: POST",
            "x-http-method: DELETE",
        ] {
            for method in ["GET", "POST", "PUT", sister.method] {
                let before = guard.records().len();
                let target = format!("{path}?label=a&count=5");
                let answer = request(guard.address, method, &target, &[TOKEN, header], b"");
                assert_denied(&guard, before, &answer, 400, &["ambiguous_request"]);
            }
        }
        upstream.assert_untouched();
    }
}

/// Where nothing guards them, the same paths are nobody's business.
#[test]
fn unguarded_they_pass_as_they_are() {
    let (upstream, guard) = crate::start("");
    for (number, sister) in (1..).zip(&SISTERS) {
        let target = format!("{}//id;x", sister.path);
        assert_eq!(
            request(guard.address, sister.method, &target, &[TOKEN], b"").status(),
            202
        );
        assert_eq!(upstream.wait_for(number).target(), target);
    }
}
