//! Signed heads of the chain: when they are written, and what they show.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use qstash_guard::audit::chain::LineHash;
use qstash_guard::audit::read::{self, Checkpoints, Report, Verdict};
use qstash_guard::audit::signing::{PublicKeys, SigningKey};
use qstash_guard::audit::{Durability, Event, Keep, Settings, StartFault};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};

use super::support::*;

/// Keys beside a trail.
struct Keys {
    folder: Folder,
    public: PublicKeys,
}

impl Keys {
    fn new() -> Self {
        let folder = Folder::new();
        let pair = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
        fs::write(folder.0.join("key.pem"), pair.serialize_pem()).expect("written");
        fs::write(folder.0.join("public.pem"), pair.public_key_pem()).expect("written");
        let public = PublicKeys::read(&folder.0.join("public.pem")).expect("a public key");
        Keys { folder, public }
    }

    fn private(&self) -> PathBuf {
        self.folder.0.join("key.pem")
    }

    fn settings(&self, folder: &Folder) -> Settings {
        Settings {
            signing_key: Some(self.private()),
            ..settings(&folder.file())
        }
    }

    fn verify(&self, folder: &Folder) -> Report {
        let inputs = read::inputs(std::slice::from_ref(&folder.0)).expect("files");
        read::verify_signed(&inputs, None, Some(&self.public)).expect("a report")
    }
}

fn sidecar(folder: &Folder) -> PathBuf {
    folder.0.join("audit.jsonl.checkpoints")
}

fn signed(folder: &Folder) -> Vec<u64> {
    let text = fs::read_to_string(sidecar(folder)).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON")["seq"]
                .as_u64()
                .expect("a number")
        })
        .collect()
}

/// A closed trail of ten records.
async fn trail() -> (Keys, Folder) {
    let (keys, folder) = (Keys::new(), Folder::new());
    let trail = open_with(&keys.settings(&folder), &Arc::default())
        .expect("opened")
        .trail;
    wait_until("the first checkpoint", || signed(&folder) == [1]);
    write(&trail, 8).await;
    stop(&trail).await;
    assert_eq!(signed(&folder), [1, 10], "as it starts and as it stops");
    (keys, folder)
}

fn broken(report: &Report) -> (String, u64, String) {
    assert_eq!(report.exit_code(), 4, "{report}");
    let Verdict::Broken(broken) = &report.chains[0].verdict else {
        panic!("{report}")
    };
    let name = broken.file.file_name().expect("a name").to_string_lossy().into_owned();
    (name, broken.line, broken.what.clone())
}

/// The lines chained anew from one on, as whoever can write the file can do.
fn forged(lines: &[&str], changed: usize) -> String {
    let mut text = String::new();
    let mut hash = LineHash::GENESIS;
    for (at, line) in lines.iter().enumerate() {
        let mut line = (*line).to_owned();
        if at == changed {
            line = line.replace("billing", "nobody1");
        }
        let prev = line.rfind("\"prev\":\"").expect("a hash") + 8;
        line.replace_range(prev..prev + 64, &hash.to_string());
        hash = LineHash::of(line.as_bytes());
        text += &line;
        text.push('\n');
    }
    text
}

#[tokio::test]
async fn a_signed_trail_is_covered_to_its_end() {
    let (keys, folder) = trail().await;
    let report = keys.verify(&folder);
    assert_eq!(report.exit_code(), 0, "{report}");
    let Checkpoints::Checked {
        count: 2,
        earlier: 0,
        last: Some((10, _)),
        uncovered: 0,
    } = report.chains[0].checkpoints
    else {
        panic!("{report}")
    };
    // Without the key it is told that nobody looked.
    let unchecked = folder.verify();
    assert_eq!(intact(&unchecked), 10);
    assert_eq!(unchecked.chains[0].checkpoints, Checkpoints::Unchecked(2));
    assert!(
        unchecked.to_string().contains("2 checkpoints, not checked"),
        "{unchecked}"
    );
    let started = lines(&folder.file()).remove(0);
    assert!(
        started["detail"]
            .as_str()
            .expect("text")
            .contains("; checkpoints signed by key "),
        "{started}"
    );
    // Records behind the last checkpoint are told of; a guard that was killed leaves such.
    let text = fs::read_to_string(sidecar(&folder)).expect("read");
    let first = text.lines().next().expect("a line");
    fs::write(sidecar(&folder), format!("{first}\n{{\"seq\":10,\"ti")).expect("written");
    let report = keys.verify(&folder);
    assert_eq!(report.exit_code(), 0, "{report}");
    assert!(
        report.to_string().contains("9 records since are not covered"),
        "{report}"
    );
    // What was torn is cut before the next one is written.
    let trail = open_with(&keys.settings(&folder), &Arc::default())
        .expect("opened")
        .trail;
    stop(&trail).await;
    assert_eq!(keys.verify(&folder).exit_code(), 0);
    assert_eq!(signed(&folder).last(), Some(&12));
}

