//! Passwords, databases and TLS.

use std::process::Command;
use std::sync::Arc;

use crate::server::answering;
use crate::support::tls::Authority;
use crate::support::{Folder, Guard, Upstream, refusal};
use crate::{
    ALICE, Server, assert_limited, assert_passed, cancel, failing, limit, logged, store, upstream, wait_until_up,
};

const PASSWORD: &str = "p4ss-of-the-tests";

/// A guard whose store's URL comes from the environment.
fn with_url(upstream: &Upstream, url: &str) -> Guard {
    let folder = Arc::new(Folder::new());
    let yaml = limit("caller", "requests", 1) + &failing("${REDIS_URL}", "deny");
    let mut command = Guard::command(&folder, &upstream.url(), &yaml);
    command.env("REDIS_URL", url);
    Guard::spawn(folder, command)
}

/// Asserts that nothing that the guard wrote or tells has the password.
#[track_caller]
fn assert_kept_secret(guard: &Guard) {
    let trail = std::fs::read_to_string(guard.trail_path()).unwrap();
    for text in [guard.log(), trail, guard.admin("/metrics").1, guard.admin("/readyz").1] {
        assert!(!text.contains(PASSWORD), "{text}");
    }
}

#[test]
fn a_password_opens_the_store_and_is_shown_nowhere() {
    let (server, upstream) = (Server::with(&["--requirepass", PASSWORD]), upstream());
    let guard = with_url(&upstream, &format!("redis://:{PASSWORD}@127.0.0.1:{}/1", server.port));
    wait_until_up(&guard, true);
    assert_passed(&cancel(&guard, ALICE, 1));
    assert_limited(&cancel(&guard, ALICE, 1));
    assert_kept_secret(&guard);
}

#[test]
fn a_user_with_the_rights_it_needs_and_no_more_is_enough() {
    let login = format!(">{PASSWORD}");
    let rights = "resetkeys ~qstash-guard:* resetchannels -@all +ping +time +get +set +evalsha +script|load";
    let mut user = vec!["--user", "guard", "on", &login];
    user.extend(rights.split(' '));
    let server = Server::with(&user);
    let upstream = upstream();
    let guard = with_url(
        &upstream,
        &format!("redis://guard:{PASSWORD}@127.0.0.1:{}", server.port),
    );
    wait_until_up(&guard, true);
    assert_passed(&cancel(&guard, ALICE, 1));
    assert_limited(&cancel(&guard, ALICE, 1));
    assert_kept_secret(&guard);
}

#[test]
fn a_wrong_password_is_told_of_and_not_shown() {
    let (server, upstream) = (Server::with(&["--requirepass", "another"]), upstream());
    for (login, told) in [
        (format!(":{PASSWORD}@"), "it refuses the user or the password"),
        (String::new(), "NOAUTH"),
    ] {
        let guard = with_url(&upstream, &format!("redis://{login}127.0.0.1:{}", server.port));
        wait_until_up(&guard, false);
        refusal(&cancel(&guard, ALICE, 1), 503, &["store_unavailable"]);
        let unreachable = logged(&guard, "the store of limits cannot be reached");
        assert_eq!(unreachable.len(), 1, "{unreachable:?}");
        assert!(
            unreachable[0]["message"].as_str().unwrap().contains(told),
            "{unreachable:?}"
        );
        assert_kept_secret(&guard);
    }
    upstream.assert_untouched();
}

#[test]
fn a_server_that_repeats_the_password_is_not_quoted() {
    let upstream = upstream();
    let port = answering("-ERR unknown command 'AUTH', with args beginning with: 'p4ss-of-the-tests'\r\n");
    let guard = with_url(&upstream, &format!("redis://:{PASSWORD}@127.0.0.1:{port}"));
    wait_until_up(&guard, false);
    refusal(&cancel(&guard, ALICE, 1), 503, &["store_unavailable"]);
    assert_eq!(logged(&guard, "the store of limits cannot be reached").len(), 1);
    assert_kept_secret(&guard);
    upstream.assert_untouched();
}

