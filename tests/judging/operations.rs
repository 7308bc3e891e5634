//! The catalogue of operations: method and path, and the name that policies use.

use std::collections::BTreeSet;

use qstash_guard::policy::{Operations, OperationsFault, Policy, Treatment};
use qstash_guard::qstash::operation::{Operation, Verb};
use qstash_guard::qstash::target::Target;

use super::{Sent, lines, named_and_said, table, treating};

/// Every operation that QStash's references and Upstash's clients name.
const CATALOGUE: &[(&str, &str)] = &[
    ("POST /v2/publish/https://example.com", "messages.publish"),
    ("POST /v2/publish/my-url-group", "messages.publish"),
    ("POST /v2/enqueue/queue/https://example.com", "messages.enqueue"),
    ("POST /v2/batch", "messages.batch"),
    ("GET /v2/messages/msg_1", "messages.get"),
    ("POST /v2/messages/msg_1/retry", "messages.retry"),
    ("DELETE /v2/messages/msg_1", "messages.cancel"),
    ("DELETE /v2/messages", "messages.bulk_cancel"),
    ("GET /v2/bulkActions", "bulk_actions.list"),
    ("GET /v2/bulkActions/a", "bulk_actions.get"),
    ("GET /v2/workflows/bulkActions", "bulk_actions.list"),
    ("GET /v2/workflows/bulkActions/a", "bulk_actions.get"),
    ("GET /v2/queues", "queues.list"),
    ("GET /v2/queues/q", "queues.get"),
    ("POST /v2/queues", "queues.upsert"),
    ("DELETE /v2/queues/q", "queues.delete"),
    ("POST /v2/queues/q/pause", "queues.pause"),
    ("POST /v2/queues/q/resume", "queues.resume"),
    ("POST /v2/schedules/https://example.com", "schedules.create"),
    ("POST /v2/schedules/my-url-group", "schedules.create"),
    ("GET /v2/schedules", "schedules.list"),
    ("GET /v2/schedules/s", "schedules.get"),
    ("DELETE /v2/schedules/s", "schedules.delete"),
    ("POST /v2/schedules/s/pause", "schedules.pause"),
    ("PATCH /v2/schedules/s/pause", "schedules.pause"),
    ("POST /v2/schedules/s/resume", "schedules.resume"),
    ("PATCH /v2/schedules/s/resume", "schedules.resume"),
    ("GET /v2/topics", "url_groups.list"),
    ("GET /v2/topics/g", "url_groups.get"),
    ("DELETE /v2/topics/g", "url_groups.delete"),
    ("POST /v2/topics/g/endpoints", "url_groups.upsert_endpoints"),
    ("DELETE /v2/topics/g/endpoints", "url_groups.remove_endpoints"),
    ("GET /v2/dlq", "dlq.list"),
    ("GET /v2/dlq/d", "dlq.get"),
    ("DELETE /v2/dlq/d", "dlq.delete"),
    ("DELETE /v2/dlq", "dlq.bulk_delete"),
    ("DELETE /v2/dlq/", "dlq.bulk_delete"),
    ("POST /v2/dlq/retry/d", "dlq.retry"),
    ("POST /v2/dlq/retry", "dlq.bulk_retry"),
    ("GET /v2/flowControl", "flow_control.list"),
    ("GET /v2/flowControl/k", "flow_control.get"),
    ("GET /v2/globalParallelism", "flow_control.get"),
    ("POST /v2/flowControl/k/pause", "flow_control.pause"),
    ("POST /v2/flowControl/k/resume", "flow_control.resume"),
    ("POST /v2/flowControl/k/pin", "flow_control.pin"),
    ("POST /v2/flowControl/k/unpin", "flow_control.unpin"),
    ("POST /v2/flowControl/k/reset", "flow_control.reset"),
    ("POST /v2/flowControl/k/resetRate", "flow_control.reset"),
    ("GET /v2/keys", "keys.get"),
    ("POST /v2/keys/rotate", "keys.rotate"),
    ("GET /v2/logs", "logs.list"),
    ("GET /v2/events", "logs.list"),
    ("POST /v2/trigger/https://example.com", "workflows.trigger"),
    ("POST /v2/batch/trigger", "workflows.batch"),
    ("GET /v2/workflows/runs/r", "workflows.get"),
    ("DELETE /v2/workflows/runs/r", "workflows.cancel"),
    ("DELETE /v2/workflows/runs", "workflows.bulk_cancel"),
    ("GET /v2/workflows/logs", "workflows.logs"),
    ("GET /v2/workflows/events", "workflows.logs"),
    ("POST /v2/notify/e", "workflows.notify"),
    ("POST /v2/notify/r/e", "workflows.notify"),
    ("GET /v2/waiters/e", "workflows.waiters"),
    ("GET /v2/workflows/dlq", "workflows.dlq.list"),
    ("GET /v2/workflows/dlq/d", "workflows.dlq.get"),
    ("DELETE /v2/workflows/dlq/d", "workflows.dlq.delete"),
    ("DELETE /v2/workflows/dlq", "workflows.dlq.bulk_delete"),
    ("POST /v2/workflows/dlq/resume/d", "workflows.dlq.resume"),
    ("POST /v2/workflows/dlq/restart/d", "workflows.dlq.restart"),
    ("POST /v2/workflows/dlq/resume", "workflows.dlq.bulk_resume"),
    ("POST /v2/workflows/dlq/restart", "workflows.dlq.bulk_restart"),
    ("POST /llm/v1/chat/completions", "llm.chat"),
    ("GET /v2/messages", "unknown"),
    ("POST /v2/messages", "unknown"),
    ("PATCH /v2/topics/g", "unknown"),
    ("POST /v2/wait/e", "unknown"),
    ("POST /v2/workflows/dlq/callback/d", "unknown"),
    ("DELETE /v2/workflows/dlq/callback/d", "unknown"),
    ("DELETE /v2/messages/a/b", "unknown"),
    ("DELETE /v2/messages.", "unknown"),
    ("DELETE /v2/messagesx", "unknown"),
    ("DELETE /v2/message", "unknown"),
    ("DELETE /messages", "unknown"),
    ("DELETE /v/messages", "unknown"),
    ("DELETE /v2x/messages", "unknown"),
    ("GET /llm/v1/chat/completions", "unknown"),
    ("GET /v2", "unknown"),
    ("GET /", "unknown"),
    ("OPTIONS *", "unknown"),
];