#[tokio::test]
async fn a_trail_that_was_cut_or_written_anew_is_found() {
    let (keys, folder) = trail().await;
    let whole = fs::read_to_string(folder.file()).expect("read");
    let lines: Vec<&str> = whole.lines().collect();
    for kept in 1..10 {
        let image = folder.image();
        fs::write(image.file(), format!("{}\n", lines[..kept].join("\n"))).expect("written");
        assert_eq!(intact(&image.verify()), kept as u64, "the chain alone shows nothing");
        let (file, line, what) = broken(&keys.verify(&image));
        assert_eq!((file.as_str(), line), ("audit.jsonl.checkpoints", 2));
        assert_eq!(
            what,
            format!(
                "record 10 was signed, but the trail ends with record {kept}: its end was cut off, or is in files that \
                 were not named"
            )
        );
        // A guard that goes on from there cannot hide it.
        stop(
            &open_with(&keys.settings(&image), &Arc::default())
                .expect("opened")
                .trail,
        )
        .await;
        broken(&keys.verify(&image));
    }
    for changed in 1..9 {
        let image = folder.image();
        fs::write(image.file(), forged(&lines, changed)).expect("written");
        assert_eq!(intact(&image.verify()), 10, "the chain alone shows nothing");
        let (file, line, what) = broken(&keys.verify(&image));
        assert_eq!((file.as_str(), line), ("audit.jsonl.checkpoints", 2));
        assert!(what.starts_with("record 10 was signed with the hash "), "{what}");
    }
}

#[tokio::test]
async fn an_unsigned_word_accounts_for_nothing() {
    let (keys, folder) = trail().await;
    let whole = fs::read_to_string(folder.file()).expect("read");
    let lines: Vec<&str> = whole.lines().collect();
    let hash = |line: &str| LineHash::of(line.as_bytes());
    let pruned = |seq: u64, prev: LineHash, gone: LineHash| {
        format!(
            r#"{{"seq":{seq},"time":"2026-11-24T18:10:12.000000Z","event":"pruned","instance":"guard-a","detail":"audit.jsonl (records 1 to 4, head {gone})","prev":"{prev}"}}"#
        )
    };
    let cannot_tell = |image: &Folder, why: &str| {
        assert_eq!(image.verify().exit_code(), 0, "the chain alone shows nothing");
        let report = keys.verify(image);
        assert_eq!(report.exit_code(), 5, "{report}");
        assert!(report.to_string().contains(why), "{report}");
    };
    // The first records removed by hand, and a line added that says the guard did it.
    let image = folder.image();
    let added = pruned(11, hash(lines[9]), hash(lines[3]));
    fs::write(image.file(), format!("{}\n{added}\n", lines[4..].join("\n"))).expect("written");
    cannot_tell(
        &image,
        "it begins with record 5, and the `pruned` record 11 that accounts",
    );
    // All of them, and a trail made up that begins behind the last one that is signed.
    let made_up = LineHash::of(b"made up");
    for seq in [11, 12, 50] {
        let image = folder.image();
        let prev = if seq == 11 { hash(lines[9]) } else { made_up };
        fs::write(image.file(), pruned(seq, prev, prev) + "\n").expect("written");
        cannot_tell(
            &image,
            &format!("it begins with record {seq}, and the `pruned` record {seq}"),
        );
    }
}

