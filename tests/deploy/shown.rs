//! The manifests' container `trail` shows all of the trail, byte for byte and over rotations, and ends when it is told to.

use std::fs::File;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::Value;

use crate::container::descendant;
use crate::deployed;
use crate::support::{Folder, Guard, Upstream, request, wait};

/// The command of the container `trail` in a manifest.
fn command(manifest: &str) -> Vec<String> {
    let workload: Value = serde_yaml::from_str(&deployed(manifest)).unwrap();
    let containers = workload["spec"]["template"]["spec"]["initContainers"]
        .as_array()
        .unwrap();
    let shown = containers.iter().find(|container| container["name"] == "trail");
    let words = shown.unwrap()["command"].as_array().unwrap().iter();
    words.map(|word| word.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_trail_is_shown_whole_and_its_container_ends_when_told() {
    let commands = [
        "kubernetes/gateway/deployment.yaml",
        "kubernetes/sidecar/guard/sidecar.yaml",
    ]
    .map(command);
    assert_eq!(commands[0], commands[1]);

    let folder = Arc::new(Folder::new());
    let shown = folder.path().join("shown");
    // It is there before the guard and its folder are, and is the first process of its container.
    let mut container = Command::new("bwrap")
        .args([
            "--dev-bind",
            "/",
            "/",
            "--unshare-pid",
            "--as-pid-1",
            "--die-with-parent",
        ])
        .args(&commands[0])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(File::create(&shown).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let process = wait::until(|| descendant(container.id(), "sh"), |process| *process != 0);

    let upstream = Upstream::json(r#"{"cancelled":3}"#);
    let guard = Guard::start_in(
        Arc::clone(&folder),
        &upstream.url(),
        "rate_limits: []\naudit: {rotate: {max_size: 16KiB}}\n",
    );
    let whole = || {
        let mut files: Vec<_> = std::fs::read_dir(folder.path().join("audit"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
            .collect();
        // The one in use has no number, and comes last.
        files.sort_by_key(|path| (*path == guard.trail_path(), path.clone()));
        let read = |path| std::fs::read_to_string(path).unwrap();
        (files.len(), files.into_iter().map(read).collect::<String>())
    };
    // Each rotation is seen before the next one.
    let seen = || {
        wait::until(
            || std::fs::read_to_string(&shown).unwrap() == whole().1,
            |is_whole| *is_whole,
        );
    };
    for _ in 0..3 {
        seen();
        let (before, _) = whole();
        while whole().0 == before {
            assert_eq!(request(guard.address, "DELETE", "/v2/messages", &[], b"").status(), 403);
        }
    }
    seen();

    // The guard ends first, and its last record is shown too.
    guard.signal("TERM");
    guard.wait_for("stopped", 1);
    let told = Command::new("kill").args(["-s", "TERM", &process.to_string()]).status();
    assert!(told.unwrap().success());
    let ended = wait::until(|| container.try_wait().unwrap(), Option::is_some);
    assert_eq!(ended.unwrap().code(), Some(0));
    let (files, whole) = whole();
    assert!(files > 3 && whole.contains(r#""event":"stopped""#));
    assert_eq!(std::fs::read_to_string(&shown).unwrap(), whole);
}
