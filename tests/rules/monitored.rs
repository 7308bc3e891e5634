//! Rules of `mode: monitor`, and all rules under `policy.mode: monitor`.

use crate::{table, with_rules};

#[test]
fn a_monitored_rule_decides_nothing() {
    let rules = r"
- {name: one, mode: monitor, callers: [ops-*], deny: One.}
- {name: two, mode: monitor, bulk_cancel: {max_count: 1, max_message_ids: 1}}
- {name: free, mode: monitor, allow: true}
- {name: three, callers: [billing-*], deny: Three.}";
    table(
        &with_rules(rules.trim()),
        &[
            // The first that would have refused is the one that is told of.
            (
                "ops-anna",
                "DELETE /v2/messages?label=x&count=5",
                "allow rehearsed denied_by_rule by one",
            ),
            (
                "x",
                "DELETE /v2/messages?label=x&count=5",
                "allow rehearsed count_over_cap by two",
            ),
            ("x", "DELETE /v2/messages?label=x&count=1", "allow"),
            (
                "billing-web",
                "DELETE /v2/messages?messageIds=a,b",
                "denied_by_rule by three rehearsed too_many_message_ids by two",
            ),
            // It would have let this through, and does not.
            (
                "x",
                "DELETE /v2/messages",
                "unfiltered_cancel uncapped_cancel rehearsed unfiltered_cancel uncapped_cancel by two",
            ),
        ],
    );
}

#[test]
fn a_policy_that_monitors_refuses_by_no_rule() {
    let rules = "- {name: ops, callers: [ops-*], operations: [messages.bulk_cancel, queues.delete], deny: No.}";
    table(
        &(with_rules(rules) + "  mode: monitor\n"),
        &[
            (
                "ops-anna",
                "DELETE /v2/messages?messageIds=a",
                "would denied_by_rule by ops",
            ),
            ("ops-anna", "DELETE /v2/queues/a", "would denied_by_rule by ops"),
            (
                "ops-anna",
                "DELETE /v2/x/../messages?messageIds=a",
                "would ambiguous_request denied_by_rule by ops",
            ),
            ("x", "DELETE /v2/messages?messageIds=a", "allow"),
        ],
    );
}
