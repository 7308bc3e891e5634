//! Rotated files that are compressed: while they are, after a crash, on a full disk, damaged.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use qstash_guard::audit::read::Verdict;
use qstash_guard::audit::read::show::{Options, Show};
use qstash_guard::audit::{Event, Keep, Settings, Trail, read};

use super::failures::SmallDisk;
use super::support::*;

fn compressing(folder: &Folder) -> Settings {
    Settings {
        max_size: 4096,
        compress: true,
        ..settings(&folder.file())
    }
}

fn rotated(folder: &Folder, ending: &str) -> Vec<PathBuf> {
    let names = folder.names().into_iter();
    names
        .filter(|name| name.starts_with("audit.0") && name.ends_with(ending))
        .map(|name| folder.0.join(name))
        .collect()
}

/// Waits until nothing is left to be compressed or tidied up.
fn wait_for_gzip(folder: &Folder) {
    wait_until("the last compressed file", || {
        rotated(folder, ".jsonl").is_empty() && rotated(folder, ".tmp").is_empty()
    });
}

fn count_lines(text: &[u8]) -> u64 {
    text.split_inclusive(|&byte| byte == b'\n').count() as u64
}

fn unpacked(path: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    MultiGzDecoder::new(File::open(path).expect("a file"))
        .read_to_end(&mut text)
        .expect("gzip");
    text
}

fn packed(text: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(text).expect("packed");
    gzip.finish().expect("packed")
}

/// A closed trail of several compressed files, and how many records it has.
async fn trail() -> (Folder, u64) {
    let folder = Folder::new();
    let trail = open_with(&compressing(&folder), &Arc::default()).expect("opened").trail;
    write(&trail, 60).await;
    stop(&trail).await;
    wait_for_gzip(&folder);
    let records = intact(&folder.verify());
    assert!(rotated(&folder, ".gz").len() >= 3, "{:?}", folder.names());
    (folder, records)
}

fn shown(folder: &Folder) -> (Vec<u8>, String) {
    let options = Options {
        json: true,
        ..Options::default()
    };
    let (mut out, mut faults) = (Vec::new(), Vec::new());
    Show::new(&read::inputs(std::slice::from_ref(&folder.0)).expect("files"), options)
        .run(&mut out, &mut faults)
        .expect("shown");
    (out, String::from_utf8(faults).expect("UTF-8"))
}

#[tokio::test]
async fn compressed_plain_and_both_are_one_trail() {
    let (folder, records) = trail().await;
    let (all, faults) = shown(&folder);
    assert_eq!(faults, "");
    assert_eq!(count_lines(&all), records);
    let files = rotated(&folder, ".gz");
    let image = folder.image();
    for (number, file) in files.iter().enumerate() {
        let there = image.0.join(file.file_name().expect("a name"));
        fs::write(there.with_extension(""), unpacked(&there)).expect("written");
        // Every second one is there in both forms, as a crash leaves it.
        if number % 2 == 0 {
            fs::remove_file(there).expect("removed");
        }
    }
    assert_eq!(intact(&image.verify()), records);
    assert_eq!(shown(&image), (all.clone(), String::new()), "and nothing twice");
    // Named one by one, and with archives elsewhere.
    let archive = Folder::new();
    for file in &files[..2] {
        let name = file.file_name().expect("a name");
        fs::rename(file, archive.0.join(name)).expect("moved");
    }
    let report = read::verify(
        &read::inputs(&[folder.0.clone(), archive.0.clone()]).expect("files"),
        None,
    );
    assert_eq!(intact(&report.expect("a report")), records);
    assert_eq!(
        folder.verify().exit_code(),
        5,
        "without the archive the beginning is missing"
    );
}

#[tokio::test]
async fn what_is_compressed_is_pruned_too() {
    let folder = Folder::new();
    let settings = Settings {
        keep: Keep::Newest(2),
        ..compressing(&folder)
    };
    let trail = open_with(&settings, &Arc::default()).expect("opened").trail;
    write(&trail, 80).await;
    wait_until("the pruning", || {
        rotated(&folder, ".gz").len() == 2 && rotated(&folder, "").len() == 2
    });
    let head = stop(&trail).await;
    let report = folder.verify_with(Some(head));
    intact(&report);
    assert!(report.chains[0].first.as_ref().is_some_and(|(seq, _)| *seq > 1));
    // Without compressing any more, what is compressed goes all the same.
    let plain = Settings {
        compress: false,
        ..settings
    };
    let trail = open_with(&plain, &Arc::default()).expect("opened").trail;
    write(&trail, 60).await;
    wait_until("the pruning", || {
        rotated(&folder, ".gz").is_empty() && rotated(&folder, "").len() == 2
    });
    stop(&trail).await;
    intact(&folder.verify());
}

