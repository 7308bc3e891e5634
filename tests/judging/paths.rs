//! Spellings of `/v2/messages`, and of what is none.

use qstash_guard::policy::{Mode, Policy, Treatment};

use super::{Sent, lines, named_and_said, said, table, treating};

const ALL: &str = "messages.bulk_cancel: unfiltered_cancel uncapped_cancel";

/// Plain spellings: judged as what they are, with nothing to complain of.
#[test]
fn spellings_of_the_bulk_cancel() {
    for path in [
        "/v2/messages",
        "/v2/messages/",
        "/v2/messages//",
        "//v2/messages",
        "/v2//messages///",
        "/V2/Messages",
        "/v2/MESSAGES/",
        "/v1/messages",
        "/v10/messages",
        "/v2/%6dessages",
        "/v2/%6Dessages/",
        "/%76%32/%6d%65%73%73%61%67%65%73",
        "v2/messages",
        "/v2/me\u{17f}\u{17f}ages",
        "/v2/me%C5%BF%c5%bfages",
    ] {
        lines(&[(&format!("DELETE {path}"), ALL)]);
        lines(&[(&format!("DELETE {path}?label=a&count=1"), "messages.bulk_cancel: allow")]);
    }
}

/// Odd spellings that reach it under some reading: refused, whatever they select.
#[test]
fn odd_spellings_are_ambiguous() {
    for path in [
        // Dot segments, plain and encoded.
        "/v2/./messages",
        "/./v2/messages",
        "/v2/messages/.",
        "/v2/messages/x/..",
        "/v2/x/../messages",
        "/../v2/messages",
        "/v2/%2e/messages",
        "/v2/messages/%2E",
        "/v2/messages/x/%2e%2e",
        "/v2/messages/x/.%2e",
        "/v2/messages/..",
        "/v2/messages/../messages",
        "/v2//../messages",
        "/v2/a//../messages",
        // Path parameters.
        "/v2/messages;x",
        "/v2/messages;",
        "/v2;x=1/messages",
        "/v2/messages/;x",
        "/v2/messages%3bx",
        "/v2/messages/x/..;/",
        "/;a/v2/messages",
        // Backslashes.
        "/v2\\messages",
        "/v2/messages\\",
        "/v2%5Cmessages",
        "/v2/messages/x%5c..",
        "\\v2\\messages",
        // Encoded delimiters.
        "/v2%2fmessages",
        "/v2/messages%2F",
        "/v2/messages%3F",
        "/v2/messages/%3fx",
        "/v2/messages%23",
        "/v2/messages/%23x",
        "/v2/messages#x",
        "/v2/messages/#",
        // Two layers of encoding.
        "/v2/%256dessages",
        "/v2/messages%252f",
        "/v2/messages/%252e%252e/messages",
        "/v2/%25256dessages",
        // Malformed escapes.
        "/v2/messages%",
        "/v2/messages%2",
        "/v2/messages%zz",
        "/v2/messages/%",
        "/v2/%25%36%64essages",
        // White space and control characters, those of Unicode too.
        "/v2/messages%20",
        "/v2/messages ",
        "/v2/messages/%20",
        "/v2/messages/%09",
        "/v2/messages/\t",
        "/v2/messages%00",
        "/v2/messages/%00",
        "/v2/messages/%7f",
        "/v2/messages/%C2%A0",
        "/v2/messages/\u{a0}",
        "/v2/messages/%E3%80%80",
        "/v2/messages/%C2%85",
        "/v2/messages/%A0",
        "/v2/mess%09ages",
        "/v2/%20messages",
        // Anything but a letter, digit, `-`, `_`, `.` or `/` right behind it.
        "/v2/messages+",
        "/v2/messages,",
        "/v2/messages*",
        "/v2/messages:x",
        "/v2/messages%21",
        "/v2/messages@",
        "/v2/messages%C3%A9",
        "/v2/messages\u{e9}",
        "/v2/messages~",
        "//V3//Messages!",
        // An empty segment with more behind it.
        "/v2/messages//id",
        "/v2/messages///id/",
        "/v2//messages//id",
        "/v2/%6dessages//id",
        // Steps that only together, and in one order alone, lead to it.
        "/v2/x%5c../../messages",
        "/v2/..;/../messages",
        "/v2/%2e%2e/../messages",
        "/v2/%252e%252e/../messages",
        "/v2/%25252e%25252e/../messages",
        "/v2/x%2f../../%6dessages",
        "/v2/a%2fb/../messages",
        "//v2/x//%252f..%252f..%252fmessages",
        "/v2/%6dessages;%2f..%2f..%2fx",
        "/v2/%6dessages;%252f..%252f..%252fx",
        "/v2/%6dessages%3fx/../../y",
        "/v2/x/../%6dessages%3f/../..",
    ] {
        let policy = Policy::default();
        for query in ["", "?label=a&count=1", "?messageIds=a"] {
            let line = format!("DELETE {path}{query}");
            assert_eq!(said(&Sent::line(&line).judged(&policy)), "ambiguous_request", "{line}");
        }
    }
}

