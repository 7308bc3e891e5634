//! The shape of the source: imports run one way, what is pure stays pure, files stay small.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

/// A source file: its path below `src`, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The module it belongs to: its folder, or its own name.
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Its lines without comments, numbered from 1. A `//` in a string hides the rest of its line, which no import is in.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(number, line)| (number + 1, line.split("//").next().unwrap()))
    }
}

fn sources() -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| Source {
            text: std::fs::read_to_string(&path).unwrap(),
            path: path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(),
        })
        .collect()
}

/// The modules in the order in which lib.rs declares them.
fn declared(lib: &str) -> Vec<&str> {
    lib.lines()
        .filter_map(|line| line.trim().strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect()
}

/// The modules that a line names behind `crate::`, those of a brace too.
fn named(line: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut names = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        if line[..at].ends_with(is_part) {
            continue;
        }
        let behind = &line[at + "crate::".len()..];
        if let Some(group) = behind.strip_prefix('{') {
            let mut depth = 0;
            let mut start = 0;
            for (at, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => {
                        names.push(&group[start..at]);
                        break;
                    }
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        names.push(&group[start..at]);
                        start = at + 1;
                    }
                    _ => {}
                }
            }
        } else {
            names.push(behind);
        }
    }
    names
        .into_iter()
        .map(|name| name.trim().split(|c| !is_part(c)).next().unwrap())
        .filter(|name| !name.is_empty())
        .collect()
}

/// Imports that run upwards, and imports of the configuration by others than `app` and `cli`.
fn upward_imports(order: &[&str], source: &Source) -> Vec<String> {
    let place = |module: &str| order.iter().position(|declared| *declared == module);
    let Some(own) = place(source.module()) else {
        return vec![format!("{}: lib.rs does not declare it", source.path)];
    };
    let mut faults = Vec::new();
    for (number, line) in source.code() {
        for name in named(line) {
            let Some(other) = place(name) else { continue };
            if other > own {
                faults.push(format!(
                    "{}:{number}: {name} stands below {}",
                    source.path,
                    source.module()
                ));
            }
            if name == "config" && !matches!(source.module(), "app" | "cli" | "config") {
                faults.push(format!("{}:{number}: only app and cli know config", source.path));
            }
        }
    }
    faults
}

/// What pure code must not touch: I/O, threads, the clock.
const IMPURE: [&str; 12] = [
    "tokio",
    "hyper",
    "tower",
    "std::fs",
    "std::io",
    "std::thread",
    "std::process",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "Instant::now",
    "SystemTime::now",
];

fn is_pure(path: &str) -> bool {
    path.starts_with("qstash/") || path.starts_with("policy/") || path == "audit/record.rs"
}

fn impurities(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    for (number, line) in source.code() {
        let grouped = line.trim_start().starts_with("use std::{");
        for name in IMPURE {
            let in_group = grouped
                && name
                    .strip_prefix("std::")
                    .is_some_and(|name| line.split(['{', '}', ',', ':']).any(|part| part.trim() == name));
            if line.contains(name) || in_group {
                faults.push(format!("{}:{number}: {name} in pure code", source.path));
            }
        }
    }
    faults
}

fn misshapen(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = source.text.lines().count();
    if lines > 400 {
        faults.push(format!("{}: {lines} lines; split it before 400", source.path));
    }
    for part in source.path.split('/') {
        let name = part.strip_suffix(".rs").unwrap_or(part);
        if matches!(name, "util" | "utils" | "common" | "helper" | "helpers" | "misc") {
            faults.push(format!("{}: {name} says nothing of what is in it", source.path));
        }
    }
    faults
}

#[test]
fn imports_run_one_way() {
    let sources = sources();
    let lib = sources.iter().find(|source| source.path == "lib.rs").unwrap();
    let order = declared(&lib.text);
    assert!(order.len() > 10, "{order:?}");
    let faults: Vec<_> = sources
        .iter()
        .filter(|source| !matches!(source.path.as_str(), "lib.rs" | "main.rs"))
        .flat_map(|source| upward_imports(&order, source))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn pure_code_touches_nothing() {
    let sources = sources();
    let pure: Vec<_> = sources.iter().filter(|source| is_pure(&source.path)).collect();
    assert!(pure.len() > 10);
    let faults: Vec<_> = pure.into_iter().flat_map(impurities).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn files_are_small_and_named_for_what_they_hold() {
    let faults: Vec<_> = sources().iter().flat_map(misshapen).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

// Those that check are checked: each of these must be found.

fn made_up(path: &str, text: &str) -> Source {
    Source {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

#[test]
fn an_upward_import_is_found_however_it_is_written() {
    let order = declared("//! Text.\npub mod low;\npub mod middle;\npub mod config;\npub mod app;\n");
    assert_eq!(order, ["low", "middle", "config", "app"]);
    let faults = |path, text| upward_imports(&order, &made_up(path, text)).len();
    assert_eq!(faults("low/a.rs", "use crate::middle::Thing;"), 1);
    assert_eq!(faults("low/a.rs", "pub(crate) use crate::{low::X, middle::{Y, Z}};"), 1);
    assert_eq!(faults("low.rs", "    let x = crate::middle::f(crate::low::g());"), 1);
    assert_eq!(faults("low/deep/a.rs", "use crate::low::X;\nuse crate::app;"), 1);
    assert_eq!(faults("middle.rs", "use crate::config::Settings;"), 2);
    assert_eq!(faults("app.rs", "use crate::config::Settings;"), 0);
    assert_eq!(
        faults(
            "middle.rs",
            "use crate::low::{X, middle};\n/// See [`X`](crate::app::X)."
        ),
        0
    );
    assert_eq!(faults("stray.rs", ""), 1);
}

#[test]
fn an_impurity_is_found() {
    let faults = |text| impurities(&made_up("qstash/a.rs", text)).len();
    assert_eq!(faults("use std::fs::File;"), 1);
    assert_eq!(faults("use std::{fmt, io};"), 1);
    assert_eq!(faults("use std::{collections::HashMap, fs::File};"), 1);
    assert_eq!(faults("    let now = std::time::Instant::now();"), 1);
    assert_eq!(faults("use tokio::net::TcpStream;"), 2);
    assert_eq!(faults("use std::net::IpAddr; // not tokio\nuse std::{fmt, iter};"), 0);
    assert!(is_pure("policy/rules.rs") && is_pure("audit/record.rs") && !is_pure("audit/file.rs"));
}

#[test]
fn a_long_file_and_an_empty_name_are_found() {
    let faults = |path, lines| misshapen(&made_up(path, &"x\n".repeat(lines))).len();
    assert_eq!(faults("audit/file.rs", 400), 0);
    assert_eq!(faults("audit/file.rs", 401), 1);
    assert_eq!(faults("audit/utils.rs", 1), 1);
    assert_eq!(faults("common/mod.rs", 1), 1);
}
