//! The demo: it needs nothing, leaves nothing, and fails when something doesn't meet what it should.

use crate::start::qstash_guard;
use crate::support::Folder;

#[test]
fn everything_meets_what_it_should() {
    let folder = Folder::new();
    let output = qstash_guard(&["demo"], folder.path());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(!text.contains('\u{1b}'), "no colour where there is no terminal");
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "nothing is left behind");
    // The part before has ports, times and hashes.
    let caps = text.find("One capped cancel").unwrap();
    insta::assert_snapshot!("demo-caps", &text[caps..]);
}
