//! What is wrong with a configuration for broker mode.

use std::fmt::Write as _;

use crate::support::Folder;
use crate::{KEY, hash, qstash_guard, said};

#[test]
fn faults_as_people_read_them() {
    let folder = Folder::new();
    let key = hash(KEY);
    let callers = format!("\ncallers: [{{name: a, key_sha256: \"{key}\"}}]");
    let mut text = String::new();
    for yaml in [
        format!("credentials: {{mode: broker}}{callers}"),
        format!("credentials: {{mode: broker, token: null, token_file: null}}{callers}"),
        format!("credentials:\n  mode: broker\n  token: abc\n  token_file: /run/secrets/qstash{callers}"),
        format!("credentials: {{mode: broker, token: \"\"}}{callers}"),
        format!("credentials: {{mode: broker, token: \"${{UNSET_OF_THE_TESTS}}\"}}{callers}"),
        format!("credentials: {{mode: broker, token: \"s3cr3t s3cr3t\"}}{callers}"),
        format!("credentials: {{mode: broker, token: [s3cr3t]}}{callers}"),
        format!("credentials: {{mode: broker, token_file: \"\"}}{callers}"),
        "credentials: {mode: broker, token: abc}".to_owned(),
        "credentials: {mode: broker, token: abc}\ncallers: []".to_owned(),
        format!("credentials: {{mode: broker, token: abc}}\ncallers: [{{name: a, token_sha256: \"{key}\"}}]"),
        format!("credentials: {{mode: broker, token: abc}}\ncallers: [{{name: a, key: {KEY}}}]"),
        format!("credentials: {{mode: broker, token: abc}}\ncallers: [{{name: a, key_sha256: {KEY}}}]"),
        "credentials: {mode: broker, token: abc}\ncallers: [{name: a}]".to_owned(),
        format!("credentials: {{mode: broker, token: abc}}{callers}\n")
            .replace("}]\n", &format!("}}, {{name: b, key_sha256: \"{key}\"}}]")),
        "credentials: {token: s3cr3t, token_file: a}".to_owned(),
        "callers: [{name: a}]\ncredentials: {mode: passthru}".to_owned(),
    ] {
        let file = folder.write("guard.yaml", &yaml);
        let output = qstash_guard(&["check", "--config", file.to_str().unwrap()]);
        let shown = said(&output).replace(file.to_str().unwrap(), "guard.yaml");
        assert_eq!(output.status.code(), Some(1), "{yaml}: {shown}");
        assert!(!shown.contains("s3cr3t") && !shown.contains(KEY), "{shown}");
        writeln!(text, "{}\n", shown.replace(&key, "[hash]").trim()).unwrap();
    }
    insta::assert_snapshot!(text);
}
