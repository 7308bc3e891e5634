//! `audit stats`.

use serde_json::{Value, json};

use crate::{UNLIMITED, Written, qstash_guard, redacted};

const REQUESTS: [(&str, &str, &str); 5] = [
    ("DELETE", "/v2/messages?label=a&count=5", ""),
    ("DELETE", "/v2/messages?messageIds=a,b,c", ""),
    ("DELETE", "/v2/messages", ""),
    ("DELETE", "/v2/messages?label=a", ""),
    ("DELETE", "/v2/messages", ""),
];

#[test]
fn sums_by_caller_code_and_day() {
    let written = Written::by(UNLIMITED, &REQUESTS);
    let said = qstash_guard(&["audit", "stats", "audit", "--json"], written.folder.path());
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let stats: Value = serde_json::from_str(&said.out).unwrap();
    let all = json!({"allowed": 2, "denied": 3, "would_deny": 0, "cancelled": 6, "uncertain": 0});
    assert_eq!((&stats["total"], &stats["records"]), (&all, &json!(9)));
    let with_name = |name: &Value, sums: &Value| {
        let mut row = json!({"name": name});
        row.as_object_mut().unwrap().extend(sums.as_object().unwrap().clone());
        row
    };
    let caller = &stats["callers"][0]["name"];
    assert!(caller.as_str().unwrap().starts_with("token:"), "{stats}");
    assert_eq!(stats["callers"], json!([with_name(caller, &all)]));
    let denied = |number| json!({"allowed": 0, "denied": number, "would_deny": 0, "cancelled": 0, "uncertain": 0});
    let codes = [
        with_name(&json!("uncapped_cancel"), &denied(1)),
        with_name(&json!("unfiltered_cancel"), &denied(2)),
    ];
    assert_eq!(stats["codes"], json!(codes));
    // A test that runs over midnight has two days.
    let days = stats["days"].as_array().unwrap().iter();
    let sum = |name: &str| days.clone().map(|day| day[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("allowed"), sum("denied"), sum("cancelled")), (2, 3, 6));
}

#[test]
fn rehearsed_denials_are_told_apart() {
    let written = Written::by(&format!("{UNLIMITED}policy: {{mode: monitor}}"), &REQUESTS);
    let said = qstash_guard(&["audit", "stats", "audit", "--json"], written.folder.path());
    let stats: Value = serde_json::from_str(&said.out).unwrap();
    let all = json!({"allowed": 2, "denied": 0, "would_deny": 3, "cancelled": 15, "uncertain": 0});
    assert_eq!(stats["total"], all);
}

#[test]
fn without_a_terminal_there_are_no_bars_and_no_colour() {
    let written = Written::by(UNLIMITED, &REQUESTS);
    let said = qstash_guard(&["audit", "stats", "audit"], written.folder.path());
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(!said.out.contains(['█', '░', '\u{1b}']), "{}", said.out);
    // A test that runs over midnight has two days.
    let (above, days) = said.out.split_once("\nDAY").unwrap();
    assert!(days.contains("\ntotal "), "{days}");
    insta::assert_snapshot!("stats", redacted(above));
}

#[test]
fn a_folder_without_records_has_none_and_a_missing_one_is_an_error() {
    let folder = crate::Folder::new();
    let said = qstash_guard(&["audit", "stats", "."], folder.path());
    assert_eq!((said.code, said.out.as_str()), (Some(0), "no records\n"));
    let said = qstash_guard(&["audit", "stats", "nowhere"], folder.path());
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("nowhere"), "{}", said.err);
}