#[test]
fn every_operation_has_its_name() {
    table(CATALOGUE.iter().map(|&(line, name)| (Sent::line(line), name)), |sent| {
        let (method, path) = sent.line.split_once(' ').unwrap();
        Target::read(path.as_bytes()).operation(Verb::read(method)).to_string()
    });
    let named: BTreeSet<&str> = CATALOGUE.iter().map(|&(_, name)| name).collect();
    let all: BTreeSet<&str> = Operation::ALL.iter().map(|operation| operation.as_str()).collect();
    assert_eq!(named, all, "the table names every operation");
}

#[test]
fn names_lead_back_to_operations() {
    for (index, &operation) in Operation::ALL.iter().enumerate() {
        assert_eq!(operation.index(), index);
        assert_eq!(Operation::from_name(operation.as_str()), Some(operation));
    }
    assert_eq!(Operation::from_name("messages.Cancel"), None);
    assert_eq!(Operation::from_name("messages.*"), None);
}

/// Any version, any letter case, slashes doubled or trailing, plain characters encoded: the same operation.
#[test]
fn spellings_of_a_name_are_one_operation() {
    for &(line, name) in CATALOGUE.iter().filter(|(line, _)| !line.contains("https:")) {
        let (method, path) = line.split_once(' ').unwrap();
        let encoded = path
            .replacen('s', "%73", 1)
            .replacen('e', "%65", 1)
            .replacen('l', "%6C", 1);
        for spelled in [
            path.to_uppercase(),
            path.replace('/', "//"),
            format!("{path}/"),
            format!("{path}//"),
            format!("/{path}"),
            path.replacen("/v2", "/v3", 1),
            path.replacen("/v2", "/V17", 1),
            encoded,
        ] {
            for method in [method.to_owned(), method.to_lowercase()] {
                let target = Target::read(spelled.as_bytes());
                assert_eq!(
                    target.operation(Verb::read(&method)).as_str(),
                    name,
                    "{method} {spelled}"
                );
                assert_eq!(target.oddity(), None, "{spelled} is not odd");
            }
        }
    }
}

/// By default everything but the bulk cancel passes, what has no name too.
#[test]
fn by_default_only_the_bulk_cancel_is_guarded() {
    let policy = Policy::default();
    let mut passed = 0;
    for &(line, name) in CATALOGUE {
        let judgement = Sent::line(line).judged(&policy);
        if name == "messages.bulk_cancel" {
            assert!(judgement.reading.is_some());
            continue;
        }
        assert_eq!(named_and_said(&judgement), format!("{name}: allow"), "{line}");
        assert!(judgement.reading.is_none(), "{line} is not read");
        passed += 1;
    }
    assert_eq!(passed, CATALOGUE.len() - 1);
}

#[test]
fn a_method_is_one_whatever_its_case() {
    lines(&[
        (
            "delete /v2/messages",
            "messages.bulk_cancel: unfiltered_cancel uncapped_cancel",
        ),
        (
            "Delete /v2/messages",
            "messages.bulk_cancel: unfiltered_cancel uncapped_cancel",
        ),
        ("dElEtE /v2/messages/id", "messages.cancel: allow"),
        ("DELET /v2/messages", "unknown: allow"),
        ("DELETED /v2/messages", "unknown: allow"),
    ]);
}

use Treatment::{Allow, Deny, Guard};