/// With DELETE anything under `/v{n}/messages` has to be plain, an id too.
#[test]
fn single_cancels() {
    lines(&[
        ("DELETE /v2/messages/msg_1", "messages.cancel: allow"),
        ("DELETE /v2/messages/msg_1/", "messages.cancel: allow"),
        ("DELETE //v2//messages/msg_1", "messages.cancel: allow"),
        ("DELETE /v2/messages/msg%5F1", "messages.cancel: allow"),
        ("DELETE /v2/messages/a.b", "messages.cancel: allow"),
        ("DELETE /v2/messages/...", "messages.cancel: allow"),
        ("DELETE /v2/messages/.a", "messages.cancel: allow"),
        ("DELETE /v2/messages/messages", "messages.cancel: allow"),
        ("DELETE /v2/messages/undefined", "messages.cancel: allow"),
        ("DELETE /v2/messages/%C3%A9", "messages.cancel: allow"),
        ("DELETE /v2/messages/id?label=a", "messages.cancel: allow"),
        ("DELETE /v2/messages/a%20b", "messages.cancel: ambiguous_request"),
        ("DELETE /v2/messages/a;b", "messages.cancel: ambiguous_request"),
        ("DELETE /v2/messages/a%2Fb", "unknown: ambiguous_request"),
        ("DELETE /v2/messages/%2e%2e%2fid", "unknown: ambiguous_request"),
        ("DELETE /v2/messages/a%25b", "messages.cancel: ambiguous_request"),
        ("DELETE /v2/messages/a/../b", "messages.cancel: ambiguous_request"),
        ("DELETE /v2/messages/a/b;c", "unknown: ambiguous_request"),
    ]);
}

/// Methods that read are refused only where the path leads to the bulk cancel itself.
#[test]
fn other_methods() {
    lines(&[
        ("GET /v2/messages", "unknown: allow"),
        ("POST /v2/messages/", "unknown: allow"),
        ("GET /v2/messages/a%20b", "messages.get: allow"),
        ("GET /v2/messages%20", "unknown: ambiguous_request"),
        ("GET /v2/messages+", "unknown: allow"),
        ("GET /v2/messages//id", "messages.get: allow"),
        ("GET /v2/./messages", "unknown: ambiguous_request"),
        ("POST /v2/messages;x", "unknown: ambiguous_request"),
        ("PUT /v2/%256dessages", "unknown: ambiguous_request"),
        ("POST /v2/x%5c../../messages", "unknown: ambiguous_request"),
        ("GET /v2/messages/..%2f..%2fv2/messages", "unknown: ambiguous_request"),
    ]);
}

/// A method-override header counts wherever the path leads to something guarded or under `/v{n}/messages`.
#[test]
fn overridden_methods() {
    let rows = [
        ("POST /v2/messages", "unknown: ambiguous_request"),
        ("GET /v2/messages", "unknown: ambiguous_request"),
        (
            "DELETE /v2/messages?messageIds=a",
            "messages.bulk_cancel: ambiguous_request",
        ),
        ("GET /V2//%6dessages/", "unknown: ambiguous_request"),
        ("POST /v2/messages/id", "unknown: ambiguous_request"),
        ("GET /v2/messages/id", "messages.get: ambiguous_request"),
        ("DELETE /v2/messages/id", "messages.cancel: ambiguous_request"),
        ("POST /v2/messages;%2f..%2f..%2fx", "unknown: ambiguous_request"),
        (
            "POST /v2/publish/https://example.com/v2/messages",
            "messages.publish: allow",
        ),
        ("POST /v2/publish/https://example.com/a%20b", "messages.publish: allow"),
        ("POST /v2/queues", "queues.upsert: allow"),
        ("GET /v2/dlq", "dlq.list: allow"),
    ];
    let overridden = |line| Sent {
        overridden: true,
        ..Sent::line(line)
    };
    let policy = Policy::default();
    table(rows.map(|(line, expected)| (overridden(line), expected)), |sent| {
        named_and_said(&sent.judged(&policy))
    });
    let policy = treating(&[("dlq.bulk_delete", Treatment::Deny)]);
    assert_eq!(said(&overridden("GET /v2/dlq").judged(&policy)), "ambiguous_request");
}

