//! The commands that judge without sending: `explain`, `test`, `check`, and `key` itself.

use serde_json::Value;

use crate::support::{Folder, Guard, Upstream, request};
use crate::{KEY, TOKEN, bearer, broker, qstash_guard, said};

fn explain(arguments: &[&str]) -> (Option<i32>, Value) {
    let folder = Folder::new();
    // There is no such file, and nobody asks for it.
    let config = folder.write("guard.yaml", &broker("token_file: /nowhere/token"));
    let mut all = vec!["explain", "--json", "--config", config.to_str().unwrap()];
    all.extend(arguments);
    let output = qstash_guard(&all);
    let object = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code(), object)
}

#[test]
fn explain_takes_a_key_or_a_name() {
    let cancel = "/v2/messages?label=a&count=5";
    let (code, object) = explain(&["-H", &bearer(KEY), cancel]);
    assert_eq!((code, &object["caller"]), (Some(0), &"billing".into()), "{object}");
    // Before hosted QStash the guard caps it itself.
    assert_eq!(object["forwarded_target"], "/v2/messages?messageIds=…");

    let (code, object) = explain(&["--caller", "ops", cancel]);
    assert_eq!((code, &object["caller"]), (Some(0), &"ops".into()), "{object}");

    let publish = "/v2/publish/https://e.com/hook?x=1";
    let (code, object) = explain(&["-X", "POST", &format!("{publish}&qstash_token={KEY}")]);
    assert_eq!((code, &object["caller"]), (Some(0), &"billing".into()), "{object}");
    assert_eq!(
        object["forwarded_target"],
        "/v2/publish/https://e.com/***?x=***&qstash_token=***"
    );
    let (_, object) = explain(&["-X", "POST", "--caller", "ops", "/v2/batch"]);
    assert_eq!(object["forwarded_target"], "/v2/batch?qstash_token=***");

    for arguments in [&[cancel][..], &["-H", "Authorization: Bearer unknown", cancel]] {
        let (code, object) = explain(arguments);
        assert_eq!(
            (code, &object["code"]),
            (Some(3), &"unauthenticated".into()),
            "{object}"
        );
    }
    let (code, object) = explain(&["--caller", "ops", "/v2/keys?qstash_token=a&qstash_token=b"]);
    assert_eq!(
        (code, &object["code"]),
        (Some(3), &"conflicting_credentials".into()),
        "{object}"
    );
}

#[test]
fn policy_tests_name_their_callers() {
    let folder = Folder::new();
    let config = folder.write("guard.yaml", &broker(&format!("token: \"{TOKEN}\"")));
    let tests = folder.write(
        "guard.test.yaml",
        "tests:
  - name: billing may
    request: {target: '/v2/messages?label=a&count=5', caller: billing}
    expect: {decision: allow}
  - name: nobody may not
    request: {target: '/v2/messages?label=a&count=5'}
    expect: {decision: deny, code: unauthenticated}
",
    );
    let output = qstash_guard(&["test", "--config", config.to_str().unwrap(), tests.to_str().unwrap()]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("2 passed, 0 failed"), "{text}");
}

#[test]
fn the_policy_is_another_one_by_mode_and_callers_and_not_by_token() {
    let folder = Folder::new();
    let digest = |yaml: &str| {
        let config = folder.write("guard.yaml", yaml);
        let text = said(&qstash_guard(&["check", "--config", config.to_str().unwrap()]));
        let (_, digest) = text.split_once("valid (policy ").unwrap_or_else(|| panic!("{text}"));
        digest.trim_end().to_owned()
    };
    let first = digest(&broker("token: one"));
    assert_eq!(first, digest(&broker("token: two")));
    assert_eq!(first, digest(&broker("token_file: three")));
    let swapped = broker("token: one").replace(&crate::hash(KEY), &crate::hash("qg_another"));
    assert_ne!(first, digest(&swapped));
    let passthrough = broker("token: one")
        .replace("key_sha256", "token_sha256")
        .replace("credentials: {mode: broker, token: one}", "");
    assert_ne!(first, digest(&passthrough));
}

#[test]
fn a_key_that_was_made_opens_the_guard() {
    let output = qstash_guard(&["key", "--name", "billing"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    let key = text.lines().find(|line| line.starts_with("qg_")).unwrap();
    let line = text.lines().find(|line| line.contains("key_sha256")).unwrap();
    assert_eq!(text.matches(key).count(), 1, "{text}");
    let again = said(&qstash_guard(&["key", "--name", "billing"]));
    assert!(!again.contains(key), "each is another one");

    let upstream = Upstream::json("{}");
    let yaml = format!("credentials: {{mode: broker, token: \"{TOKEN}\"}}\ncallers:\n{line}\naudit: {{record: all}}\n");
    let guard = Guard::start(&upstream.url(), &yaml);
    let answer = request(guard.address, "GET", "/v2/keys", &[&bearer(key)], b"");
    assert_eq!(answer.status(), 202, "{answer:?}");
    assert_eq!(guard.wait_for("passed", 1)[0]["caller"], "billing");

    for (name, why) in [
        ("", "a name has letters"),
        ("a b", "a name has letters"),
        ("other", "callers without a name"),
    ] {
        let output = qstash_guard(&["key", "--name", name]);
        let text = said(&output);
        assert!(output.status.code() == Some(2) && text.contains(why), "{text}");
        assert!(!text.contains("qg_"), "{text}");
    }
}
