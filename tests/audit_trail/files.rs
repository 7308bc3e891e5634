//! Files: who may write them, how they follow each other, and what a reader finds.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use qstash_guard::audit::read::Verdict;
use qstash_guard::audit::{Keep, OnFailure, OpenError, Settings, StartFault};

use super::support::*;

#[tokio::test]
async fn folders_are_created_for_the_owner_alone() {
    let folder = Folder::new();
    let path = folder.0.join("a/b/audit.jsonl");
    let opened = open_with(&settings(&path), &Arc::default()).expect("opened");
    stop(&opened.trail).await;
    assert_eq!(
        fs::metadata(folder.0.join("a/b"))
            .expect("a folder")
            .permissions()
            .mode()
            & 0o777,
        0o700
    );
}

#[tokio::test]
async fn a_second_guard_is_refused() {
    let folder = Folder::new();
    let first = open(&folder).trail;
    for on_failure in [OnFailure::Deny, OnFailure::Allow] {
        let second = open_with(
            &Settings {
                on_failure,
                ..settings(&folder.file())
            },
            &Arc::default(),
        );
        let fault = second.expect_err("refused");
        assert!(matches!(fault, StartFault::Open(OpenError::Locked(_))), "{fault}");
        assert!(fault.to_string().contains("audit.jsonl"), "{fault}");
    }
    stop(&first).await;
    stop(&open(&folder).trail).await;
    assert_eq!(intact(&folder.verify()), 4);
}

#[tokio::test]
async fn full_files_are_rotated_and_old_ones_pruned() {
    let folder = Folder::new();
    let settings = Settings {
        max_size: 2048,
        keep: Keep::Newest(2),
        ..settings(&folder.file())
    };
    let trail = open_with(&settings, &Arc::default()).expect("opened").trail;
    write(&trail, 60).await;
    let head = stop(&trail).await;
    let names = folder.names();
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(events(&folder.file())[..2], ["rotated", "pruned"]);
    for name in &names {
        let length = fs::metadata(folder.0.join(name)).expect("a file").len();
        assert!(length <= 2048 + 1024, "{name} has {length} bytes");
    }
    let report = folder.verify_with(Some(head));
    intact(&report);
    assert!(report.chains[0].first.as_ref().is_some_and(|(seq, _)| *seq > 1));

    // An empty current file, as a crash between rename and first record leaves it.
    let crashed = folder.image();
    let current = crashed.file();
    fs::rename(
        &current,
        crashed
            .0
            .join("audit.00000000000000000999-20261124T171500.000000Z.jsonl"),
    )
    .expect("moved");
    fs::write(&current, b"").expect("emptied");
    stop(&open(&crashed).trail).await;
    intact(&crashed.verify());

    // Without the record that accounts for them, missing files are just missing.
    let all = Folder::new();
    let trail = open_with(
        &Settings {
            keep: Keep::All,
            max_size: 2048,
            ..self::settings(&all.file())
        },
        &Arc::default(),
    );
    let trail = trail.expect("opened").trail;
    write(&trail, 30).await;
    stop(&trail).await;
    assert!(all.names().len() > 3);
    intact(&all.verify());
    fs::remove_file(all.0.join(&all.names()[0])).expect("removed");
    assert_eq!(all.verify().exit_code(), 5);
    fs::remove_file(all.0.join(&all.names()[1])).expect("removed");
    assert_eq!(all.verify().exit_code(), 4);
}

#[tokio::test]
async fn a_file_moved_away_is_reopened() {
    let folder = Folder::new();
    let trail = open(&folder).trail;
    write(&trail, 2).await;
    trail.reopen().await.expect("nothing to do");
    fs::rename(folder.file(), folder.0.join("audit.jsonl.1")).expect("moved");
    trail.reopen().await.expect("reopened");
    write(&trail, 2).await;
    stop(&trail).await;
    assert_eq!(events(&folder.file()), ["rotated", "denied", "denied", "stopped"]);
    assert_eq!(intact(&folder.verify()), 7);
}

#[tokio::test]
async fn a_full_file_that_was_moved_away_is_not_missed() {
    let folder = Folder::new();
    let settings = Settings {
        max_size: 2048,
        ..settings(&folder.file())
    };
    let trail = open_with(&settings, &Arc::default()).expect("opened").trail;
    write(&trail, 2).await;
    fs::rename(folder.file(), folder.0.join("audit.jsonl.1")).expect("moved");
    write(&trail, 30).await;
    stop(&trail).await;
    let rotations = folder.names().len() as u64 - 1;
    assert_eq!(intact(&folder.verify()), rotations + 34);
}

#[tokio::test]
async fn changes_are_found() {
    let folder = Folder::new();
    let trail = open(&folder).trail;
    write(&trail, 6).await;
    let head = stop(&trail).await;
    let whole = fs::read_to_string(folder.file()).expect("read");
    let lines: Vec<&str> = whole.lines().collect();
    let broken_at = |changed: &[&str]| {
        let image = folder.image();
        fs::write(image.file(), format!("{}\n", changed.join("\n"))).expect("written");
        let report = image.verify_with(Some(head));
        match &report.chains[0].verdict {
            Verdict::Broken(broken) => (report.exit_code(), Some(broken.line)),
            _ => (report.exit_code(), None),
        }
    };
    assert_eq!(broken_at(&lines), (0, None));
    for at in 0..lines.len() - 1 {
        let edited = lines[at].replace("guard-0", "guard-1");
        let mut changed = lines.clone();
        changed[at] = &edited;
        assert_eq!(broken_at(&changed), (4, Some(at as u64 + 2)), "edited {at}");

        let mut changed = lines.clone();
        changed.swap(at, at + 1);
        let found = broken_at(&changed);
        assert_eq!(found.0, 4, "swapped {at}: {found:?}");

        let mut changed = lines.clone();
        changed.remove(at);
        // Without its first line a trail may as well be the end of one.
        let expected = if at == 0 { (5, None) } else { (4, Some(at as u64 + 1)) };
        assert_eq!(broken_at(&changed), expected, "removed {at}");
    }
    // A cut tail, and a changed last line, show against a hash kept elsewhere, and only so.
    let edited = lines[lines.len() - 1].replace("guard-0", "guard-1");
    let mut changed = lines.clone();
    changed.pop();
    assert_eq!(broken_at(&changed), (5, None));
    changed.push(&edited);
    assert_eq!(broken_at(&changed), (5, None));
}
