//! The file itself changes, and nobody says so.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::Arc;

use crate::support::{Folder, Guard, Upstream, refusal, request, wait};
use crate::{LOADED, TOKEN, UNLIMITED, cancel, capped, detail, reload, spawn, start};

/// A volume as Kubernetes mounts a `ConfigMap`: `guard.yaml` leads to `..data/guard.yaml`, and `..data` to the folder of
/// the present version.
fn publish(folder: &Folder, version: &str, yaml: &str) {
    let volume = folder.path().join("config");
    fs::create_dir_all(volume.join(version)).unwrap();
    fs::write(volume.join(version).join("guard.yaml"), yaml).unwrap();
    symlink(version, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
}

fn wait_for_load(guard: &Guard, number: u64) {
    wait::until(|| guard.metric_line(LOADED), |loaded| *loaded >= number);
}

#[test]
fn the_swap_of_a_config_map_is_a_change() {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let folder = Arc::new(Folder::new());
    publish(&folder, "..2026_11_24_17_00_00.1", &capped(100));
    symlink("..data/guard.yaml", folder.path().join("config/guard.yaml")).unwrap();
    let guard = spawn(folder, &upstream.url(), &["--config", "config/guard.yaml"]);
    assert_eq!(cancel(&guard, 50).status(), 202);
    let got = upstream.bytes();
    publish(&guard.folder, "..2026_11_24_18_00_00.2", &capped(10));
    fs::remove_dir_all(guard.folder.path().join("config/..2026_11_24_17_00_00.1")).unwrap();
    wait_for_load(&guard, 1);
    refusal(&cancel(&guard, 50), 403, &["count_over_cap"]);
    assert_eq!(upstream.bytes(), got, "not one byte more");
    let loaded = guard.records_of("policy_loaded");
    assert_eq!(loaded.len(), 1, "one change is one load");
    assert!(
        detail(&loaded[0]).starts_with("the file changed; before: sha256:"),
        "{loaded:?}"
    );
}

#[test]
fn a_file_that_is_written_over_or_replaced_is_a_change() {
    let (upstream, guard) = start(&capped(10));
    guard.folder.write("guard.yaml", &capped(100));
    wait_for_load(&guard, 1);
    assert_eq!(cancel(&guard, 50).status(), 202);
    let new = guard.folder.write("guard.yaml.new", &capped(20));
    fs::rename(new, guard.folder.path().join("guard.yaml")).unwrap();
    wait_for_load(&guard, 2);
    refusal(&cancel(&guard, 50), 403, &["count_over_cap"]);
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_file_that_goes_away_leaves_the_old_policy() {
    let (upstream, guard) = start(&capped(10));
    let path = guard.folder.path().join("guard.yaml");
    fs::rename(&path, guard.folder.path().join("elsewhere")).unwrap();
    let rejected = guard.wait_for("policy_rejected", 1).pop().unwrap();
    assert!(
        detail(&rejected).starts_with("the file changed; there is no file "),
        "{rejected}"
    );
    refusal(&cancel(&guard, 50), 403, &["count_over_cap"]);
    upstream.assert_untouched();
    fs::rename(guard.folder.path().join("elsewhere"), &path).unwrap();
    wait_for_load(&guard, 1);
    let loaded = guard.records_of("policy_loaded").pop().unwrap();
    assert_eq!(detail(&loaded), "the file changed; as before");
    assert_eq!(
        guard.records_of("policy_rejected").len(),
        1,
        "said once, not at every look"
    );
}

#[test]
fn an_emptied_file_lifts_nothing() {
    let (upstream, guard) = start("policy: {operations: {keys.rotate: deny}}\n");
    guard.folder.write("guard.yaml", "");
    let rejected = guard.wait_for("policy_rejected", 1).pop().unwrap();
    assert!(detail(&rejected).contains("is empty"), "{rejected}");
    let rotated = request(guard.address, "POST", "/v2/keys/rotate", &[TOKEN], b"");
    refusal(&rotated, 403, &["operation_denied"]);
    upstream.assert_untouched();
}

#[test]
fn a_pipe_is_read_at_the_start_alone() {
    let upstream = Upstream::json("{}");
    let folder = Arc::new(Folder::new());
    let path = folder.path().join("pipe.yaml");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let writer = std::thread::spawn(move || fs::write(path, "policy: {operations: {keys.rotate: deny}}\n").unwrap());
    let guard = spawn(folder, &upstream.url(), &["--config", "pipe.yaml"]);
    writer.join().unwrap();
    guard.signal("HUP");
    let rejected = guard.wait_for("policy_rejected", 1).pop().unwrap();
    assert!(detail(&rejected).contains("no regular file"), "{rejected}");
    let rotated = request(guard.address, "POST", "/v2/keys/rotate", &[TOKEN], b"");
    refusal(&rotated, 403, &["operation_denied"]);
    upstream.assert_untouched();
}

#[test]
fn a_rule_that_has_expired_is_told_of() {
    let (_upstream, guard) = start(UNLIMITED);
    let loaded = reload(
        &guard,
        "policy: {rules: [{name: old-one, deny: No., expires: 2020-01-01T00:00:00Z}]}\n",
    );
    assert!(detail(&loaded).starts_with("by SIGHUP"), "{loaded}");
    guard.wait_until("the log says so", || guard.log().contains("`old-one` has expired"));
}
