//! What a reload cannot change is named, and stays.

use std::process::Command;
use std::sync::Arc;

use crate::support::{Folder, Guard, Upstream, request};
use crate::{UNLIMITED, cancel, capped, detail, logged, reload, start};

const NAMED: &str = "takes effect after a restart: ";

#[test]
fn keys_that_need_a_restart_are_named() {
    let (upstream, guard) = start(&capped(10));
    let loaded = reload(
        &guard,
        &format!(
            "{}listen: {{idle_timeout: 10s}}\nadmin: {{token_file: token}}\nupstream: {{connect_timeout: 1s}}\n\
             audit: {{path: elsewhere.jsonl, on_failure: allow, rotate: {{compress: true}}, signing_key_file: key.pem}}\n\
             resources: {{max_inspected_body: 1KiB}}\n\
             log: {{format: text}}\n",
            capped(100)
        ),
    );
    let keys = "listen.idle_timeout, admin.token_file, upstream.connect_timeout, audit.path, audit.on_failure, \
                audit.rotate.compress, audit.signing_key_file, resources.max_inspected_body, log.format";
    assert!(detail(&loaded).ends_with(&format!("; {NAMED}{keys}")), "{loaded}");
    guard.wait_until("the warning", || !logged(&guard, NAMED).is_empty());
    let line = logged(&guard, NAMED).pop().unwrap();
    assert_eq!(
        (&line["level"], &line["message"]),
        (&"WARN".into(), &format!("{NAMED}{keys}").into())
    );
    assert_eq!(cancel(&guard, 50).status(), 202, "all else is in force");
    assert_eq!(upstream.requests().len(), 1);
    assert!(!guard.folder.path().join("elsewhere.jsonl").exists());
    // Named again for as long as they differ.
    let again = reload(&guard, &format!("{UNLIMITED}log: {{format: text}}\n"));
    assert!(detail(&again).ends_with(&format!("; {NAMED}log.format")), "{again}");
    let back = reload(&guard, UNLIMITED);
    assert!(!detail(&back).contains(NAMED), "{back}");
}

#[test]
fn what_the_command_line_says_stays_in_force() {
    let (upstream, guard) = start(UNLIMITED);
    let loaded = reload(
        &guard,
        &format!(
            "{UNLIMITED}listen: {{address: '127.0.0.1:1'}}\nadmin: null\nupstream: {{url: 'http://127.0.0.1:2'}}\n"
        ),
    );
    assert!(
        !detail(&loaded).contains(NAMED),
        "nothing that counts has changed: {loaded}"
    );
    assert_eq!(cancel(&guard, 5).status(), 202);
    assert_eq!(upstream.requests().len(), 1);
    assert_eq!(guard.admin("/readyz").0, 200);
}

#[test]
fn addresses_of_the_file_stay_as_they_were() {
    let upstream = Upstream::json("{}");
    let folder = Arc::new(Folder::new());
    let yaml = |upstream: &str, listen: &str| {
        format!(
            "{UNLIMITED}listen: {{address: '{listen}'}}\nadmin: {{address: '127.0.0.1:0'}}\nupstream: {{url: '{upstream}'}}\n"
        )
    };
    let config = folder.write("guard.yaml", &yaml(&upstream.url(), "127.0.0.1:0"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_qstash-guard"));
    command.arg("--config").arg(config).current_dir(folder.path());
    let guard = Guard::spawn(folder, command);
    let hosted = "https://qstash-us-east-1.upstash.io";
    let loaded = reload(&guard, &yaml(hosted, "127.0.0.1:1"));
    assert!(
        detail(&loaded).ends_with(&format!("; {NAMED}listen.address, upstream.url")),
        "{loaded}"
    );
    // The policy goes with the upstream that is there: publishing to it is still publishing to itself.
    let itself = format!("/v2/publish/{}/v2/messages", upstream.url());
    let answer = request(guard.address, "POST", &itself, &[], b"");
    assert_eq!(
        (answer.status(), answer.code().as_str()),
        (403, "destination_is_qstash")
    );
    upstream.assert_untouched();
    assert_eq!(cancel(&guard, 5).status(), 202);
    assert_eq!(upstream.requests().len(), 1);
    assert!(logged(&guard, "hosted QStash").is_empty(), "it is not the upstream");
    let gone = reload(
        &guard,
        &format!(
            "{UNLIMITED}admin: null\nlisten: {{address: '127.0.0.1:0'}}\nupstream: {{url: '{}'}}\n",
            upstream.url()
        ),
    );
    assert!(detail(&gone).ends_with(&format!("; {NAMED}admin")), "{gone}");
}
