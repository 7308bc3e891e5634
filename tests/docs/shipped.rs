//! The shipped configurations, in force; their own tests run with those of `qstash-guard test`.

use std::process::Command;

use crate::markdown::top;
use crate::support::{Folder, Guard, Upstream, assert_denied, request};

fn shipped(name: &str) -> String {
    std::fs::read_to_string(top().join("config").join(name)).unwrap()
}

#[test]
fn a_guard_runs_on_each_of_them() {
    for name in ["sidecar.yaml", "gateway.yaml"] {
        let upstream = Upstream::json(r#"{"cancelled":1}"#);
        let guard = Guard::start(&upstream.url(), &shipped(name));
        let refused = request(guard.address, "DELETE", "/v2/messages", &[], b"");
        assert_denied(&guard, 1, &refused, 403, &["unfiltered_cancel", "uncapped_cancel"]);
        let refused = request(guard.address, "POST", "/v2/keys/rotate", &[], b"");
        assert_denied(&guard, 2, &refused, 403, &["operation_denied"]);
        assert_eq!(upstream.requests().len(), 0, "{name}");
        let target = "/v2/messages?label=nightly&count=20";
        assert_eq!(request(guard.address, "DELETE", target, &[], b"").code(), "", "{name}");
        assert_eq!(upstream.requests().len(), 1, "{name}");
    }
}

/// Break-glass is shipped closed, as a comment; this opens it the way that the comment says.
#[test]
fn break_glass_opens_and_closes_by_itself() {
    let closed = shipped("gateway.yaml");
    let begin = closed.find("    # - name: break-glass\n").unwrap();
    let length: usize = closed[begin..]
        .split_inclusive('\n')
        .take_while(|line| line.starts_with("    # "))
        .map(str::len)
        .sum();
    let (before, rest) = closed.split_at(begin);
    let (rule, after) = rest.split_at(length);
    let rule = rule.replace("    # ", "    ");
    let expires = rule.split_once("expires: ").unwrap().1.trim_end();
    let folder = Folder::new();
    folder.write("gateway.yaml", &format!("{before}{rule}{after}"));
    let ask = |caller: &str, time: &str, expect: &str| {
        format!(
            "  - name: {caller} at {time}\n    request: {{target: /v2/messages, caller: {caller}, time: {time}}}\n    \
             expect: {{{expect}}}\n"
        )
    };
    let tests = [
        ask(
            "incident-commander",
            "2026-11-01T00:00:00Z",
            "decision: allow, rule: break-glass",
        ),
        ask("incident-commander", expires, "decision: deny, code: unfiltered_cancel"),
        ask(
            "ops-drain",
            "2026-11-01T00:00:00Z",
            "decision: deny, code: unfiltered_cancel",
        ),
    ];
    folder.write("gateway.test.yaml", &format!("tests:\n{}", tests.concat()));
    let output = Command::new(env!("CARGO_BIN_EXE_qstash-guard"))
        .args(["test", "gateway.test.yaml"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(printed.ends_with("\n3 passed, 0 failed\n"), "{printed}");
}
