//! The guard's token and the keys are in no record, log line, metric, answer or output of a command.

use std::collections::HashSet;

use crate::support::{Client, Folder, Guard, Upstream};
use crate::{ENCODED, KEY, TOKEN, bearer, broker, qstash_guard, said, start};

/// Parts of this length count as found.
const PART: usize = 10;

#[track_caller]
fn assert_holds_nothing(place: &str, text: &str) {
    let parts: HashSet<&str> = (0..text.len()).filter_map(|at| text.get(at..at + PART)).collect();
    for secret in [TOKEN, ENCODED, KEY] {
        let found = (0..=secret.len() - PART).find_map(|at| parts.get(&secret[at..at + PART]));
        assert_eq!(found, None, "in {place}: {text}");
    }
}

#[test]
fn no_part_of_a_credential_is_anywhere() {
    for mode in ["enforce", "monitor"] {
        let (upstream, guard) = start(&format!(
            "log: {{level: trace}}\naudit: {{record: all}}\npolicy: {{mode: {mode}}}\n"
        ));
        let mut answers = String::new();
        for (line, header) in [
            ("GET /v2/keys", bearer(KEY)),
            ("DELETE /v2/messages", bearer(KEY)),
            ("DELETE /v2/messages?label=a&count=5", bearer(KEY)),
            ("POST /v2/publish/https://example.com/?a=b", bearer(KEY)),
            ("POST /v2/publish/https://qstash.upstash.io/", bearer(KEY)),
            ("POST /v2/batch", bearer(KEY)),
            ("POST /v2/x/../publish/a", bearer(KEY)),
            ("DELETE /v2/x/../messages", bearer(KEY)),
            (
                "DELETE /v2/messages?label=a&count=5",
                format!("{}\r\nUpstash-Header-Forward: 1", bearer(KEY)),
            ),
            (
                "DELETE /v2/messages?label=a&count=500",
                format!("{}\r\nUpstash-Header-Forward: 1", bearer(KEY)),
            ),
            ("POST /v2/publish/https://example.com", bearer(&format!("{KEY}x"))),
            (
                "POST /v2/publish/https://example.com?qstash_token=$K",
                "X-Own: 1".to_owned(),
            ),
            (
                "POST /v2/publish/https://example.com?qstash_token=$Kx",
                "X-Own: 1".to_owned(),
            ),
            ("GET /v2/keys?qstash_token=$K", bearer(TOKEN)),
            ("GET /v2/keys?qstash_token=$K&qstash_token=$K", "X-Own: 1".to_owned()),
            ("GET /v2/keys?qstash_token=%zz$K", "X-Own: 1".to_owned()),
            ("DELETE /v2/messages?qstash_token=$K", "X-Own: 1".to_owned()),
            ("TRACE /v2/keys?qstash_token=$K", bearer(KEY)),
        ] {
            let mut client = Client::connect(guard.address);
            let line = line.replace("$K", KEY);
            client.send(format!(
                "{line} HTTP/1.1\r\nHost: guard.test\r\n{header}\r\nConnection: close\r\n\r\n"
            ));
            let answer = client.answer();
            answers.push_str(&answer.head);
            answers.push_str(&answer.text());
        }
        assert!(String::from_utf8_lossy(&upstream.bytes()).matches(ENCODED).count() > 3);
        assert_holds_nothing("the answers", &answers);
        assert_holds_nothing("the metrics", &guard.admin("/metrics").1);
        let trail = guard.trail_path();
        let shown = qstash_guard(&["audit", "show", trail.to_str().unwrap()]);
        assert_holds_nothing("audit show", &said(&shown));
        let trail = std::fs::read_to_string(trail).unwrap();
        assert!(trail.lines().count() > 18, "{trail}");
        assert_holds_nothing("the trail", &trail);
        let (status, log) = guard.stop();
        assert!(status.success() && log.lines().count() > 18, "{log}");
        assert_holds_nothing("the log", &log);
    }
}

#[test]
fn an_upstream_that_is_gone_takes_nothing_out() {
    let gone = Upstream::with(drop);
    let token = format!("token: \"{TOKEN}\"\n").trim().to_owned();
    let guard = Guard::start(&gone.url(), &format!("{}log: {{level: trace}}\n", broker(&token)));
    for target in ["/v2/publish/https://e.com", "/v2/brand-new"] {
        let mut client = Client::connect(guard.address);
        let answer = client.request("POST", target, &[&bearer(KEY)], b"x");
        assert!(matches!(answer.status(), 502), "{answer:?}");
        assert_holds_nothing("the answer", &format!("{}{}", answer.head, answer.text()));
    }
    let (_, log) = guard.stop();
    assert_holds_nothing("the log", &log);
}

#[test]
fn commands_show_none() {
    let folder = Folder::new();
    let valid = folder.write("valid.yaml", &broker(&format!("token: \"{TOKEN}\"")));
    let faulty = folder.write("faulty.yaml", &broker(&format!("token: \"{TOKEN} \"")));
    let misplaced = format!("credentials: {{token: \"{TOKEN}\"}}\ncallers: [{{name: a, key: {KEY}}}]\n");
    let misplaced = folder.write("misplaced.yaml", &misplaced);
    let broken = folder.write("broken.yaml", &format!("callers: [{{name: a, key: {KEY}\n"));
    for config in [&valid, &faulty, &misplaced, &broken] {
        let config = config.to_str().unwrap();
        assert_holds_nothing("check", &said(&qstash_guard(&["check", "--config", config])));
        for json in ["--json", "-XPOST"] {
            let target = format!("/v2/publish/https://e.com?x=1&qstash_token={KEY}");
            let key = bearer(KEY);
            let output = qstash_guard(&["explain", "--config", config, "-H", &key, json, &target]);
            assert_holds_nothing("explain", &said(&output));
        }
    }
}
