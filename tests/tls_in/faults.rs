//! What `check` and a start say of files that cannot be used.

use std::fmt::Write as _;
use std::process::Command;

use crate::support::tls::Authority;
use crate::support::{Folder, Guard};
use crate::{hosts, put};

const YAML: &str = "listen:\n  tls:\n    certificate: tls.crt\n    private_key: tls.key\n    client_ca: clients.pem\n";

/// A folder with good files.
fn folder() -> Folder {
    let (folder, authority) = (Folder::new(), Authority::new("test roots"));
    put(&folder, &authority.issue(&hosts(&["localhost"])));
    folder.write("clients.pem", &authority.pem);
    folder.write("guard.yaml", YAML);
    folder
}

/// Exit code, output and errors of `check`.
fn check(folder: &Folder) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_qstash-guard"))
        .args(["check", "--config", "guard.yaml"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[test]
fn check_names_the_file_and_the_key_that_names_it() {
    let pem = |what: &str| format!("-----BEGIN {what}-----\nc2VjcmV0LWJ5dGVz\n-----END {what}-----\n");
    let other = Authority::new("other").issue(&hosts(&["localhost"]));
    let mut all = String::new();
    for (name, files) in [
        ("key of another certificate", vec![("tls.key", Some(other.key_pem))]),
        (
            "no file is there",
            vec![("tls.crt", None), ("tls.key", None), ("clients.pem", None)],
        ),
        (
            "text",
            vec![
                ("tls.crt", Some("a".to_owned())),
                ("tls.key", Some("b".to_owned())),
                ("clients.pem", Some(String::new())),
            ],
        ),
        (
            "no certificates",
            vec![
                ("tls.crt", Some(pem("CERTIFICATE"))),
                ("clients.pem", Some(pem("CERTIFICATE"))),
            ],
        ),
        ("no key", vec![("tls.key", Some(pem("PRIVATE KEY")))]),
        (
            "an encrypted key",
            vec![("tls.key", Some(pem("ENCRYPTED PRIVATE KEY")))],
        ),
        (
            "a torn key",
            vec![("tls.key", Some("-----BEGIN PRIVATE KEY-----\nc2VjcmV0!".to_owned()))],
        ),
    ] {
        let folder = folder();
        assert_eq!(check(&folder).0, 0, "good files: {}", check(&folder).1);
        for (file, content) in files {
            if let Some(content) = content {
                folder.write(file, &content);
            } else {
                std::fs::remove_file(folder.path().join(file)).unwrap();
            }
        }
        let (code, said) = check(&folder);
        assert_eq!(code, 1, "{said}");
        assert!(!said.contains("c2VjcmV0") && !said.contains("secret"), "{said}");
        // A start says the same, and begins nothing.
        let output = Guard::command(&folder, "https://localhost:1", YAML).output().unwrap();
        let start = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{start}");
        assert!(start.contains("listen.tls."), "{start}");
        assert!(!folder.path().join("audit").exists(), "{start}");
        writeln!(all, "# {name}\n{said}").unwrap();
    }
    insta::assert_snapshot!("faults", all);
}

#[test]
fn the_upstreams_roots_are_checked_too() {
    let folder = Folder::new();
    folder.write("guard.yaml", "upstream: {ca_file: roots.pem}\n");
    let (code, said) = check(&folder);
    assert_eq!(code, 1);
    assert!(
        said.contains("upstream.ca_file roots.pem") && said.contains(" --> guard.yaml:1:21"),
        "{said}"
    );
}

#[test]
fn a_certificate_that_is_out_of_date_is_a_warning() {
    let (folder, authority) = (folder(), Authority::new("test roots"));
    for ((from, until), said) in [
        (
            (2000, 2020),
            "warning: the certificate in tls.crt expired on 2020-01-01T00:00:00Z",
        ),
        (
            (2090, 2099),
            "warning: the certificate in tls.crt is not valid before 2090-01-01T00:00:00Z",
        ),
    ] {
        let mut params = hosts(&["localhost"]);
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(from, 1, 1), rcgen::date_time_ymd(until, 1, 1));
        put(&folder, &authority.issue(&params));
        let (code, found) = check(&folder);
        assert_eq!(code, 0, "{found}");
        assert!(
            found.contains(said) && found.contains(" --> guard.yaml:3:18"),
            "{found}"
        );
    }
}
