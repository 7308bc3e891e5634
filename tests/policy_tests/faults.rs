//! What is wrong with a file of tests is said with its place; nothing runs then.

use crate::support::Folder;
use crate::test;

/// What is said of a file.
fn fault(text: &str) -> String {
    let folder = Folder::new();
    folder.write("a.test.yaml", text);
    let (code, out, err) = test(&folder, &["a.test.yaml"]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{text}");
    err
}

/// What is said of one test in a file.
fn fault_of(test: &str) -> String {
    fault(&format!("tests:\n  - {test}\n"))
}

#[test]
fn faults_as_people_read_them() {
    let all = [
        fault(""),
        fault("tests: []\n"),
        fault("tests: {name: a}\n"),
        fault("test:\n  - name: a\n"),
        fault("tests: [a\n"),
        fault_of("{name: a}"),
        fault_of("{name: '', request: {target: /v2/messages}, expect: {decision: allow}}"),
        fault_of("{name: a, request: {target: /v2/messages}, expect: {}}"),
        fault_of("{name: a, request: {}, expect: {decision: allow}}"),
        fault_of("{name: a, request: {target: v2/messages}, expect: {decision: allow}}"),
        fault_of("{name: a, request: {target: '/v2/messages?label=a b'}, expect: {decision: allow}}"),
        fault_of(
            "{name: a, request: {target: /v2/messages, methd: GET}, expect: {decision: refuse, code: unfiltered}}",
        ),
        fault_of(
            "{name: a, request: {target: /v2/messages, method: 'GET X'}, expect: {decision: allow, code: rate_limited}}",
        ),
        fault_of("{name: a, request: {target: /v2/messages, body: [1]}, expect: {decision: allow}}"),
        fault_of(
            "{name: a, request: {target: /v2/messages, body: {count: 1, count: 0x10}}, expect: {decision: allow}}",
        ),
        fault_of(
            "{name: a, request: {target: /v2/messages, time: yesterday, client_ip: localhost}, expect: {rule: [a]}}",
        ),
        fault_of(
            "{name: a, request: {target: /v2/messages, headers: {a b: c, X-Two: [1, [2]]}}, expect: {code: mode}, mode: a}",
        ),
    ];
    insta::assert_snapshot!("faults", all.join("\n"));
}

#[test]
fn a_credential_is_not_shown() {
    for request in [
        "target: '/v2/messages?qstash_token=secret-value', time: x",
        "target: '/v2/messages?a= b&qstash_token=secret-value'",
        "target: /v2/messages, headers: {Authorization: \"Bearer secret-value\\u0007\"}",
        "target: /v2/messages, headers: {Authorization: Bearer secret-value}, time: x",
    ] {
        let said = fault_of(&format!(
            "{{name: a, request: {{{request}}}, expect: {{decision: allow}}}}"
        ));
        assert!(said.contains("error: ") && !said.contains("secret-value"), "{said}");
    }
}

#[test]
fn faults_of_every_file_and_configuration_are_said_at_once() {
    let folder = Folder::new();
    folder.write("a.test.yaml", "tests: []\n");
    folder.write("b.test.yaml", "tests: 1\n");
    folder.write("b.yaml", "polcy: {}\n");
    let (code, out, err) = test(&folder, &["a.test.yaml", "b.test.yaml", "missing.test.yaml"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    for expected in [
        "a.test.yaml:1:1",
        "b.test.yaml:1:8",
        "there is no file missing.test.yaml",
        "b.yaml:1:1",
    ] {
        assert!(err.contains(expected), "{expected}: {err}");
    }
}
