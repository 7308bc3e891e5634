//! Compressed and signed trails through the real binary: under load, killed half-way, told of by `check`.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::{Folder, Guard, Upstream, wait};
use crate::tracing::traced;
use crate::{UNLIMITED, cancel};

const COMPRESSED: &str = "rate_limits: []\naudit: {record: all, rotate: {max_size: 4KiB, compress: true}}\n";

fn audit(folder: &Folder) -> PathBuf {
    folder.path().join("audit")
}

fn rotated(folder: &Folder, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(audit(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with("audit.0") && name.ends_with(ending)
        })
        .collect();
    found.sort();
    found
}

fn is_compressed(folder: &Folder) -> bool {
    rotated(folder, ".jsonl").is_empty() && rotated(folder, ".tmp").is_empty() && !rotated(folder, ".gz").is_empty()
}

fn guard_command(args: &[&str], paths: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qstash-guard"));
    command.args(args).args(paths).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8([&output.stdout[..], &output.stderr[..]].concat()).unwrap()
}

fn openssl(args: &[&str], folder: &Path) {
    let output = Command::new("openssl").args(args).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "openssl {args:?}: {}", said(&output));
}

/// A folder with `key.pem` and `public.pem` as openssl makes them.
fn with_keys() -> Arc<Folder> {
    let folder = Arc::new(Folder::new());
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", "key.pem"], folder.path());
    openssl(
        &["pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"],
        folder.path(),
    );
    folder
}

#[test]
fn a_trail_is_compressed_and_signed_under_load() {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let folder = with_keys();
    let yaml = format!("{UNLIMITED}audit: {{signing_key_file: key.pem, rotate: {{max_size: 8KiB, compress: true}}}}\n");
    let guard = Guard::start_in(Arc::clone(&folder), &upstream.url(), &yaml);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let guard = &guard;
            scope.spawn(move || {
                for number in 0..40 {
                    assert_eq!(cancel(guard, &format!("load-{thread}-{number}")).status(), 202);
                }
            });
        }
    });
    // Read while it is being compressed, which may happen between two looks.
    let (code, text) = guard.verify();
    assert_eq!(code, Some(0), "{text}");
    wait::until(|| is_compressed(&folder), |done| *done);
    assert_eq!(guard.metric("qstash_guard_audit_compress_failures_total", &[]), 0);
    assert_eq!(guard.metric("qstash_guard_audit_checkpoint_failures_total", &[]), 0);
    assert_eq!(guard.metric("qstash_guard_audit_failures_total", &[]), 0);
    assert!(guard.stop().0.success());

    let public = folder.path().join("public.pem");
    let verify = ["audit", "verify", "--public-key", public.to_str().unwrap()];
    let output = guard_command(&verify, &[&audit(&folder)]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("every record is covered"), "{}", said(&output));
    let shown = guard_command(&["audit", "show", "--json"], &[&audit(&folder)]);
    let records: Vec<Value> = shown
        .stdout
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    for (record, seq) in records.iter().zip(1..) {
        assert_eq!(record["seq"], seq);
    }
    let intents = records.iter().filter(|record| record["event"] == "intent").count();
    assert_eq!(intents, 160);
    let stats = guard_command(&["audit", "stats", "--json"], &[&audit(&folder)]);
    assert_eq!(
        serde_json::from_slice::<Value>(&stats.stdout).unwrap()["total"]["allowed"],
        160
    );
    let config = folder.path().join("guard.yaml");
    let replayed = guard_command(
        &["audit", "replay", "--config", config.to_str().unwrap()],
        &[&audit(&folder)],
    );
    assert_eq!(replayed.status.code(), Some(0), "{}", said(&replayed));

    // Whoever has openssl needs no guard to check a checkpoint.
    let checkpoints = fs::read_to_string(audit(&folder).join("audit.jsonl.checkpoints")).unwrap();
    let last: Value = serde_json::from_str(checkpoints.lines().last().unwrap()).unwrap();
    let field = |name: &str| last[name].as_str().unwrap().to_owned();
    let message = format!(
        "qstash-guard audit checkpoint v1\nseq {}\nhead {}\ntime {}\ninstance {}\n",
        last["seq"],
        field("head"),
        field("time"),
        field("instance")
    );
    folder.write("message", &message);
    fs::write(
        folder.path().join("signature"),
        STANDARD.decode(field("signature")).unwrap(),
    )
    .unwrap();
    let check = [
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        "public.pem",
        "-rawin",
        "-in",
        "message",
        "-sigfile",
        "signature",
    ];
    openssl(&check, folder.path());
    let key = fs::read_to_string(folder.path().join("key.pem")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    for text in [said(&output), checkpoints, String::from_utf8(shown.stdout).unwrap()] {
        assert!(!text.contains(secret), "the key is in no output");
    }

    // Its newest records cut off, the chain is whole and the end is missed.
    let live = audit(&folder).join("audit.jsonl");
    fs::remove_file(&live).unwrap();
    assert_eq!(
        guard_command(&["audit", "verify"], &[&audit(&folder)]).status.code(),
        Some(0)
    );
    let output = guard_command(&verify, &[&audit(&folder)]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(said(&output).contains("its end was cut off"), "{}", said(&output));
}

/// Asks until the guard is gone, whatever it answers.
fn ask_until_it_is_killed(guard: &mut Guard) {
    let address = guard.address;
    let ask = move || -> std::io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"DELETE /v2/messages HTTP/1.1\r\nHost: guard.test\r\nConnection: close\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new())?;
        Ok(())
    };
    wait::until(
        || {
            _ = ask();
            guard.child.try_wait().unwrap()
        },
        Option::is_some,
    );
}

