use proptest::prelude::*;

use super::{cut, target, value};
use crate::qstash::operation::Operation as O;

#[track_caller]
fn shows(operation: O, raw: &str, expected: &str) {
    assert_eq!(target(raw, operation), expected);
}

#[test]
fn guarded_parameters_are_shown_and_others_hidden() {
    let op = O::MessagesBulkCancel;
    shows(op, "/v2/messages", "/v2/messages");
    shows(
        op,
        "/v2/messages?label=a%20b&count=5&async",
        "/v2/messages?label=a%20b&count=5&async",
    );
    shows(op, "/v2/messages?lable=x&&count=5", "/v2/messages?lable=***&&count=5");
    shows(op, "/v2/messages?qstash_token=s3cret", "/v2/messages?qstash_token=***");
    shows(
        op,
        "/v2/messages?%71stash%5Ftoken=s3cret",
        "/v2/messages?%71stash%5Ftoken=***",
    );
    shows(op, "/v2/messages?s3cret", "/v2/messages?***");
    shows(op, "/v2/messages?eyJVc2VySUQiOiJkZWZhdWx0==", "/v2/messages?***=***");
    shows(op, "/v2/messages?count=5;qstash_token=s3cret", "/v2/messages?count=***");
    shows(op, "/v2/messages?count=5;other=s3cret", "/v2/messages?count=5;***");
    shows(op, "/v2/messages&qstash_token=s3cret", "/v2/***");
    shows(op, "/v2/messages?", "/v2/messages?");
}

#[test]
fn user_info_is_cut_from_url_filters() {
    let op = O::MessagesBulkCancel;
    shows(
        op,
        "/v2/messages?url=https://u:pw@example.com/a",
        "/v2/messages?url=https://example.com/a",
    );
    shows(
        op,
        "/v2/messages?url=https%3A%2F%2Fu%3Apw%40example.com%2Fa",
        "/v2/messages?url=https://example.com/a",
    );
    shows(
        op,
        "/v2/messages?url=https://example.com/a,u@b.example",
        "/v2/messages?url=https://example.com/a,b.example",
    );
    shows(
        op,
        "/v2/messages?url=https://u:p/w@example.com/a",
        "/v2/messages?url=***",
    );
    shows(
        op,
        "/v2/messages?url=https%3A%2F%2Fexample.com%2Fa",
        "/v2/messages?url=https%3A%2F%2Fexample.com%2Fa",
    );
    shows(op, "/v2/messages?label=a@b", "/v2/messages?label=a@b");
    assert_eq!(
        value("workflowUrl", "https://u:pw@example.com/flow"),
        "https://example.com/flow"
    );
}

#[test]
fn of_a_destination_scheme_host_and_port_are_shown() {
    let op = O::MessagesPublish;
    shows(op, "/v2/publish/https://example.com", "/v2/publish/https://example.com");
    shows(
        op,
        "/v2/publish/https://example.com/",
        "/v2/publish/https://example.com/",
    );
    shows(
        op,
        "/v2/publish/https://example.com:8443/hook/s3cret",
        "/v2/publish/https://example.com:8443/***",
    );
    shows(
        op,
        "/v2/publish/https://u:pw@example.com/x",
        "/v2/publish/https://example.com/***",
    );
    shows(op, "/v2/publish/https:/[::1]:80/x", "/v2/publish/https:/[::1]:80/***");
    shows(
        op,
        "/v2/publish/https://example.com/x?key=s3cret&label=s3cret",
        "/v2/publish/https://example.com/***?key=***&label=***",
    );
    shows(op, "/v2/publish/https%3A%2F%2Fexample.com%2Fs3cret", "/v2/publish/***");
    shows(op, "/v2/publish/https://u:1\\@example.com/s3cret", "/v2/publish/***");
    shows(op, "/v2/publish/https://u:1/2@example.com/s3cret", "/v2/publish/***");
    shows(op, "/v2/publish/my-topic", "/v2/publish/my-topic");
    shows(op, "/v2/publish/my-topic/s3cret", "/v2/publish/my-topic/***");
    shows(op, "/v2/publish/u:pw@example.com", "/v2/publish/***");
    shows(op, "/v2/x/..%2Fpublish/u:pw@example.com", "/v2/x/***/***");
    shows(
        O::MessagesEnqueue,
        "/v2/enqueue/q/https://example.com/x",
        "/v2/enqueue/q/https://example.com/***",
    );
    shows(
        O::SchedulesCreate,
        "/v2/schedules/https://example.com/x",
        "/v2/schedules/https://example.com/***",
    );
    shows(
        O::WorkflowsTrigger,
        "/v2/trigger/https://example.com/x",
        "/v2/trigger/https://example.com/***",
    );
}

