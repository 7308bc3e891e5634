use std::fs;
use std::path::{Path, PathBuf};

use super::show::{Filter, Options, Show, since};
use super::{inputs, verify};
use crate::audit::samples;
use crate::audit::{Event, Outcome, Record};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("qstash-guard-read-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    fn with(name: &str, file: &str, content: &[u8]) -> Self {
        let folder = Folder::new(name);
        fs::write(folder.0.join(file), content).expect("a file");
        folder
    }

    fn path(&self) -> Vec<PathBuf> {
        vec![self.0.clone()]
    }

    /// A text without this folder's name.
    fn relative(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.display()), "")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn shown(paths: &[PathBuf], options: Options) -> (String, String) {
    let (mut out, mut faults) = (Vec::new(), Vec::new());
    Show::new(&inputs(paths).expect("files"), options)
        .run(&mut out, &mut faults)
        .expect("shown");
    (
        String::from_utf8(out).expect("UTF-8"),
        String::from_utf8(faults).expect("UTF-8"),
    )
}

fn filtered(filter: Filter) -> Options {
    Options {
        filter,
        ..Options::default()
    }
}

#[test]
fn the_table_and_the_report_as_people_read_them() {
    let folder = Folder::with("snapshot", "audit.jsonl", &samples::file(&samples::records()));
    let (table, faults) = shown(&folder.path(), Options::default());
    insta::assert_snapshot!("table", table);
    assert_eq!(faults, "");
    assert!(table.lines().all(|line| line.chars().count() <= 120));

    let records = vec![samples::record(Event::Started), samples::record(Event::Intent)];
    let open = Folder::with("open", "audit.jsonl", &samples::file(&records));
    fs::write(open.0.join("audit.jsonl.torn-20261124T171500.000000Z"), b"{").expect("a file");
    let report = verify(&inputs(&open.path()).expect("files"), None).expect("a report");
    assert_eq!(report.exit_code(), 0);
    insta::assert_snapshot!("intact", open.relative(&report.to_string()));

    let edited = String::from_utf8(samples::file(&samples::records()))
        .expect("UTF-8")
        .replace("billing", "nobody1");
    let edited = edited.replacen("nobody1", "billing", 1);
    let folder = Folder::with("edited", "audit.jsonl", edited.as_bytes());
    let report = verify(&inputs(&folder.path()).expect("files"), None).expect("a report");
    assert_eq!(report.exit_code(), 4);
    insta::assert_snapshot!("broken", folder.relative(&report.to_string()));
}

#[test]
fn filters_narrow_what_is_shown() {
    let folder = Folder::with("filters", "audit.jsonl", &samples::file(&samples::records()));
    let rows = |filter| shown(&folder.path(), filtered(filter)).0.lines().skip(1).count();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(rows(Filter::default()), Event::ALL.len());
    assert_eq!(
        rows(Filter {
            event: some("denied"),
            ..Filter::default()
        }),
        1
    );
    assert_eq!(
        rows(Filter {
            code: some("rate_limited"),
            ..Filter::default()
        }),
        1
    );
    assert_eq!(
        rows(Filter {
            caller: some("billing"),
            ..Filter::default()
        }),
        6
    );
    assert_eq!(
        rows(Filter {
            caller: some("nobody"),
            ..Filter::default()
        }),
        0
    );
    assert_eq!(
        rows(Filter {
            operation: some("messages.publish"),
            ..Filter::default()
        }),
        1
    );
    let last = jiff::Timestamp::from_second(1_795_540_500 + 12).ok();
    assert_eq!(
        rows(Filter {
            since: last,
            ..Filter::default()
        }),
        1
    );
}

#[test]
fn uncertain_shows_outcomes_and_open_intents() {
    let id = |n| Some(uuid::Uuid::from_u128(n));
    let intent = |n| Record {
        request_id: id(n),
        ..samples::record(Event::Intent)
    };
    let outcome = |n, result| Record {
        request_id: id(n),
        result: Some(result),
        ..samples::record(Event::Outcome)
    };
    let records = [
        intent(1),
        intent(2),
        intent(3),
        outcome(3, Outcome::Uncertain),
        outcome(1, Outcome::Completed),
    ];
    let folder = Folder::with("uncertain", "audit.jsonl", &samples::file(&records));
    let (table, _) = shown(
        &folder.path(),
        filtered(Filter {
            uncertain: true,
            ..Filter::default()
        }),
    );
    let (checks, rows): (Vec<&str>, Vec<&str>) = table
        .lines()
        .skip(1)
        .partition(|line| line.starts_with("  check: GET /v2/"));
    assert_eq!((rows.len(), checks.len()), (2, 2), "{table}");
    assert!(rows[0].contains("intent") && rows[1].contains("uncertain"), "{table}");
    assert!(
        rows[1].contains("filter url=https://example.com/a from"),
        "the outcome shows what was asked for: {table}"
    );
}

