//! The manifests' configurations are valid, and have the policies of config/, whose tests hold for them.

use std::process::Command;

/// Runs the binary at the top of the project; whether it succeeded, and what it printed.
fn qstash_guard(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_qstash-guard"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("REDIS_URL", "redis://qstash-guard:password@redis:6379")
        .output()
        .unwrap();
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), printed)
}

#[test]
fn the_manifests_have_the_policies_of_config() {
    for (deployed, tests) in [
        ("deploy/kubernetes/sidecar/guard/guard.yaml", "config/sidecar.test.yaml"),
        ("deploy/kubernetes/gateway/guard.yaml", "config/gateway.test.yaml"),
    ] {
        let (valid, printed) = qstash_guard(&["check", "--config", deployed]);
        assert!(valid, "{printed}");
        let (passed, printed) = qstash_guard(&["test", "--config", deployed, tests]);
        assert!(passed && printed.ends_with(" passed, 0 failed\n"), "{printed}");
    }
}

#[test]
fn command_lines_are_known() {
    let unit = super::deployed("systemd/qstash-guard.service");
    let lines = unit.lines().filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        key.starts_with("Exec")
            .then(|| value.strip_prefix("/usr/local/bin/qstash-guard "))?
    });
    let mut known = 0;
    for line in lines {
        let mut arguments: Vec<_> = line.split(' ').collect();
        // Parsed, and not run.
        arguments.push("--help");
        let (parsed, printed) = qstash_guard(&arguments);
        assert!(parsed, "{line}: {printed}");
        known += 1;
    }
    assert_eq!(known, 2);
    // `--help` is not taken for a word of a command that does not exist.
    assert!(!qstash_guard(&["serve", "--help"]).0);
}
