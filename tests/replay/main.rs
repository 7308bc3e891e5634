//! `audit replay` and `audit stats` over trails that real guards wrote.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod limits;
mod rules;
mod sisters;
mod stats;
mod trails;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::{Folder, Guard, Upstream, request};

/// No limits: what these tests are about is the policy.
const UNLIMITED: &str = "rate_limits: []\n";

const TOKEN: &str = "Authorization: Bearer secret-of-the-tests";

/// What a command said.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs the binary to its end in a folder.
fn qstash_guard(arguments: &[&str], folder: &Path) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_qstash-guard"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("QSTASH_GUARD_CONFIG")
        .env_remove("COLUMNS")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A trail that a guard has written, and stopped.
struct Written {
    folder: std::sync::Arc<Folder>,
}

impl Written {
    /// Sends requests (method, target, body) through a guard of this configuration.
    fn by(yaml: &str, requests: &[(&str, &str, &str)]) -> Self {
        let upstream = Upstream::json(r#"{"cancelled":3}"#);
        let guard = Guard::start(&upstream.url(), yaml);
        for (method, target, body) in requests {
            let answer = request(guard.address, method, target, &[TOKEN], body.as_bytes());
            assert!(answer.status() >= 200, "{target}");
        }
        let folder = std::sync::Arc::clone(&guard.folder);
        let (status, log) = guard.stop();
        assert!(status.success(), "{log}");
        Written { folder }
    }

    /// Replays it under a configuration; `--json` lines are parsed, the last one being the totals.
    fn replay(&self, yaml: &str) -> (Option<i32>, Vec<Value>, Value) {
        self.folder.write("new.yaml", yaml);
        let said = qstash_guard(
            &["audit", "replay", "--json", "--config", "new.yaml", "audit"],
            self.folder.path(),
        );
        assert_eq!(said.err, "", "{}", said.out);
        let mut lines: Vec<Value> = said
            .out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let totals = lines.pop().unwrap();
        (said.code, lines, totals)
    }

    /// Asserts that nothing changes under a configuration, and that every request was decided.
    #[track_caller]
    fn assert_unchanged(&self, yaml: &str, requests: usize) {
        let (code, changes, totals) = self.replay(yaml);
        assert_eq!((code, changes.as_slice()), (Some(0), [].as_slice()), "{totals}");
        assert_eq!(totals["unchanged"], requests, "{totals}");
        assert_eq!(totals["undecided"], serde_json::json!([]), "{totals}");
    }
}

/// A text without what differs from run to run.
fn redacted(text: &str) -> String {
    let mut shown = String::new();
    for word in text.split_inclusive([' ', '\n', ')']) {
        let bare = word.trim_end_matches([' ', '\n', ')']);
        let is_time = bare.len() == 27 && bare.starts_with("20") && bare.ends_with('Z');
        let is_digest = bare.strip_prefix("sha256:").is_some_and(|digits| digits.len() == 12);
        if is_time {
            shown.push_str("[time]");
            shown.push_str(&word[bare.len()..]);
        } else if is_digest {
            shown.push_str("[digest]");
            shown.push_str(&word[bare.len()..]);
        } else {
            shown.push_str(word);
        }
    }
    shown
}
