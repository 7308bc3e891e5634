//! The same requests for other bulk operations: each fragment has its counterpart there.

use super::case::Case;
use super::server::{Api, DLQ, RUNS};

/// The request with the names of the DLQ.
pub(crate) fn of_dlq(case: Case) -> Case {
    let path = [
        ("message%73", "dl%71"),
        ("%6dessages", "%64lq"),
        ("%256dessages", "%2564lq"),
        ("%25%36%64essages", "%25%36%34lq"),
        ("me%2573sages", "d%256cq"),
        ("m%65ssages", "d%6cq"),
        ("mess%09ages", "d%09lq"),
        ("Messages", "Dlq"),
        ("MESSAGES", "DLQ"),
        ("messages", "dlq"),
    ];
    let parameters = [
        ("messageIds", "dlqIds"),
        ("message%49ds", "dlq%49ds"),
        ("message\\u0049ds", "dlq\\u0049ds"),
        ("MessageIds", "DlqIds"),
        ("me\u{17f}sageIds", "dlqId\u{17f}"),
        ("host=", "messageId="),
        ("path=", "queueName="),
    ];
    translated(case, &DLQ, &path, &parameters)
}

/// The request with the names of workflow runs.
pub(crate) fn of_runs(case: Case) -> Case {
    let path = [
        ("message%73", "workflows/run%73"),
        ("%6dessages", "workflows/%72uns"),
        ("%256dessages", "workflows/%2572uns"),
        ("%25%36%64essages", "workflows/%25%37%32uns"),
        ("me%2573sages", "workflows/r%2575ns"),
        ("m%65ssages", "workflows/r%75ns"),
        ("mess%09ages", "workflows/r%09uns"),
        ("me\u{17f}sages", "workflow\u{17f}/runs"),
        ("me%c5%bf%c5%bfages", "workflow%c5%bf/runs"),
        ("Messages", "Workflows/Runs"),
        ("MESSAGES", "WORKFLOWS//RUNS"),
        ("messages", "workflows/runs"),
    ];
    let parameters = [
        ("messageIds", "workflowRunIds"),
        ("message%49ds", "workflowRun%49ds"),
        ("message\\u0049ds", "workflowRun\\u0049ds"),
        ("MessageIds", "WorkflowRunIds"),
        ("me\u{17f}sageIds", "workflowRunId\u{17f}"),
        (
            "url=https%3A%2F%2Fexample.com",
            "workflowUrl=https%3A%2F%2Fexample.com%2Fa,https%3A%2F%2Fb%2F",
        ),
        (
            "\"url\":\"https://example.com\"",
            "\"workflowUrl\":\"https://example.com/a\"",
        ),
        ("queueName", "flowControlKey"),
        ("topicName", "label"),
        ("scheduleId", "workflowUrl=https://example.com/a&host"),
        ("callerIP", "callerIp"),
        ("api=llm", "workflowUrl=https://example.com/"),
        (
            "urlGroup=g",
            "workflowUrl=https://example.com&workflowUrlExactMatch=false",
        ),
    ];
    translated(case, &RUNS, &path, &parameters)
}

fn translated(case: Case, api: &'static Api, path: &[(&str, &str)], parameters: &[(&str, &str)]) -> Case {
    Case {
        api,
        path: replaced(&case.path, path),
        query: case.query.map(|query| replaced(&query, parameters)),
        body: replaced(&case.body, parameters),
        ..case
    }
}

fn replaced(bytes: &[u8], pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, behind)) = rest.split_first() {
        if let Some((from, to)) = pairs.iter().find(|(from, _)| rest.starts_with(from.as_bytes())) {
            out.extend_from_slice(to.as_bytes());
            rest = &rest[from.len()..];
        } else {
            out.push(*first);
            rest = behind;
        }
    }
    out
}