#[test]
fn other_paths_stay_unless_they_hold_a_url() {
    shows(O::Unknown, "/v2/%6dessages/..;x", "/v2/%6dessages/..;x");
    shows(
        O::Unknown,
        "/v2/publish/https://u:pw@example.com/s3cret",
        "/v2/publish/https://example.com/***",
    );
    shows(
        O::Unknown,
        "/x/ftp://u:pw@example.com/s3cret",
        "/x/ftp://example.com/***",
    );
    shows(O::Unknown, "/x/u:pw@example.com/y", "/x/example.com/y");
    shows(O::QueuesGet, "/v2/queues/a@b", "/v2/queues/a@b");
}

#[test]
fn long_strings_are_cut_at_a_character() {
    assert_eq!(cut("short"), "short");
    let long = "é".repeat(1024);
    assert_eq!(cut(&long), format!("{}…(2048 bytes)", "é".repeat(512)));
    let odd = format!("x{}", "é".repeat(1024));
    assert_eq!(cut(&odd), format!("x{}…(2049 bytes)", "é".repeat(511)));
}

/// A text with every so many characters percent-encoded, perhaps twice.
fn encoded(text: &str, every: usize, twice: bool) -> String {
    let escape = if twice { "%25" } else { "%" };
    let encode = |(at, c): (usize, char)| match at % every {
        0 => format!("{escape}{:02X}", u32::from(c)),
        _ => c.to_string(),
    };
    text.chars().enumerate().map(encode).collect()
}

proptest! {
    #[test]
    fn no_credential_is_ever_shown(
        secret in "[A-Za-z0-9]{8}[A-Za-z0-9/]{0,3}[A-Za-z0-9]{13,40}={0,2}",
        place in 0usize..16,
        operation in prop::sample::select(O::ALL),
        every in 1usize..12,
        twice: bool,
        noise in "[a-z0-9%;@:/\\\\.,+]{0,6}",
    ) {
        let token = encoded("qstash_token", every, twice);
        let raw = match place {
            0 => format!("/v2/messages?{token}={secret}"),
            1 => format!("/v2/messages?count={noise}&{token}={secret}&label=x"),
            2 => format!("/v2/messages?count=5;{token}={secret}"),
            3 => format!("/v2/publish/https://{secret}@example.com/{noise}"),
            4 => format!("/v2/publish/https://user:{secret}@example.com/{noise}"),
            5 => format!("/v2/publish/https://example.com/{noise}/x/{secret}?a={secret}"),
            6 => format!("/v2/messages?url=https://user:{secret}@example.com/{noise}"),
            7 => format!("/v2/messages?url={}", encoded(&format!("https://user:{secret}@example.com"), every, twice)),
            8 => format!("/v2/publish/{}", encoded(&format!("https://user:{secret}@example.com"), every, twice)),
            9 => format!("/v2/messages?{secret}"),
            10 => format!("/v2/messages?{noise}={secret}"),
            11 => format!("/v2/messages%26{token}={secret}"),
            12 => format!("/v2/publish/https://example.com/x?{token}={secret}"),
            13 => format!("/v2/messages?url=https://example.com/x%3F{token}%3D{secret}"),
            14 => format!("/v2/messages?label=x&{noise}{token}={secret}"),
            _ => format!("/v2/trigger/ftp://user:{secret}@example.com/{noise}"),
        };
        let shown = target(&raw, operation);
        // A part of it is too much as well.
        for part in secret.trim_end_matches('=').as_bytes().windows(6) {
            let part = String::from_utf8_lossy(part);
            prop_assert!(!shown.contains(&*part), "{} shows {} of {}", shown, part, raw);
        }
    }

    #[test]
    fn any_text_is_taken(raw in "\\PC{0,40}", path in "[/%;?=&@:a-f0-9.\\\\é]{0,60}", name in "[a-z]{0,12}") {
        for text in [&raw, &path] {
            for operation in O::ALL {
                target(text, *operation);
            }
            value(&name, text);
            value("url", text);
        }
    }
}