/// What a kill before a call of the compressing thread leaves, and what the next start makes of it.
fn killed_before(call: &str, left: impl FnOnce(&Folder)) {
    let upstream = Upstream::json("{}");
    let inject = format!("inject={call}:signal=KILL:when=1");
    let (mut guard, _) = traced(&upstream, COMPRESSED, &["-e", &format!("trace={call}"), "-e", &inject]);
    ask_until_it_is_killed(&mut guard);
    let folder = Arc::clone(&guard.folder);
    drop(guard);
    left(&folder);
    let guard = Guard::start_in(Arc::clone(&folder), &upstream.url(), COMPRESSED);
    wait::until(|| is_compressed(&folder), |done| *done);
    let (code, text) = guard.verify();
    assert_eq!(code, Some(0), "{call}: {text}");
    assert_eq!(rotated(&folder, "").len(), rotated(&folder, ".gz").len());
    assert!(guard.stop().0.success());
}

#[test]
fn killed_before_anything_is_compressed_nothing_is_lost() {
    killed_before("fstatfs", |folder| {
        assert_eq!(rotated(folder, ".tmp").len(), 1, "begun");
        assert!(rotated(folder, ".gz").is_empty() && !rotated(folder, ".jsonl").is_empty());
    });
}

#[test]
fn killed_before_the_copy_is_synced_nothing_is_lost() {
    killed_before("utimensat", |folder| {
        assert_eq!(rotated(folder, ".tmp").len(), 1, "written, and not yet a copy");
        assert!(rotated(folder, ".gz").is_empty() && !rotated(folder, ".jsonl").is_empty());
    });
}

#[test]
fn killed_before_the_plain_file_goes_both_are_one() {
    killed_before("/^unlink(at)?$", |folder| {
        let compressed = rotated(folder, ".gz");
        assert_eq!(compressed.len(), 1);
        assert!(rotated(folder, ".jsonl").contains(&compressed[0].with_extension("")));
        assert!(rotated(folder, ".tmp").is_empty());
        // Two copies, read once.
        let rotated = rotated(folder, "");
        let paths: Vec<&Path> = rotated.iter().map(PathBuf::as_path).collect();
        let output = guard_command(&["audit", "verify"], &paths);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    });
}

