//! A client of another make: curl, which Debian builds with OpenSSL and nghttp2.

use std::process::Command;
use std::sync::Arc;

use rcgen::{DistinguishedName, DnType};

use crate::support::tls::Authority;
use crate::support::{Folder, Upstream};
use crate::{hosts, in_folder, secured_in};

#[test]
fn curl_speaks_both_versions_and_shows_its_certificate() {
    let upstream = Upstream::json(r#"{"cancelled":1}"#);
    let folder = Arc::new(Folder::new());
    let clients = Authority::new("client roots");
    folder.write("clients.pem", &clients.pem);
    let secured = secured_in(folder, &upstream.url(), ", client_ca: clients.pem", "");
    let guard = &secured.guard;
    let mut params = hosts(&[]);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "curl");
    let own = clients.issue(&params);
    guard.folder.write("ca.pem", &secured.authority.pem);
    guard.folder.write("own.pem", &own.pem);
    guard.folder.write("own.key", &own.key_pem);
    let url = format!("https://localhost:{}/v2/messages?label=a&count=1", guard.address.port());
    let ask = |arguments: &[&str]| {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--noproxy", "*", "-X", "DELETE", "--cacert"])
            .arg(in_folder(guard, "ca.pem"))
            .args(["--write-out", " %{http_version} %{http_code}"])
            .args(arguments)
            .arg(&url)
            .current_dir(guard.folder.path())
            .output()
            .expect("curl");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    };
    let own = ["--cert", "own.pem", "--key", "own.key"];
    for (version, spoken) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let (code, said) = ask(&[&own[..], &[version]].concat());
        assert_eq!((code, said), (0, format!(r#"{{"cancelled":1}} {spoken} 202"#)));
    }
    let (code, said) = ask(&[]);
    assert!(code != 0 && said.contains("certificate required"), "{code} {said}");
    let callers: Vec<_> = guard
        .records_of("intent")
        .iter()
        .map(|r| r["caller"].to_string())
        .collect();
    assert_eq!(callers, [r#""curl""#, r#""curl""#]);
    assert_eq!(upstream.requests().len(), 2);
}
