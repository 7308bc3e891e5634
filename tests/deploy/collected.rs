//! What docs/scaling.md says of trails that were shipped: its commands bring one instance's together again, and tell what is
//! missing.

use std::process::{Command, Output};
use std::sync::Arc;

use crate::support::{Folder, Guard, Upstream, request};

/// The commands that make and verify `collected/`.
fn commands() -> String {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/scaling.md")).unwrap();
    let blocks = text.split("```sh\n").skip(1);
    let mut blocks =
        blocks.filter_map(|block| Some(block.split_once("```")?.0).filter(|block| block.contains("collected/")));
    blocks.next().unwrap().to_owned()
}

/// The lines of a trail of a guard whose host has this name.
fn trail_of(host: &str) -> Vec<String> {
    let upstream = Upstream::json(r#"{"cancelled":3}"#);
    let folder = Arc::new(Folder::new());
    let plain = Guard::command(
        &folder,
        &upstream.url(),
        "rate_limits: []\naudit: {rotate: {max_size: 4KiB}}\n",
    );
    let mut command = Command::new("bwrap");
    command.args([
        "--dev-bind",
        "/",
        "/",
        "--unshare-uts",
        "--hostname",
        host,
        "--die-with-parent",
    ]);
    command.arg(plain.get_program()).args(plain.get_args());
    command.current_dir(folder.path());
    let guard = Guard::spawn(Arc::clone(&folder), command);
    for _ in 0..20 {
        let cancel = "/v2/messages?label=nightly&count=3";
        assert_eq!(request(guard.address, "DELETE", cancel, &[], b"").status(), 202);
    }
    guard.wait_until("all outcomes", || {
        guard.metric("qstash_guard_audit_records_total", &["event=\"outcome\""]) == 20
    });
    drop(guard);
    let files = std::fs::read_dir(folder.path().join("audit")).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    assert!(files.len() > 2);
    files.iter().flat_map(|file| file.lines()).map(str::to_owned).collect()
}

/// What the commands of the text say of these lines.
fn verified(shipped: &[String]) -> Output {
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("shipped")).unwrap();
    folder.write("shipped/node.log", &(shipped.join("\n") + "\n"));
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_qstash-guard"));
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
    Command::new("bash")
        .args(["-euc", &commands()])
        .current_dir(folder.path())
        .env("PATH", path)
        .output()
        .unwrap()
}

#[test]
fn shipped_trails_are_brought_together_and_verified() {
    let (mine, others) = (trail_of("guard-a"), trail_of("guard-b"));
    // Of two guards, in no order, and some of it twice, as after a restart of what ships them.
    let mut shipped: Vec<String> = mine.iter().chain(&others).chain(&mine[5..9]).cloned().collect();
    shipped.reverse();
    let output = verified(&shipped);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{printed}");
    assert!(printed.contains(&format!("{} in 1 file", mine.len())), "{printed}");

    let code = |shipped: &[String]| verified(shipped).status.code();
    let without = |from: usize, to: usize| {
        let missing: Vec<_> = (from..to).map(|seq| format!("{{\"seq\":{seq},")).collect();
        let is_kept = |line: &&String| !missing.iter().any(|begin| line.starts_with(begin));
        shipped.iter().filter(is_kept).cloned().collect::<Vec<_>>()
    };
    assert_eq!(code(&without(7, 8)), Some(4), "a line is missing");
    assert_eq!(code(&without(1, 4)), Some(5), "the beginning is missing");
    let mut forged = shipped.clone();
    forged.push(mine[6].replace("202", "404").replace("nightly", "weekly"));
    assert_ne!(forged.last(), Some(&mine[6]));
    assert_eq!(code(&forged), Some(4), "a line came twice, in different words");
}