#[test]
fn what_cannot_be_compressed_is_told_of_and_tried_again_at_the_next_rotation() {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let full = "inject=fstatfs:error=ENOSPC:when=1";
    let (guard, _) = traced(&upstream, COMPRESSED, &["-e", "trace=fstatfs", "-e", full]);
    let folder = Arc::clone(&guard.folder);
    let mut number = 0;
    let mut cancel_until = |holds: &dyn Fn() -> bool| {
        while !holds() {
            number += 1;
            assert!(number < 2000, "it did not come");
            assert_eq!(
                cancel(&guard, &format!("n{number}")).status(),
                202,
                "no request suffers"
            );
        }
    };
    cancel_until(&|| guard.metric("qstash_guard_audit_compress_failures_total", &[]) == 1);
    assert!(
        guard
            .log()
            .contains("a rotated file of the audit trail is not compressed"),
        "{}",
        guard.log()
    );
    assert_eq!(guard.metric("qstash_guard_audit_failures_total", &[]), 0);
    let there = rotated(&folder, "").len();
    cancel_until(&|| rotated(&folder, "").len() > there + 1);
    wait::until(|| is_compressed(&folder), |done| *done);
    assert_eq!(guard.metric("qstash_guard_audit_compress_failures_total", &[]), 1);
    let (code, text) = guard.verify();
    assert_eq!(code, Some(0), "{text}");
    assert!(guard.stop().0.success());
}

#[test]
fn check_and_start_tell_what_is_wrong_with_a_key() {
    let folder = with_keys();
    let config = |text: &str| folder.write("guard.yaml", text);
    let check = |path: &Path| guard_command(&["check", "--config"], &[path]);
    let yaml = |file: &str| format!("audit:\n  signing_key_file: {}\n", folder.path().join(file).display());
    let good = config(&yaml("key.pem"));
    let output = check(&good);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(!said(&output).contains("warning"), "{}", said(&output));
    let mode = |mode| fs::set_permissions(folder.path().join("key.pem"), fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    let output = check(&good);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(
        said(&output).contains("has the mode 0644") && said(&output).contains("guard.yaml:2:"),
        "{}",
        said(&output)
    );
    mode(0o440);
    assert!(!said(&check(&good)).contains("warning"), "a group may read it");
    openssl(&["genpkey", "-algorithm", "RSA", "-out", "rsa.pem"], folder.path());
    for (file, what) in [
        ("missing.pem", "there is no such file"),
        ("rsa.pem", "its key is not an ed25519 key in PKCS#8"),
        ("public.pem", "it holds a public key"),
    ] {
        let output = check(&config(&yaml(file)));
        assert_eq!(output.status.code(), Some(1), "{file}");
        assert!(
            said(&output).contains(what) && said(&output).contains("guard.yaml:2:"),
            "{}",
            said(&output)
        );
        let path = config(&yaml(file));
        let started = guard_command(
            &["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--config"],
            &[&path],
        );
        assert_eq!(started.status.code(), Some(1), "{file}");
        assert!(said(&started).contains(&format!(
            "audit.signing_key_file {}",
            folder.path().join(file).display()
        )));
        assert!(said(&started).contains(what), "{}", said(&started));
    }
    // A key in the place of its file is a secret in the configuration: it is told of, and not shown.
    let key = fs::read_to_string(folder.path().join("key.pem")).unwrap();
    let indented = format!("    {}\n", key.trim_end().replace('\n', "\n    "));
    let output = check(&config(&format!("audit:\n  signing_key_file: |\n{indented}")));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("takes the name of a file, not a key itself"),
        "{}",
        said(&output)
    );
    assert!(
        !said(&output).contains(key.lines().nth(1).unwrap()),
        "{}",
        said(&output)
    );
    for path in ["null", "\"-\""] {
        let output = check(&config(&format!(
            "audit: {{path: {path}, signing_key_file: key.pem}}\n"
        )));
        assert_eq!(output.status.code(), Some(1));
        assert!(
            said(&output).contains("signed checkpoints stand beside it"),
            "{}",
            said(&output)
        );
    }
}
