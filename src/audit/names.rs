//! How the files of a trail are named. Pure.
//!
//! Beside `audit.jsonl` stand
//! - `audit.<first number, 20 digits>-<time>.jsonl`, files that were rotated: their names sort as their records do;
//! - the same with `.gz`, once compressed; `.gz.<any word>.tmp` while that is being done;
//! - `audit.jsonl.torn-<time>`, what a crash or a failed write left behind the last good line;
//! - `audit.jsonl.checkpoints`, signed heads of the chain.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

const SEQ_DIGITS: usize = 20;
const TORN: &str = ".torn-";
const COMPRESSED: &str = ".gz";
const TEMPORARY: &str = ".tmp";
const CHECKPOINTS: &str = ".checkpoints";

/// The path of a trail and the names that derive from it.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The file that is written.
    pub(super) path: PathBuf,
    /// Its folder.
    pub(super) folder: PathBuf,
    stem: String,
    extension: String,
}

impl Names {
    pub(super) fn new(path: &Path) -> Self {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let text = |part: Option<&std::ffi::OsStr>| part.map(|s| s.to_string_lossy().into_owned());
        Names {
            folder,
            stem: text(path.file_stem()).unwrap_or_default(),
            extension: text(path.extension()).map(|e| format!(".{e}")).unwrap_or_default(),
            path: path.to_owned(),
        }
    }

    /// The name of a rotated file whose first record is `first_seq`.
    pub(super) fn rotated(&self, first_seq: u64, time: Timestamp) -> PathBuf {
        let name = format!("{}.{first_seq:020}-{}{}", self.stem, compact(time), self.extension);
        self.folder.join(name)
    }

    /// The number in a rotated plain file's name; `None` for any other file.
    pub(super) fn first_seq(&self, file_name: &str) -> Option<u64> {
        let middle = file_name
            .strip_prefix(&self.stem)?
            .strip_prefix('.')?
            .strip_suffix(&self.extension)?;
        // Where the trail has no extension, whatever stands behind a rotated file's name would be part of its time.
        (middle.len() == SEQ_DIGITS + "-20261124T171500.123456Z".len())
            .then(|| rotation(middle))
            .flatten()
    }

    /// What a file of this trail is, by its name.
    pub(super) fn form(&self, file_name: &str) -> Option<(u64, Form)> {
        let of = |plain: &str, form| self.first_seq(plain).map(|seq| (seq, form));
        // With an extension of `.gz` of its own, a plain name ends so too.
        of(file_name, Form::Plain)
            .or_else(|| of(file_name.strip_suffix(COMPRESSED)?, Form::Compressed))
            .or_else(|| {
                let (compressed, _) = file_name.strip_suffix(TEMPORARY)?.rsplit_once('.')?;
                of(compressed.strip_suffix(COMPRESSED)?, Form::Compressing)
            })
    }

    /// Where signed heads of the chain stand.
    pub(super) fn checkpoints(&self) -> PathBuf {
        with_suffix(&self.path, CHECKPOINTS)
    }

    /// Where what is torn off goes.
    pub(super) fn torn(&self, time: Timestamp) -> PathBuf {
        set_aside(&self.path, time)
    }
}

/// The forms of a rotated file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Compressed,
    /// What is being compressed, or was when the guard ended.
    Compressing,
}

/// Where a file stands once it is compressed.
pub(super) fn compressed(plain: &Path) -> PathBuf {
    with_suffix(plain, COMPRESSED)
}

/// Where it is compressed to until it is whole; `unique` is no other's, so that a guard that ends and one that begins do
/// not write the same file.
pub(super) fn compressing(plain: &Path, unique: &str) -> PathBuf {
    with_suffix(plain, &format!("{COMPRESSED}.{unique}{TEMPORARY}"))
}