#[tokio::test]
async fn a_signed_trail_that_is_gone_is_missed() {
    let (keys, folder) = trail().await;
    // Another guard's trail in the same folder is whole.
    let other = Settings {
        signing_key: Some(keys.private()),
        ..settings(&folder.0.join("other.jsonl"))
    };
    stop(&open_with(&other, &Arc::default()).expect("opened").trail).await;
    assert_eq!(keys.verify(&folder).exit_code(), 0);
    fs::remove_file(folder.file()).expect("removed");
    let report = keys.verify(&folder);
    assert_eq!(report.exit_code(), 4, "{report}");
    let text = report.to_string();
    assert!(
        text.contains("other: intact") && text.contains("audit: BROKEN"),
        "{text}"
    );
    assert!(
        text.contains("record 1 was signed, but the trail ends with record 0"),
        "{text}"
    );
    let unchecked = folder.verify();
    assert_eq!(unchecked.exit_code(), 5, "{unchecked}");
    assert!(
        unchecked
            .to_string()
            .contains("its checkpoints are here, and none of its records"),
        "{unchecked}"
    );
    // Whoever names a file asks for that trail alone.
    let inputs = read::inputs(&[folder.0.join("other.jsonl")]).expect("a file");
    assert_eq!(read::verify(&inputs, None).expect("a report").exit_code(), 0);
}

/// A guard that rotates between listing and reading has not broken its trail.
#[tokio::test]
async fn a_trail_that_is_written_while_it_is_verified_is_not_called_broken() {
    let (keys, folder) = (Keys::new(), Folder::new());
    let settings = Settings {
        max_size: 4096,
        ..keys.settings(&folder)
    };
    let trail = open_with(&settings, &Arc::default()).expect("opened").trail;
    write(&trail, 40).await;
    let list = || read::inputs(std::slice::from_ref(&folder.0));
    let check = |inputs: &read::Inputs| read::verify_signed(inputs, None, Some(&keys.public));
    let stale = list().expect("files");
    write(&trail, 60).await;
    stop(&trail).await;
    assert_eq!(check(&stale).expect("a report").exit_code(), 4, "as listed before");
    let mut listed = vec![stale];
    let mut checked = 0;
    let report = read::settled(
        || listed.pop().map_or_else(list, Ok),
        |inputs| {
            checked += 1;
            check(inputs)
        },
    );
    assert_eq!((report.expect("a report").exit_code(), checked), (0, 2));
    // What is broken stays so, and is read once where nobody writes.
    fs::remove_file(folder.file()).expect("removed");
    checked = 0;
    let report = read::settled(list, |inputs| {
        checked += 1;
        check(inputs)
    });
    assert_eq!((report.expect("a report").exit_code(), checked), (4, 1));
    let gone = [folder.0.join("none.jsonl")];
    assert!(read::settled(|| read::inputs(&gone), check).is_err());
}

#[tokio::test]
async fn checkpoints_that_were_changed_are_found() {
    let (keys, folder) = trail().await;
    let whole = fs::read_to_string(sidecar(&folder)).expect("read");
    let first: serde_json::Value = serde_json::from_str(whole.lines().next().expect("a line")).expect("JSON");
    let with = |name: &str, value: serde_json::Value| {
        let mut changed = first.clone();
        changed[name] = value;
        let image = folder.image();
        fs::write(
            sidecar(&image),
            format!("{changed}\n{}", &whole[whole.find('\n').expect("an end") + 1..]),
        )
        .expect("written");
        let (file, line, what) = broken(&keys.verify(&image));
        assert_eq!((file.as_str(), line), ("audit.jsonl.checkpoints", 1), "{name}");
        what
    };
    let unfit = "the signature of the checkpoint of record 1 does not fit";
    for (name, value) in [
        ("time", "2026-11-24T17:15:00.000000Z".into()),
        ("instance", "guard-1".into()),
        ("head", "0".repeat(64).into()),
        ("signature", "AAAA".into()),
        ("signature", "not base64".into()),
    ] {
        let what = with(name, value);
        assert!(what.starts_with(unfit), "{name}: {what}");
    }
    assert!(with("seq", 2.into()).contains("does not fit"));
    assert!(with("key", "0123456789ab".into()).contains("is signed by the key 0123456789ab"));
    assert!(with("head", "x".into()).contains("no checkpoint"));
    assert!(with("seq", "one".into()).contains("no checkpoint"));
    // Another key is another key, until both are named.
    let other = Keys::new();
    let (_, _, what) = broken(&other.verify(&folder));
    assert!(what.contains("put both public keys into one file"), "{what}");
    let both = other.folder.0.join("both.pem");
    let pem = |keys: &Keys| fs::read_to_string(keys.folder.0.join("public.pem")).expect("read");
    fs::write(&both, pem(&other) + &pem(&keys)).expect("written");
    let both = Keys {
        public: PublicKeys::read(&both).expect("public keys"),
        folder: Folder::new(),
    };
    assert_eq!(both.verify(&folder).exit_code(), 0);
    // Without checkpoints nobody can tell.
    fs::remove_file(sidecar(&folder)).expect("removed");
    let report = keys.verify(&folder);
    assert_eq!(report.exit_code(), 5, "{report}");
    assert!(report.to_string().contains("it has no checkpoints"), "{report}");
}