#[test]
fn a_server_that_speaks_another_protocol_is_no_store() {
    let upstream = upstream();
    let port = answering("HTTP/1.1 400 Bad Request\r\n\r\n");
    let guard = with_url(&upstream, &format!("redis://127.0.0.1:{port}"));
    wait_until_up(&guard, false);
    refusal(&cancel(&guard, ALICE, 1), 503, &["store_unavailable"]);
    upstream.assert_untouched();
}

#[test]
fn databases_are_counted_apart() {
    let (server, upstream) = (Server::start(), upstream());
    for database in [0, 1] {
        let yaml = limit("caller", "requests", 1) + &store(&format!("{}/{database}", server.url()));
        let guard = Guard::start(&upstream.url(), &yaml);
        assert_passed(&cancel(&guard, ALICE, 1));
        assert_limited(&cancel(&guard, ALICE, 1));
    }
}

#[test]
fn a_store_behind_tls_is_verified() {
    let (authority, upstream) = (Authority::new("Root of the tests"), upstream());
    let (certificate, key) = authority.certificate("localhost");
    let server = Server::over_tls(&certificate, &key);
    let folder = Arc::new(Folder::new());
    let root = folder.write("root.pem", &authority.pem);
    let url = format!("rediss://localhost:{}", server.port);
    let limited = limit("caller", "requests", 1);
    let trusting = format!("{limited}{}upstream: {{ca_file: '{}'}}\n", store(&url), root.display());
    let guard = Guard::start(&upstream.url(), &trusting);
    wait_until_up(&guard, true);
    assert_passed(&cancel(&guard, ALICE, 1));
    assert_limited(&cancel(&guard, ALICE, 1));
    assert_eq!(upstream.requests().len(), 1);

    // The certificate is not for that name, its root is not known, or there is no TLS at all.
    let elsewhere = format!("rediss://127.0.0.1:{}", server.port);
    let plain = Server::start();
    let plain = format!("rediss://localhost:{}", plain.port);
    for (url, roots, told) in [
        (&elsewhere, true, "not valid for name"),
        (&url, false, "UnknownIssuer"),
        (&plain, true, ""),
    ] {
        let trusted = format!("upstream: {{ca_file: '{}'}}\n", root.display());
        let yaml = limited.clone() + &failing(url, "deny") + if roots { &trusted } else { "" };
        let guard = Guard::start(&upstream.url(), &yaml);
        wait_until_up(&guard, false);
        refusal(&cancel(&guard, ALICE, 1), 503, &["store_unavailable"]);
        let unreachable = logged(&guard, "the store of limits cannot be reached");
        assert!(
            unreachable[0]["message"].as_str().unwrap().contains(told),
            "{unreachable:?}"
        );
    }
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_faulty_url_is_refused_without_being_shown() {
    let folder = Folder::new();
    for url in [
        format!("http://:{PASSWORD}@store"),
        format!("redis://:{PASSWORD}@store/x"),
        format!("redis://:a/{PASSWORD}@store"),
        format!("rediss://:{PASSWORD}@store#insecure"),
        format!("redis:/:{PASSWORD}@store"),
    ] {
        let config = folder.write("guard.yaml", &format!("rate_limit_store: {{url: \"{url}\"}}\n"));
        let checked = Command::new(env!("CARGO_BIN_EXE_qstash-guard"))
            .args(["check", "--config"])
            .arg(config)
            .output()
            .unwrap();
        let told = String::from_utf8([checked.stdout, checked.stderr].concat()).unwrap();
        assert_eq!(checked.status.code(), Some(1), "{told}");
        assert!(
            told.contains("rate_limit_store.url") && !told.contains(PASSWORD),
            "{told}"
        );
    }
}