#[tokio::test]
async fn what_a_crash_left_is_tidied_up() {
    let (folder, records) = trail().await;
    let name = |image: &Folder| rotated(image, ".gz").remove(1);
    let half = |path: &Path, bytes: &[u8]| fs::write(path, &bytes[..bytes.len() / 2]).expect("written");
    let text = unpacked(&name(&folder));
    let whole = fs::read(name(&folder)).expect("read");
    for (crash, set_aside) in [("temporary", 0), ("both", 0), ("damaged", 1)] {
        for compress in [true, false] {
            let image = folder.image();
            let compressed = name(&image);
            let plain = compressed.with_extension("");
            fs::write(&plain, &text).expect("written");
            match crash {
                "temporary" => {
                    fs::remove_file(&compressed).expect("removed");
                    half(&compressed.with_extension("gz.0a1b.tmp"), &whole);
                }
                "damaged" => half(&compressed, &whole),
                _ => {}
            }
            assert_eq!(intact(&image.verify()), records, "{crash}: as the crash left it");
            let settings = Settings {
                compress,
                ..compressing(&image)
            };
            let trail = open_with(&settings, &Arc::default()).expect("opened").trail;
            wait_until(crash, || {
                let names = image.names();
                let torn = names.iter().filter(|name| name.contains(".gz.torn-")).count();
                let forms = usize::from(plain.exists()) + usize::from(compressed.exists());
                let settled = forms == 1 && (!compress || compressed.exists());
                !names.iter().any(|name| name.contains(".tmp")) && settled && torn == set_aside
            });
            stop(&trail).await;
            assert_eq!(intact(&image.verify()), records + 2, "{crash}");
        }
    }
}

#[tokio::test]
async fn damage_is_found_with_its_place() {
    let (folder, records) = trail().await;
    let at = rotated(&folder, ".gz").remove(1);
    let (name, whole) = (at.file_name().expect("a name"), fs::read(&at).expect("read"));
    let text = unpacked(&at);
    let lines = count_lines(&text);
    let broken = |bytes: &[u8]| {
        let image = folder.image();
        fs::write(image.0.join(name), bytes).expect("written");
        let report = image.verify();
        assert_eq!(report.exit_code(), 4, "{report}");
        let Verdict::Broken(broken) = &report.chains[0].verdict else {
            panic!("{report}")
        };
        assert_eq!(broken.file, image.0.join(name), "{report}");
        assert!(broken.line <= lines + 1, "{report}");
        let (out, faults) = shown(&image);
        assert!(out.len() > 1000, "the rest is shown");
        (broken.line, broken.what.clone(), faults)
    };
    for length in (0..whole.len()).step_by(97) {
        let (_, what, faults) = broken(&whole[..length]);
        assert!(what.contains("ends too early"), "{length}: {what}");
        assert_eq!(faults.lines().count(), 1, "{faults}");
    }
    // A byte of the sum at the end, of the data, of the beginning; something behind it.
    let changed = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        broken(&bytes)
    };
    let (line, what, _) = changed(whole.len() - 8);
    assert_eq!(line, lines + 1, "all lines are read before the sum: {what}");
    assert!(what.contains("damaged here"), "{what}");
    for at in [0, 2, whole.len() / 2] {
        assert!(!changed(at).1.is_empty());
    }
    let trailing = broken(&[&whole[..], b"trailing"].concat());
    assert_eq!(trailing.0, lines + 1, "{trailing:?}");
    // What was packed again after a change is no damage, and does not chain.
    let edited = String::from_utf8(text.clone())
        .expect("UTF-8")
        .replacen("billing", "nobody1", 1);
    let (line, what, faults) = broken(&packed(edited.as_bytes()));
    assert!(
        line <= lines && what.contains("one of the two was changed"),
        "{line}: {what}"
    );
    assert_eq!(faults, "");
    // A bomb takes no more memory than a line may have.
    let mut bomb = GzEncoder::new(Vec::new(), Compression::default());
    for _ in 0..256 {
        bomb.write_all(&vec![0; 1024 * 1024]).expect("packed");
    }
    let (line, what, faults) = broken(&bomb.finish().expect("packed"));
    assert!(line == 1 && what.contains("longer than 4 MiB"), "{what}");
    assert!(faults.contains(":1: longer than 4 MiB"), "{faults}");
    assert_eq!(intact(&folder.verify()), records);
}