#[tokio::test]
async fn checkpoints_come_with_records_and_rotations_and_go_with_old_files() {
    let (keys, folder) = (Keys::new(), Folder::new());
    let settings = Settings {
        durability: Durability::Buffered,
        max_size: 64 * 1024,
        keep: Keep::Newest(2),
        compress: true,
        ..keys.settings(&folder)
    };
    let trail = open_with(&settings, &Arc::default()).expect("opened").trail;
    write(&trail, 1500).await;
    wait_until("a checkpoint of a rotation", || {
        signed(&folder).last().is_some_and(|seq| *seq > 100)
    });
    write(&trail, 1500).await;
    // What looks after old files is done when two are there, both compressed.
    wait_until("the last pruning", || {
        let names = folder.names();
        let count = |ending: &str| {
            let rotated = names.iter().filter(|name| name.starts_with("audit.0"));
            rotated.filter(|name| name.ends_with(ending)).count()
        };
        (count(".gz"), count("")) == (2, 2)
    });
    // What was pruned is signed long before the minute is over.
    wait_until("the checkpoint of the last pruning", || {
        keys.verify(&folder).exit_code() == 0
    });
    stop(&trail).await;
    let report = keys.verify(&folder);
    assert_eq!(report.exit_code(), 0, "{report}");
    let head = report.chains[0].head.seq;
    let first = report.chains[0].first.as_ref().expect("records").0;
    assert!(first > 1 && head > 3000);
    assert_eq!(signed(&folder).last(), Some(&head));
    // A restart sees to the checkpoints of what was removed last.
    stop(&open_with(&settings, &Arc::default()).expect("opened").trail).await;
    let report = keys.verify(&folder);
    assert_eq!(report.exit_code(), 0, "{report}");
    assert!(
        signed(&folder).iter().all(|seq| *seq + 1 >= first),
        "{:?} from {first}",
        signed(&folder)
    );
    assert!(
        !folder.names().iter().any(|name| name.contains(".tmp")),
        "{:?}",
        folder.names()
    );

    // Without rotations they come by number.
    let quiet = Folder::new();
    let trail = open_with(&keys.settings(&quiet), &Arc::default())
        .expect("opened")
        .trail;
    wait_until("the first", || signed(&quiet) == [1]);
    for number in 0..1000 {
        trail.submit(request(Event::Denied, number)).expect("queued");
    }
    wait_until("the second", || signed(&quiet).len() == 2);
    assert_eq!(keys.verify(&quiet).exit_code(), 0);
    stop(&trail).await;
}

#[tokio::test]
async fn what_cannot_be_signed_does_not_hurt_the_trail() {
    let (keys, folder) = (Keys::new(), Folder::new());
    fs::write(sidecar(&folder), "not mine\n".repeat(3)).expect("written");
    fs::remove_file(sidecar(&folder)).expect("removed");
    fs::create_dir(sidecar(&folder)).expect("a folder in the way");
    let watch = Arc::new(Watch::default());
    let trail = open_with(&keys.settings(&folder), &watch).expect("opened").trail;
    wait_until("the failure", || watch.checkpoint_failures.load(Ordering::SeqCst) > 0);
    write(&trail, 3).await;
    assert!(!trail.is_failed() && watch.failures.load(Ordering::SeqCst) == 0);
    fs::remove_dir(sidecar(&folder)).expect("removed");
    stop(&trail).await;
    assert_eq!(signed(&folder), [5]);
    assert_eq!(keys.verify(&folder).exit_code(), 0);
}

