//! What survives a restart and a crash.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use qstash_guard::audit::{Event, Opened, Record, TrailError};

use super::support::*;

#[tokio::test]
async fn the_chain_goes_on_over_restarts() {
    let folder = Folder::new();
    for run in 1..=3 {
        let Opened { trail, set_aside, .. } = open(&folder);
        assert_eq!(set_aside, None);
        write(&trail, 2).await;
        let head = stop(&trail).await;
        assert_eq!(intact(&folder.verify_with(Some(head))), run * 4);
        assert_eq!(trail.commit(Record::new(Event::Denied)).await, Err(TrailError::Closed));
    }
    let lines = lines(&folder.file());
    assert_eq!(lines[0]["prev"], "0".repeat(64));
    assert_eq!(lines[0]["detail"], "version 0; a new trail");
    assert_eq!(lines[4]["detail"], "version 0; continues behind record 4");
    assert_eq!(
        fs::metadata(folder.file()).expect("a file").permissions().mode() & 0o777,
        0o600
    );
}

#[tokio::test]
async fn a_torn_last_line_is_set_aside() {
    let folder = Folder::new();
    let trail = open(&folder).trail;
    write(&trail, 3).await;
    let whole = fs::read(folder.file()).expect("read");
    let last = whole.len()
        - 1
        - whole[..whole.len() - 1]
            .iter()
            .rposition(|&b| b == b'\n')
            .expect("a line");
    for cut in (1..last).step_by(13).chain([last - 1]) {
        let crashed = folder.image();
        fs::write(crashed.file(), &whole[..whole.len() - cut]).expect("cut");
        assert_eq!(crashed.verify().exit_code(), 4);
        let opened = open(&crashed);
        assert_eq!(opened.set_aside.expect("set aside").bytes, (last - cut) as u64);
        write(&opened.trail, 1).await;
        stop(&opened.trail).await;
        assert_eq!(crashed.torn(), &whole[whole.len() - last..whole.len() - cut]);
        assert_eq!(intact(&crashed.verify()), 6);
        let detail = lines(&crashed.file())[3]["detail"]
            .as_str()
            .expect("a detail")
            .to_owned();
        assert!(detail.contains("torn bytes set aside to audit.jsonl.torn-"), "{detail}");
    }
}

#[tokio::test]
async fn what_parses_and_does_not_chain_is_set_aside_too() {
    let folder = Folder::new();
    let trail = open(&folder).trail;
    write(&trail, 2).await;
    let whole = fs::read_to_string(folder.file()).expect("read");
    let forged = whole.lines().next().expect("a line");
    for (tail, kept) in [
        (format!("{forged}\n"), 3),
        ("\0\0\0\0".repeat(2000), 3),
        ("{}\n[]\n\n".to_owned(), 3),
    ] {
        let crashed = folder.image();
        fs::write(crashed.file(), format!("{whole}{tail}")).expect("written");
        stop(&open(&crashed).trail).await;
        assert_eq!(crashed.torn(), tail.as_bytes());
        assert_eq!(intact(&crashed.verify()), kept + 2);
    }
    // Torn in its very first line.
    let crashed = folder.image();
    fs::write(crashed.file(), &forged[..forged.len() / 2]).expect("written");
    stop(&open(&crashed).trail).await;
    assert_eq!(intact(&crashed.verify()), 2);
}

#[test]
fn a_file_of_something_else_is_left_alone() {
    let folder = Folder::new();
    fs::write(folder.file(), "root:x:0:0\n").expect("written");
    let fault = open_with(&settings(&folder.file()), &Arc::default())
        .expect_err("refused")
        .to_string();
    assert!(fault.contains("something else than an audit trail"), "{fault}");
    assert_eq!(fs::read_to_string(folder.file()).expect("read"), "root:x:0:0\n");
}