#[tokio::test]
async fn a_full_disk_leaves_the_plain_file_and_the_trail_alone() {
    let disk = SmallDisk::mount();
    let folder = &disk.0;
    let settings = Settings {
        max_size: 16 * 1024,
        ..compressing(folder)
    };
    // Beside it the trail fills one file, and begins the next one with the last page.
    let ballast = folder.0.join("ballast");
    fs::write(&ballast, vec![1; 44 * 1024]).expect("written");
    let watch = Arc::new(Watch::default());
    let trail = open_with(&settings, &watch).expect("opened").trail;
    write_until_rotated(&trail, folder).await;
    wait_until("the failure", || watch.compress_failures.load(Ordering::SeqCst) > 0);
    write(&trail, 3).await;
    assert!(!trail.is_failed());
    assert_eq!(watch.failures.load(Ordering::SeqCst), 0, "nothing of the trail failed");
    assert!(rotated(folder, ".gz").is_empty() && rotated(folder, ".tmp").is_empty());
    assert_eq!(rotated(folder, ".jsonl").len(), 1);
    intact(&folder.verify());
    // With room again, the next start sees to it.
    fs::remove_file(&ballast).expect("removed");
    stop(&trail).await;
    let trail = open_with(&settings, &watch).expect("opened").trail;
    wait_for_gzip(folder);
    // And so does the next rotation.
    fs::write(&ballast, vec![1; 36 * 1024]).expect("written");
    let failures = watch.compress_failures.load(Ordering::SeqCst);
    while rotated(folder, "").len() < 2 {
        write(&trail, 1).await;
    }
    wait_until("the failure or the file", || {
        watch.compress_failures.load(Ordering::SeqCst) > failures || rotated(folder, ".gz").len() == 2
    });
    fs::remove_file(&ballast).expect("removed");
    while rotated(folder, "").len() < 3 {
        write(&trail, 1).await;
    }
    wait_for_gzip(folder);
    stop(&trail).await;
    intact(&folder.verify());
}

async fn write_until_rotated(trail: &Trail, folder: &Folder) {
    for number in 0..1000 {
        if !rotated(folder, "").is_empty() {
            return;
        }
        trail.commit(request(Event::Denied, number)).await.expect("committed");
    }
    panic!("nothing was rotated");
}

#[tokio::test]
async fn the_newest_record_is_found_in_a_compressed_file() {
    let (folder, records) = trail().await;
    // As if the file that is written had been moved away: the chain goes on behind the newest rotated file.
    fs::remove_file(folder.file()).expect("removed");
    let before = read::verify(&read::inputs(&rotated(&folder, ".gz")).expect("files"), None).expect("a report");
    let before = intact(&before);
    assert!(before < records);
    stop(&open_with(&compressing(&folder), &Arc::default()).expect("opened").trail).await;
    assert_eq!(intact(&folder.verify()), before + 2);
    // Damaged, it cannot be gone on from: a second end would be made of the chain.
    let newest = rotated(&folder, ".gz").pop().expect("a file");
    let bytes = fs::read(&newest).expect("read");
    fs::write(&newest, &bytes[..bytes.len() / 2]).expect("written");
    fs::remove_file(folder.file()).expect("removed");
    let fault = open_with(&compressing(&folder), &Arc::default()).expect_err("refused");
    assert!(fault.to_string().contains("its newest rotated file audit.0"), "{fault}");
}

#[tokio::test]
async fn however_a_compressed_file_is_changed_it_is_the_same_text_or_broken() {
    let (folder, records) = trail().await;
    let at = rotated(&folder, ".gz").remove(1);
    let (whole, text) = (fs::read(&at).expect("read"), unpacked(&at));
    let mut runner = TestRunner::new(Config {
        cases: 256,
        failure_persistence: None,
        ..Config::default()
    });
    let changes = prop::collection::vec((any::<Index>(), any::<u8>()), 0..4);
    let more = prop::collection::vec(any::<u8>(), 0..40);
    runner
        .run(
            &(changes, any::<Index>(), any::<bool>(), more),
            |(changes, cut, cuts, more)| {
                let mut bytes = whole.clone();
                for (at, byte) in changes {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
                if cuts {
                    bytes.truncate(cut.index(whole.len()));
                }
                bytes.extend(more);
                fs::write(&at, &bytes).expect("written");
                let report = folder.verify();
                let mut read = Vec::new();
                let same = MultiGzDecoder::new(&bytes[..]).read_to_end(&mut read).is_ok() && read == text;
                prop_assert_eq!(report.exit_code(), if same { 0 } else { 4 }, "{}", report);
                prop_assert!(!same || report.chains[0].records == records);
                shown(&folder);
                Ok(())
            },
        )
        .expect("the same text, or broken");
}
