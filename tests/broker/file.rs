//! The token in a file, which changes while requests are served.

use std::collections::HashSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::support::wait::until;
use crate::support::{Client, Folder, Guard, Upstream, request};
use crate::{KEY, bearer, broker, hash};

const FIRST: &str = "first-0123456789abcdef==";
const SECOND: &str = "second-0123456789abcdef==";

fn start(text: &str) -> (Upstream, Guard) {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let folder = Arc::new(Folder::new());
    folder.write("token", text);
    let guard = Guard::start_in(folder, &upstream.url(), &broker("token_file: token"));
    (upstream, guard)
}

/// The token that the upstream gets now.
fn sent(upstream: &Upstream, guard: &Guard) -> String {
    let answer = request(guard.address, "GET", "/v2/keys", &[&bearer(KEY)], b"");
    assert_eq!(answer.status(), 202, "{answer:?}");
    let got = upstream.requests().pop().unwrap();
    let [authorization] = got.header("authorization")[..] else {
        panic!("{got:?}");
    };
    authorization.strip_prefix("Bearer ").unwrap().to_owned()
}

fn logged(guard: &Guard, message: &str) -> Vec<Value> {
    let log = guard.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| line["message"].as_str().is_some_and(|found| found.contains(message)))
        .collect()
}

#[test]
fn a_new_token_is_taken_while_requests_go_on() {
    let (upstream, guard) = start(&format!("{FIRST}\n"));
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                threads.spawn(|| {
                    let mut client = Client::connect(guard.address);
                    let mut answered = 0;
                    while !done.load(Ordering::SeqCst) {
                        let answer = client.request("POST", "/v2/publish/https://e.com", &[&bearer(KEY)], b"x");
                        assert_eq!(answer.status(), 202, "{answer:?}");
                        answered += 1;
                    }
                    answered
                })
            })
            .collect();
        upstream.wait_for(20);
        // Not at once, as an editor or a mount would: the file is found by looking.
        guard.folder.write("token", SECOND);
        guard.wait_until("the new token", || {
            !logged(&guard, "another token is in force").is_empty()
        });
        let before = upstream.requests().len();
        upstream.wait_for(before + 20);
        done.store(true, Ordering::SeqCst);
        let answered: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
        assert_eq!(upstream.requests().len(), answered, "no request was lost or repeated");
    });
    let requests = upstream.requests();
    let tokens: HashSet<&str> = requests
        .iter()
        .map(|got| got.target().split_once("?qstash_token=").unwrap().1)
        .collect();
    let expected = [FIRST, SECOND].map(|token| token.replace('=', "%3D"));
    assert_eq!(tokens, expected.iter().map(String::as_str).collect());
    assert_eq!(sent(&upstream, &guard), SECOND);
    let line = logged(&guard, "another token is in force").remove(0);
    assert_eq!(line["token"], hash(SECOND)[..12], "{line}");
}

#[test]
fn a_hangup_takes_it_at_once_and_a_bad_file_leaves_the_old_one() {
    let (upstream, guard) = start(FIRST);
    assert_eq!(sent(&upstream, &guard), FIRST);
    for (number, bad) in ["", "not a token", "s3cr3t s3cr3t"].into_iter().enumerate() {
        guard.folder.write("token", bad);
        guard.signal("HUP");
        guard.wait_until("the error", || logged(&guard, "the one in force stays").len() > number);
        assert_eq!(sent(&upstream, &guard), FIRST, "{bad:?}");
    }
    std::fs::remove_file(guard.folder.path().join("token")).unwrap();
    guard.signal("HUP");
    guard.wait_until("the error", || {
        logged(&guard, "the one in force stays").iter().any(|line| {
            line["error"]
                .as_str()
                .is_some_and(|error| error.contains("No such file"))
        })
    });
    guard.folder.write("token", SECOND);
    guard.signal("HUP");
    until(|| sent(&upstream, &guard), |token| token == SECOND);
    let (_, log) = guard.stop();
    for secret in [FIRST, SECOND, "s3cr3t", "not a token"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[test]
fn a_file_that_became_a_pipe_holds_nothing_up() {
    let (upstream, guard) = start(FIRST);
    let token = guard.folder.path().join("token");
    std::fs::remove_file(&token).unwrap();
    assert!(Command::new("mkfifo").arg(&token).status().unwrap().success());
    guard.wait_until("the error", || !logged(&guard, "the one in force stays").is_empty());
    guard.signal("HUP");
    guard.wait_for("policy_loaded", 1);
    assert_eq!(sent(&upstream, &guard), FIRST);
    std::fs::remove_file(&token).unwrap();
    guard.folder.write("token", SECOND);
    guard.signal("HUP");
    until(|| sent(&upstream, &guard), |token| token == SECOND);
}

#[test]
fn a_reload_changes_callers_and_the_source_of_the_token() {
    let (upstream, guard) = start(FIRST);
    guard.folder.write("guard.yaml", &broker(&format!("token: {SECOND}")));
    guard.signal("HUP");
    guard.wait_for("policy_loaded", 1);
    until(|| sent(&upstream, &guard), |token| token == SECOND);

    // A file that is not there yet: the policy stays until it is.
    let other = broker("token_file: other").replace("name: billing", "name: renamed");
    guard.folder.write("guard.yaml", &other);
    guard.signal("HUP");
    let rejected = guard.wait_for("policy_rejected", 1).remove(0);
    let detail = rejected["detail"].as_str().unwrap();
    assert!(
        detail.contains("credentials.token_file other: No such file"),
        "{detail}"
    );
    assert_eq!(sent(&upstream, &guard), SECOND);
    guard.folder.write("other", FIRST);
    guard.wait_for("policy_loaded", 2);
    until(|| sent(&upstream, &guard), |token| token == FIRST);
    assert_eq!(guard.records_of("policy_rejected").len(), 1, "it is said once");

    // A caller that is gone is a stranger.
    let key = hash("qg_other");
    let yaml =
        format!("credentials: {{mode: broker, token_file: other}}\ncallers: [{{name: a, key_sha256: \"{key}\"}}]\n");
    guard.folder.write("guard.yaml", &yaml);
    guard.signal("HUP");
    guard.wait_for("policy_loaded", 3);
    let of = |key: &str| request(guard.address, "GET", "/v2/keys", &[&bearer(key)], b"").status();
    until(|| of(KEY), |status| *status == 401);
    assert_eq!(of("qg_other"), 202);

    // And back to clients that bring their own.
    guard.folder.write("guard.yaml", "rate_limits: []\n");
    guard.signal("HUP");
    guard.wait_for("policy_loaded", 4);
    until(|| of("the-clients-own"), |status| *status == 202);
    let got = upstream.requests().pop().unwrap();
    assert_eq!(got.header("authorization"), ["Bearer the-clients-own"]);
}

#[test]
fn a_guard_without_its_token_does_not_start() {
    let folder = Folder::new();
    for (text, why) in [
        (None, "credentials.token_file token: No such file or directory"),
        (Some(""), "credentials.token_file token is empty"),
        (Some("s3cr3t s3cr3t\n"), "credentials.token_file token holds no token"),
    ] {
        if let Some(text) = text {
            folder.write("token", text);
        }
        let output = Guard::command(&folder, "http://127.0.0.1:9", &broker("token_file: token"))
            .output()
            .unwrap();
        let said = crate::said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(why) && !said.contains("s3cr3t"), "{said}");
        assert!(!folder.path().join("audit").exists(), "nothing is begun");
    }
}