type Entry = (&'static str, Treatment);

#[test]
fn an_exact_name_beats_a_glob_and_a_longer_glob_a_shorter_one() {
    let cases: &[(&[Entry], &str, Treatment)] = &[
        (&[], "messages.bulk_cancel", Guard),
        (&[], "unknown", Allow),
        (&[("*", Deny)], "messages.publish", Deny),
        (&[("*", Deny)], "messages.bulk_cancel", Deny),
        (&[("*", Deny)], "unknown", Deny),
        (&[("*", Deny), ("messages.*", Allow)], "messages.publish", Allow),
        (&[("messages.*", Allow), ("*", Deny)], "messages.publish", Allow),
        (&[("messages.*", Allow), ("*", Deny)], "queues.get", Deny),
        (
            &[("messages.*", Deny), ("messages.publish", Allow)],
            "messages.publish",
            Allow,
        ),
        (
            &[("messages.publish", Allow), ("messages.*", Deny)],
            "messages.publish",
            Allow,
        ),
        (
            &[("messages.publish", Allow), ("messages.*", Deny)],
            "messages.cancel",
            Deny,
        ),
        (&[("*.list", Allow), ("dlq.*", Deny)], "dlq.list", Allow),
        (&[("*.get", Allow), ("keys*", Deny)], "keys.get", Deny),
        (&[("keys*", Deny), ("*.get", Allow)], "keys.get", Deny),
        (
            &[("workflows.*", Deny), ("workflows.dlq.*", Allow)],
            "workflows.dlq.list",
            Allow,
        ),
        (
            &[("workflows.*", Deny), ("workflows.dlq.*", Allow)],
            "workflows.get",
            Deny,
        ),
        (&[("*bulk*", Deny)], "workflows.dlq.bulk_delete", Deny),
        (&[("*bulk*", Deny)], "workflows.dlq.delete", Allow),
        (
            &[("*.bulk_*", Deny), ("dlq.bulk_delete", Allow)],
            "dlq.bulk_delete",
            Allow,
        ),
        // A glob that allows does not lift the guard; the operation's own name does.
        (&[("*", Allow)], "messages.bulk_cancel", Guard),
        (&[("messages.*", Allow)], "messages.bulk_cancel", Guard),
        (&[("*", Deny), ("messages.*", Allow)], "messages.bulk_cancel", Guard),
        (&[("messages.bulk_cancel", Allow)], "messages.bulk_cancel", Allow),
        (&[("messages.bulk_cancel", Deny)], "messages.bulk_cancel", Deny),
        (
            &[("messages.*", Deny), ("messages.bulk_cancel", Guard)],
            "messages.bulk_cancel",
            Guard,
        ),
        (
            &[("messages.bulk_cancel", Allow), ("messages.bulk_cancel", Deny)],
            "messages.bulk_cancel",
            Deny,
        ),
        (
            &[("messages.bulk_cancel", Deny), ("messages.bulk_cancel", Allow)],
            "messages.bulk_cancel",
            Deny,
        ),
    ];
    for (entries, name, expected) in cases {
        let operations = Operations::compile(entries).unwrap();
        assert_eq!(
            operations.of(Operation::from_name(name).unwrap()),
            *expected,
            "{name} under {entries:?}"
        );
    }
}

#[test]
fn entries_that_name_nothing_are_faults() {
    let entries = [
        ("messages.publish", Deny),
        ("mesages.publish", Deny),
        ("nothing.*", Allow),
        ("Messages.*", Deny),
    ];
    let faults = Operations::compile(&entries).unwrap_err();
    let unknown = [1, 2, 3].map(|index| (index, OperationsFault::Unknown));
    assert_eq!(faults, unknown);
    assert_eq!(
        Operations::compile(&[("keys.get", Guard)]),
        Err(vec![(0, OperationsFault::NotGuardable(Operation::KeysGet))])
    );
}

#[test]
fn a_denied_operation_is_denied_however_it_is_spelled() {
    let policy = treating(&[("queues.delete", Deny), ("keys.*", Deny)]);
    let rows = [
        ("DELETE /v2/queues/q", "queues.delete: operation_denied"),
        ("delete //V2/Queues//q/", "queues.delete: operation_denied"),
        ("DELETE /v2/%71ueues/q", "queues.delete: operation_denied"),
        ("DELETE /v2/./queues/q", "queues.delete: ambiguous_request"),
        ("DELETE /v2/x%5c../../queues/q", "unknown: ambiguous_request"),
        ("DELETE /v2/%252e%252e/../queues/q", "unknown: ambiguous_request"),
        ("DELETE /v2/queues/a%20b", "queues.delete: ambiguous_request"),
        // Of any method, since it takes little to make one of another.
        ("GET /v2/queues/a%2Fb", "unknown: ambiguous_request"),
        ("GET /v2/queues/q", "queues.get: allow"),
        ("GET /v2/queues", "queues.list: allow"),
        ("GET /v2/keys", "keys.get: operation_denied"),
        ("GET /v2/%256beys", "keys.get: ambiguous_request"),
        ("GET /v2/\u{212a}eys", "keys.get: operation_denied"),
        (
            "POST /v2/publish/https://example.com/../a%20b",
            "messages.publish: allow",
        ),
        (
            "POST /v2/publish/https://example.com/v2/keys",
            "messages.publish: allow",
        ),
    ];
    table(rows.map(|(line, expected)| (Sent::line(line), expected)), |sent| {
        named_and_said(&sent.judged(&policy))
    });
}