/// Destinations are part of the path and may hold anything.
#[test]
fn publish_paths_pass() {
    for destination in [
        "https://example.com/a//b/?x=1",
        "https://example.com/v2/messages",
        "https://example.com//v2//messages/",
        "https://example.com/a/../b/./c",
        "https://example.com/..;/x;y=1",
        "https://example.com/%2F%3F%23%25%20%zz%",
        "https://example.com/%252e%252e/v2/messages",
        "https://example.com/../v2/messages",
        "https://example.com/v2/messages;x/%20",
        "https://example.com\\v2\\messages",
        "https://example.com/\u{fc}/%C3%BC/%C2%A0",
        "https://u:p@example.com:8443/z/",
        "http://localhost:3000/api?q=https://example.com/v2/messages",
        "my-url-group",
    ] {
        for (lead, operation) in [
            ("POST /v2/publish/", "messages.publish"),
            ("POST /v2/enqueue/queue/", "messages.enqueue"),
            ("POST /v2/schedules/", "schedules.create"),
            ("POST /v2/trigger/", "workflows.trigger"),
        ] {
            lines(&[(&format!("{lead}{destination}"), &format!("{operation}: allow"))]);
        }
    }
    // But one that is read as leaving the destination is a path like any other.
    lines(&[
        (
            "POST /v2/publish/https://example.com/../../../../v2/messages",
            "unknown: ambiguous_request",
        ),
        ("POST /v2/publish/..%2fmessages", "unknown: ambiguous_request"),
        (
            "DELETE /v2/publish/../messages",
            "messages.bulk_cancel: ambiguous_request",
        ),
    ]);
}

/// Odd, but nowhere near a guarded path.
#[test]
fn oddity_alone_is_no_fault() {
    lines(&[
        ("DELETE /v2/queues/my%20queue", "queues.delete: allow"),
        ("DELETE /v2/queues/a%2Fb", "unknown: allow"),
        ("DELETE /v2/topics/a%2Fv2%2Fmessages", "unknown: allow"),
        ("DELETE /v2/queues/messages%20", "queues.delete: allow"),
        ("GET /v2/flowControl/a;b", "flow_control.get: allow"),
        ("DELETE /v2/schedules/%", "schedules.delete: allow"),
        ("GET /a/../b", "unknown: allow"),
    ]);
}

/// What is too twisted to be followed to its end counts as reaching everything.
#[test]
fn twisted_paths_are_refused_in_little_time() {
    let policy = Policy::default();
    let nested = format!("DELETE /v2/%{}6dessages", "25".repeat(20_000));
    let dotted = format!("DELETE /{}", "x;y%255c%252f../%253f..;%2e/".repeat(20_000));
    let twisted = format!("POST /v2/publish/https://example.com/%{}41", "25".repeat(600));
    for line in [&nested, &dotted, &twisted] {
        assert_eq!(
            said(&Sent::line(line).judged(&policy)),
            "ambiguous_request",
            "{}",
            &line[..40]
        );
    }
}

#[test]
fn monitor_mode_records_and_lets_through() {
    let policy = Policy {
        mode: Mode::Monitor,
        ..treating(&[("keys.get", Treatment::Deny)])
    };
    let rows = [
        (
            "DELETE /v2/messages",
            "messages.bulk_cancel: would unfiltered_cancel uncapped_cancel",
        ),
        (
            "DELETE /v2/messages;x",
            "messages.bulk_cancel: would ambiguous_request unfiltered_cancel uncapped_cancel",
        ),
        (
            "DELETE /v2/messages;x?messageIds=a",
            "messages.bulk_cancel: would ambiguous_request",
        ),
        ("DELETE /v2/messages?messageIds=a", "messages.bulk_cancel: allow"),
        ("DELETE /v2/messages/%20", "messages.cancel: would ambiguous_request"),
        ("GET /v2/keys", "keys.get: would operation_denied"),
        (
            "POST /v2/publish/https://qstash.upstash.io/v2",
            "messages.publish: would destination_is_qstash",
        ),
        ("GET /v2/logs", "logs.list: allow"),
    ];
    table(rows.map(|(line, expected)| (Sent::line(line), expected)), |sent| {
        named_and_said(&sent.judged(&policy))
    });
}