#[test]
fn json_is_the_lines_and_broken_ones_are_named() {
    let mut content = samples::file(&samples::records());
    let whole = String::from_utf8(content.clone()).expect("UTF-8");
    content.extend(b"not json\n\xff\xfe\n");
    content.extend(vec![b'x'; 5 * 1024 * 1024]);
    content.extend(b"\n{\"seq\":");
    let folder = Folder::with("json", "audit.jsonl", &content);
    let (out, faults) = shown(
        &folder.path(),
        Options {
            json: true,
            ..Options::default()
        },
    );
    assert_eq!(out, whole);
    let faults: Vec<String> = folder.relative(&faults).lines().map(str::to_owned).collect();
    assert_eq!(faults.len(), 4, "{faults:?}");
    assert!(faults[0].starts_with("audit.jsonl:14: no audit record"), "{faults:?}");
    assert_eq!(faults[2], "audit.jsonl:16: longer than 4 MiB");
}

#[test]
fn what_clients_sent_cannot_move_the_cursor() {
    let record = Record {
        caller: Some("a\u{1b}[2J\u{202e}b".to_owned()),
        ..samples::record(Event::Denied)
    };
    let folder = Folder::with("cursor", "audit.jsonl", &samples::file(&[record]));
    let (table, _) = shown(&folder.path(), Options::default());
    assert!(!table.contains(['\u{1b}', '\u{202e}']), "{table}");
}

#[test]
fn following_survives_rotation() {
    let all = samples::file(&samples::records());
    let lines: Vec<&[u8]> = all.split_inclusive(|&b| b == b'\n').collect();
    let folder = Folder::with("follow", "audit.jsonl", &lines[..2].concat());
    let path = folder.0.join("audit.jsonl");
    let append = |path: &Path, bytes: &[u8]| {
        let mut content = fs::read(path).unwrap_or_default();
        content.extend(bytes);
        // Written in place: the file stays the same one.
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .expect("a file");
        std::os::unix::fs::FileExt::write_all_at(&file, &content, 0).expect("written");
    };
    let options = Options {
        json: true,
        follow: true,
        ..Options::default()
    };
    let (mut out, mut faults) = (Vec::new(), Vec::new());
    let mut show = Show::new(&inputs(&folder.path()).expect("files"), options);
    show.run(&mut out, &mut faults).expect("shown");
    assert_eq!(out, lines[..2].concat());
    // Half a line is not shown until it is whole.
    append(&path, &lines[2][..10]);
    show.poll(&mut out, &mut faults).expect("shown");
    assert_eq!(out, lines[..2].concat());
    append(&path, &lines[2][10..]);
    append(&path, lines[3]);
    fs::rename(
        &path,
        folder
            .0
            .join("audit.00000000000000000001-20261124T171500.000000Z.jsonl"),
    )
    .expect("moved");
    append(&path, lines[4]);
    show.poll(&mut out, &mut faults).expect("shown");
    append(&path, lines[5]);
    show.poll(&mut out, &mut faults).expect("shown");
    assert_eq!(
        String::from_utf8_lossy(&out),
        String::from_utf8_lossy(&lines[..6].concat())
    );
    assert!(faults.is_empty());
}

#[test]
fn trails_of_several_guards_are_told_apart_and_archives_joined() {
    let all = samples::file(&samples::records());
    let lines: Vec<&[u8]> = all.split_inclusive(|&b| b == b'\n').collect();
    let folder = Folder::with("several", "a.jsonl", &all);
    fs::write(folder.0.join("b.jsonl"), &all).expect("a file");
    let report = verify(&inputs(&folder.path()).expect("files"), None).expect("a report");
    assert_eq!((report.chains.len(), report.exit_code()), (2, 0));

    let live = Folder::with("live", "audit.jsonl", &lines[5..].concat());
    let code = |paths: &[PathBuf]| {
        verify(&inputs(paths).expect("files"), None)
            .expect("a report")
            .exit_code()
    };
    assert_eq!(code(&live.path()), 5);
    let archive = Folder::with(
        "archive",
        "audit.00000000000000000001-20261124T171500.000000Z.jsonl",
        &lines[..5].concat(),
    );
    assert_eq!(code(&[live.0.clone(), archive.0.clone()]), 0);
    fs::rename(
        archive
            .0
            .join("audit.00000000000000000001-20261124T171500.000000Z.jsonl"),
        archive.0.join("other.jsonl"),
    )
    .expect("renamed");
    assert_eq!(
        code(&[live.0.clone(), archive.0.clone()]),
        0,
        "a file of another name is found by its hash"
    );
    assert_eq!(code(&Folder::new("empty").path()), 5);
    assert!(inputs(&[PathBuf::from("/nonexistent/audit.jsonl")]).is_err());
}

#[test]
fn since_is_a_time_or_a_duration() {
    let now: jiff::Timestamp = "2026-11-24T17:15:00Z".parse().expect("a time");
    let at = |text: &str| since(text, now).map(|time| time.to_string());
    assert_eq!(at("2h").as_deref(), Ok("2026-11-24T15:15:00Z"));
    assert_eq!(at("7d").as_deref(), Ok("2026-11-17T17:15:00Z"));
    assert_eq!(at("2026-11-01T00:00:00+01:00").as_deref(), Ok("2026-10-31T23:00:00Z"));
    assert!(at("yesterday").is_err() && at("").is_err() && at("999999y").is_err());
}
