//! The gateway as its manifests make it, with a real Redis: the users that `make-secrets` writes are enough for the guard,
//! the token is the guard's alone, and the limits are counted in the store.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use crate::deployed;
use crate::support::tls::Authority;
use crate::support::{Folder, Guard, Upstream, request, wait};

/// A Redis with the arguments of redis.yaml; killed by its id when dropped.
struct Redis {
    port: u16,
    child: Child,
}

impl Redis {
    fn start(folder: &Folder) -> Self {
        let manifest = deployed("kubernetes/gateway/redis.yaml");
        let (_, after) = manifest.split_once("          args:\n").unwrap();
        let arguments = after
            .lines()
            .take_while(|line| line.starts_with("            "))
            .filter_map(|line| line.trim().strip_prefix("- "))
            .map(|argument| argument.trim_matches('"'))
            .map(|argument| argument.replace("/etc/redis/users.acl", "users.acl"));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child = Command::new("redis-server")
            .args(arguments)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait::until(
            || {
                assert!(child.try_wait().unwrap().is_none(), "redis-server ended");
                TcpStream::connect(("127.0.0.1", port)).is_ok()
            },
            |answers| *answers,
        );
        Redis { port, child }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `make-secrets` in a folder of its own; the URL that it wrote.
fn secrets(folder: &Folder) -> String {
    let script = folder.write("make-secrets", &deployed("kubernetes/gateway/make-secrets"));
    for _ in 0..2 {
        // Run again, it keeps what is there.
        let made = Command::new("bash")
            .arg(&script)
            .env("QSTASH_TOKEN", "the-token")
            .status()
            .unwrap();
        assert!(made.success());
    }
    let secret = |name: &str| std::fs::read_to_string(folder.path().join("secrets").join(name)).unwrap();
    assert_eq!(secret("qstash-token"), "the-token");
    folder.write("users.acl", &secret("redis-users.acl"));
    secret("redis-url")
}

#[test]
fn the_gateway_of_the_manifests_serves_with_its_secrets_and_its_store() {
    let folder = Arc::new(Folder::new());
    let url = secrets(&folder);
    let redis = Redis::start(&folder);
    let url = url.replace("@redis:6379", &format!("@127.0.0.1:{}", redis.port));

    let output = Command::new(env!("CARGO_BIN_EXE_qstash-guard"))
        .args(["key", "--name", "ops-drain"])
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let key = printed.lines().find(|line| line.starts_with("qg_")).unwrap();
    let hash = printed
        .rsplit("key_sha256: \"")
        .next()
        .unwrap()
        .split('"')
        .next()
        .unwrap();

    let changed = |yaml: String, from: &str, to: &str| {
        assert!(yaml.contains(from), "{from}");
        yaml.replace(from, to)
    };
    let yaml = deployed("kubernetes/gateway/guard.yaml");
    let yaml = changed(yaml, "/run/secrets/qstash/token", "secrets/qstash-token");
    let yaml = changed(yaml, "shutdown_delay: 10s", "shutdown_delay: 0s");
    let yaml = changed(yaml, &format!("{:064}", 3), hash);

    let upstream = Upstream::json(r#"{"cancelled":3}"#);
    let mut command = Guard::command(&folder, &upstream.url(), &yaml);
    command.env("REDIS_URL", url);
    let guard = Guard::spawn(Arc::clone(&folder), command);
    guard.wait_until("a store that answers", || {
        guard.admin("/readyz").1.contains(r#""store":"ok""#)
    });

    let cancel = "/v2/messages?queueName=search&count=3";
    let ask = |headers: &[&str]| request(guard.address, "DELETE", cancel, headers, b"");
    assert_eq!(ask(&["Authorization: Bearer the-token"]).status(), 401);
    assert_eq!(upstream.requests().len(), 0);
    let shown = format!("Authorization: Bearer {key}");
    // The burst of the limit `bulk-cancels`, and one more.
    for _ in 0..5 {
        assert_eq!(ask(&[&shown]).status(), 202);
    }
    let refused = ask(&[&shown]);
    assert_eq!(refused.status(), 429, "{refused:?}");
    assert_eq!(refused.json()["limit"], "bulk-cancels");

    let sent = upstream.requests();
    assert_eq!(sent.len(), 5);
    assert_eq!(sent[0].header("authorization"), ["Bearer the-token"]);
    assert_eq!(guard.records_of("intent")[0]["caller"], "ops-drain");
    // Counted there and nowhere else.
    assert_eq!(guard.metric("qstash_guard_rate_limit_store_up", &[]), 1);
    assert_eq!(guard.metric("qstash_guard_rate_limit_store_errors_total", &[]), 0);
}

#[test]
fn the_gateway_speaks_tls_with_what_its_component_mounts() {
    let folder = Arc::new(Folder::new());
    let url = secrets(&folder);
    let authority = Authority::new("Root of the tests");
    let (certificate, key) = authority.certificate("localhost");
    folder.write("tls.crt", &certificate);
    folder.write("tls.key", &key);
    let root = folder.write("root.pem", &authority.pem);

    let commented = "  # tls: {certificate: /run/secrets/tls/tls.crt, private_key: /run/secrets/tls/tls.key}";
    let yaml = deployed("kubernetes/gateway/guard.yaml");
    assert!(yaml.contains(commented));
    let yaml = yaml
        .replace(commented, "  tls: {certificate: tls.crt, private_key: tls.key}")
        .replace("/run/secrets/qstash/token", "secrets/qstash-token");
    let upstream = Upstream::json("{}");
    let mut command = Guard::command(&folder, &upstream.url(), &yaml);
    command.env("REDIS_URL", url.replace("@redis:6379", "@127.0.0.1:1"));
    let guard = Guard::spawn(Arc::clone(&folder), command);

    let output = Command::new("curl")
        .args(["--silent", "--cacert"])
        .arg(root)
        .args(["--request", "DELETE"])
        .arg(format!("https://localhost:{}/v2/messages", guard.address.port()))
        .output()
        .unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["code"], "unauthenticated", "{answer}");
    assert_eq!(upstream.requests().len(), 0);
}
