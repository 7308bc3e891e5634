//! The requests of the demo, and what each should meet.

/// One request.
pub(super) struct Step {
    /// What whoever sent it had in mind.
    pub(super) story: &'static str,
    pub(super) method: &'static str,
    pub(super) target: &'static str,
    pub(super) body: &'static str,
    /// Where its token is.
    pub(super) token: TokenIn,
    pub(super) expected: Expected,
}

/// Where a step shows its token.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum TokenIn {
    Header,
    Query,
}

/// What a step should meet.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Expected {
    /// QStash's answer, with this status.
    Passes(u16),
    /// The guard's refusal with this code; QStash must get nothing.
    Refused(&'static str),
    /// The guard's refusal with this code, after a few more of the same passed.
    RefusedInTheEnd(&'static str),
}

const fn step(story: &'static str, method: &'static str, target: &'static str, expected: Expected) -> Step {
    Step {
        story,
        method,
        target,
        body: "",
        token: TokenIn::Header,
        expected,
    }
}

pub(super) const STEPS: &[Step] = &[
    Step {
        body: r#"{"hello":"world"}"#,
        ..step(
            "publish a message",
            "POST",
            "/v2/publish/https://example.com/hook",
            Expected::Passes(200),
        )
    },
    step(
        "cancel all",
        "DELETE",
        "/v2/messages",
        Expected::Refused("unfiltered_cancel"),
    ),
    Step {
        body: r#"{"messageIds":[]}"#,
        ..step(
            "cancel a list of ids that came out empty",
            "DELETE",
            "/v2/messages",
            Expected::Refused("unfiltered_cancel"),
        )
    },
    step(
        "cancel one message, its id an empty string",
        "DELETE",
        "/v2/messages/",
        Expected::Refused("unfiltered_cancel"),
    ),
    step(
        "misspell a filter",
        "DELETE",
        "/v2/messages?lable=label-1&count=10",
        Expected::Refused("unknown_parameter"),
    ),
    step(
        "filter by a date that matches all",
        "DELETE",
        "/v2/messages?fromDate=0&count=10",
        Expected::Refused("unfiltered_cancel"),
    ),
    step(
        "forget the cap",
        "DELETE",
        "/v2/messages?label=label-1",
        Expected::Refused("uncapped_cancel"),
    ),
    step(
        "ask for too many",
        "DELETE",
        "/v2/messages?label=label-1&count=5000",
        Expected::Refused("count_over_cap"),
    ),
    step(
        "write a pair that some servers drop",
        "DELETE",
        "/v2/messages?label=label-1;x&count=10",
        Expected::Refused("ambiguous_request"),
    ),
    step(
        "hide the path behind dots",
        "DELETE",
        "/v2/messages/%2e%2e/messages",
        Expected::Refused("ambiguous_request"),
    ),
    step(
        "make QStash cancel by itself",
        "POST",
        "/v2/publish/https://qstash.upstash.io/v2/messages",
        Expected::Refused("destination_is_qstash"),
    ),
    step(
        "cancel by label, capped",
        "DELETE",
        "/v2/messages?label=label-1&count=3",
        Expected::Passes(200),
    ),
    step(
        "cancel two by id",
        "DELETE",
        "/v2/messages?messageIds=msg_0000000000000000&messageIds=msg_0000000000000002",
        Expected::Passes(200),
    ),
    step(
        "cancel one by id",
        "DELETE",
        "/v2/messages/msg_0000000000000003",
        Expected::Passes(200),
    ),
    Step {
        token: TokenIn::Query,
        ..step(
            "hold the token in the query",
            "GET",
            "/v2/messages/msg_0000000000000004",
            Expected::Passes(200),
        )
    },
    step(
        "cancel again and again",
        "DELETE",
        "/v2/messages?queueName=queue-1&count=1",
        Expected::RefusedInTheEnd("rate_limited"),
    ),
];

/// How often the last kind of step is sent at most.
pub(super) const MOST_REPEATS: usize = 10;