/// Where a file, or a part of it, is set aside.
pub(super) fn set_aside(path: &Path, time: Timestamp) -> PathBuf {
    with_suffix(path, &format!("{TORN}{}", compact(time)))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The name of the trail whose signed heads a file holds; `None` for any other file.
pub(super) fn checkpoints_of(file_name: &str) -> Option<&str> {
    file_name.strip_suffix(CHECKPOINTS).map(chain_name)
}

/// `20261124T171500.123456Z`
fn compact(time: Timestamp) -> String {
    time.strftime("%Y%m%dT%H%M%S%.6fZ").to_string()
}

/// The number of `<20 digits>-<time>`.
fn rotation(text: &str) -> Option<u64> {
    let (digits, time) = text.split_once('-')?;
    let plain = digits.len() == SEQ_DIGITS && digits.bytes().all(|b| b.is_ascii_digit()) && time.contains('T');
    plain.then(|| digits.parse().ok()).flatten()
}

/// Whether a file holds what was torn off.
pub(super) fn is_torn(file_name: &str) -> bool {
    file_name.contains(TORN)
}

/// Whether a file in a folder belongs to a trail: `*.jsonl`, or such a file moved away by a tool (`audit.jsonl.1`); each
/// also compressed (`.gz`).
pub(super) fn is_trail(file_name: &str) -> bool {
    let plain = file_name.strip_suffix(COMPRESSED).unwrap_or(file_name);
    !is_torn(file_name)
        && match plain.split_once(".jsonl") {
            Some((stem, behind)) => !stem.is_empty() && (behind.is_empty() || behind.bytes().skip(1).all(is_number)),
            None => false,
        }
}

fn is_number(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'-'
}

/// The name that the files of one trail share: `audit` of `audit.jsonl` and of what was rotated from it.
pub(super) fn chain_name(file_name: &str) -> &str {
    let file_name = file_name.strip_suffix(COMPRESSED).unwrap_or(file_name);
    let stem = match file_name.split_once(".jsonl") {
        Some((stem, _)) => stem,
        None => file_name.rsplit_once('.').map_or(file_name, |(stem, _)| stem),
    };
    match stem
        .match_indices('.')
        .find(|(at, _)| rotation(&stem[at + 1..]).is_some())
    {
        Some((at, _)) => &stem[..at],
        None => stem,
    }
}

/// The number in the name of any trail's rotated file.
pub(super) fn rotated_seq(file_name: &str) -> Option<u64> {
    let behind = file_name.strip_prefix(chain_name(file_name))?.strip_prefix('.')?;
    rotation(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_sort_by_number_and_lead_back() {
        let names = Names::new(Path::new("/var/log/qstash-guard.audit.jsonl"));
        let time: Timestamp = "2026-11-24T17:15:00.123456Z".parse().expect("a time");
        let name = |seq| {
            names
                .rotated(seq, time)
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        };
        assert_eq!(
            name(42),
            "qstash-guard.audit.00000000000000000042-20261124T171500.123456Z.jsonl"
        );
        assert!(name(9) < name(10) && name(10) < name(u64::MAX));
        assert_eq!(names.first_seq(&name(u64::MAX)), Some(u64::MAX));
        assert_eq!(names.first_seq("qstash-guard.audit.jsonl"), None);
        assert_eq!(chain_name(&name(42)), "qstash-guard.audit");
        assert_eq!(chain_name("qstash-guard.audit.jsonl"), "qstash-guard.audit");
        let torn = names.torn(time);
        assert_eq!(
            torn,
            Path::new("/var/log/qstash-guard.audit.jsonl.torn-20261124T171500.123456Z")
        );
        assert!(is_torn(&torn.to_string_lossy()) && !is_trail("a.jsonl.torn-20261124T171500.123456Z"));
    }

    #[test]
    fn odd_names_are_no_faults() {
        assert_eq!(Names::new(Path::new("trail")).folder, Path::new("."));
        for name in [
            "",
            ".",
            ".jsonl",
            "a.jsonl.é",
            "é.0-.jsonl",
            "a.b",
            "a.00000000000000000042-x.jsonl",
        ] {
            chain_name(name);
            is_trail(name);
            Names::new(Path::new("a.jsonl")).first_seq(name);
        }
        assert!(is_trail("audit.jsonl.1") && is_trail("audit.jsonl-20261124") && is_trail("audit.jsonl.gz"));
        assert!(
            is_trail("audit.jsonl.2.gz")
                && !is_trail("audit.jsonl.gz.0a1b.tmp")
                && !is_trail("audit.jsonl.checkpoints")
        );
        assert_eq!(chain_name("audit.jsonl.1"), "audit");
        assert_eq!(chain_name("audit.jsonl.1.gz"), "audit");
    }

    #[test]
    fn the_forms_of_a_file_are_told_apart() {
        let time: Timestamp = "2026-11-24T17:15:00.123456Z".parse().expect("a time");
        for trail in ["/t/audit.jsonl", "/t/audit", "/t/audit.log", "/t/audit.gz"] {
            let names = Names::new(Path::new(trail));
            let plain = names.rotated(42, time);
            let form = |path: &Path| names.form(&path.file_name().expect("a name").to_string_lossy());
            assert_eq!(form(&plain), Some((42, Form::Plain)), "{trail}");
            assert_eq!(form(&compressed(&plain)), Some((42, Form::Compressed)), "{trail}");
            assert_eq!(
                form(&compressing(&plain, "0a1b")),
                Some((42, Form::Compressing)),
                "{trail}"
            );
            assert_eq!(form(Path::new(trail)), None);
            assert_eq!(form(&names.checkpoints()), None);
            assert_eq!(form(&set_aside(&compressed(&plain), time)), None);
            let name = names
                .checkpoints()
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            assert_eq!(checkpoints_of(&name), Some("audit"));
        }
        let compressed = "audit.00000000000000000042-20261124T171500.123456Z.jsonl.gz";
        assert_eq!((chain_name(compressed), rotated_seq(compressed)), ("audit", Some(42)));
    }
}