#[test]
fn keys_that_are_none_are_told_of_and_not_shown() {
    let keys = Keys::new();
    let folder = Folder::new();
    let path = folder.0.join("key.pem");
    let private = |text: &str| {
        fs::write(&path, text).expect("written");
        let fault = SigningKey::read(&path).expect_err("refused").to_string();
        let body = text.lines().filter(|line| !line.starts_with("-----") && line.len() > 8);
        assert!(body.clone().all(|line| !fault.contains(line)), "{fault}");
        fault.replace(&path.display().to_string(), "KEY")
    };
    let pem = fs::read_to_string(keys.private()).expect("read");
    let public_pem = fs::read_to_string(keys.folder.0.join("public.pem")).expect("read");
    let ecdsa = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let mut shown: Vec<String> = vec![
        private(""),
        private("secret-that-is-no-key\n"),
        private(&pem.replace("PRIVATE", "ENCRYPTED PRIVATE")),
        private(&pem.replace("PRIVATE", "EC PRIVATE")),
        private(&pem[..pem.len() - 20]),
        private(&ecdsa.serialize_pem()),
        private(&public_pem),
        private(&"x".repeat(100_000)),
    ];
    let public = |text: &str| {
        fs::write(&path, text).expect("written");
        let fault = PublicKeys::read(&path).expect_err("refused").to_string();
        fault.replace(&path.display().to_string(), "PUBLIC")
    };
    shown.extend([public(""), public(&pem), public(&ecdsa.public_key_pem())]);
    fs::remove_file(&path).expect("removed");
    let missing = SigningKey::read(&path).expect_err("refused").to_string();
    shown.push(missing.replace(&path.display().to_string(), "KEY"));
    insta::assert_snapshot!("faults_of_keys", shown.join("\n"));
    let trail = Settings {
        signing_key: Some(path),
        ..settings(&folder.file())
    };
    let fault = open_with(&trail, &Arc::default()).expect_err("refused");
    assert!(matches!(fault, StartFault::Key(_)), "{fault}");
    assert!(!folder.file().exists(), "nothing is written without the key");
    assert!(!format!("{:?}", SigningKey::read(&keys.private())).contains(&pem[40..60]));
}

#[tokio::test]
async fn reports_as_people_read_them() {
    let (keys, folder) = trail().await;
    let text = |report: &Report| {
        let text = report.to_string().replace(&format!("{}/", folder.0.display()), "");
        let key = SigningKey::read(&keys.private()).expect("a key").id().to_owned();
        let text = text.replace(&key, "<key>");
        // Times and hashes are of this run.
        let words = text.split_inclusive([' ', '\n', ',', ':']).map(|word| {
            let bare = word.trim_end_matches([' ', '\n', ',', ':']);
            let hash = bare.len() == 64 && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
            if hash {
                word.replace(bare, "<hash>")
            } else {
                word.to_owned()
            }
        });
        let words: String = words.collect();
        let mut lines = String::new();
        for line in words.lines() {
            let line = match line.find(" at 20") {
                Some(at) => format!("{} at <time>", &line[..at]),
                None => line.to_owned(),
            };
            lines += &line;
            lines.push('\n');
        }
        lines
    };
    let mut shown = vec![text(&folder.verify()), text(&keys.verify(&folder))];
    let whole = fs::read_to_string(folder.file()).expect("read");
    let kept: Vec<&str> = whole.lines().take(7).collect();
    fs::write(folder.file(), kept.join("\n") + "\n").expect("written");
    shown.push(text(&keys.verify(&folder)));
    fs::remove_file(sidecar(&folder)).expect("removed");
    shown.push(text(&keys.verify(&folder)));
    insta::assert_snapshot!("reports_of_signed_trails", shown.join("\n"));
}

#[tokio::test]
async fn no_byte_of_a_checkpoint_can_be_changed_unseen() {
    let (keys, folder) = trail().await;
    let whole = fs::read(sidecar(&folder)).expect("read");
    let mut runner = TestRunner::new(Config {
        cases: 512,
        failure_persistence: None,
        ..Config::default()
    });
    // All but the last newline: without it the line is one that was being written.
    let places = (any::<Index>(), any::<u8>());
    runner
        .run(&places, |(at, byte)| {
            let at = at.index(whole.len() - 1);
            let mut bytes = whole.clone();
            bytes[at] = byte;
            fs::write(sidecar(&folder), &bytes).expect("written");
            let report = keys.verify(&folder);
            prop_assert_eq!(report.exit_code(), if bytes == whole { 0 } else { 4 }, "{}", report);
            Ok(())
        })
        .expect("broken");
}
