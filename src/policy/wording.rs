//! What bulk operations are called in the sentences that clients are told.

use crate::qstash::operation::Operation;

/// The words of one bulk operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wording {
    /// `a bulk cancel`
    pub(super) name: &'static str,
    /// What it does: `cancel`.
    pub(super) verb: &'static str,
    /// Several of it: `cancels`.
    pub(super) plural: &'static str,
    /// What was done: `cancelled`.
    pub(super) done: &'static str,
    /// What it would do without a filter.
    pub(super) to_all: &'static str,
    /// What it takes without a cap.
    pub(super) uncapped: &'static str,
    /// `message ids`
    pub(super) ids: &'static str,
}

impl Wording {
    /// Those of a bulk operation; of any other, those of the bulk cancel.
    pub(super) const fn of(operation: Operation) -> Self {
        match operation {
            Operation::DlqBulkDelete => Wording {
                name: "a bulk delete of the DLQ",
                verb: "delete",
                plural: "deletes",
                done: "deleted",
                to_all: "delete messages of the DLQ whatever they are, and there is no undo",
                uncapped: PAGED,
                ids: "DLQ ids",
            },
            Operation::DlqBulkRetry => Wording {
                name: "a bulk retry of the DLQ",
                verb: "retry",
                plural: "retries",
                done: "retried",
                to_all: "send messages of the DLQ again whatever they are",
                uncapped: PAGED,
                ids: "DLQ ids",
            },
            Operation::WorkflowsBulkCancel => Wording {
                name: "a bulk cancel of workflow runs",
                verb: "cancel",
                plural: "cancels",
                done: "cancelled",
                to_all: "cancel every workflow run of the account, and there is no undo",
                uncapped: "it takes every workflow run that matches",
                ids: "workflow run ids",
            },
            Operation::WorkflowsDlqBulkDelete => Wording {
                name: "a bulk delete of the workflows' DLQ",
                verb: "delete",
                plural: "deletes",
                done: "deleted",
                to_all: "delete failed workflow runs whatever they are, and there is no undo",
                uncapped: PAGED,
                ids: "DLQ ids",
            },
            Operation::WorkflowsDlqBulkResume => Wording {
                name: "a bulk resume of the workflows' DLQ",
                verb: "resume",
                plural: "resumes",
                done: "resumed",
                to_all: "resume failed workflow runs whatever they are",
                uncapped: PAGED,
                ids: "DLQ ids",
            },
            Operation::WorkflowsDlqBulkRestart => Wording {
                name: "a bulk restart of the workflows' DLQ",
                verb: "restart",
                plural: "restarts",
                done: "restarted",
                to_all: "restart failed workflow runs whatever they are",
                uncapped: PAGED,
                ids: "DLQ ids",
            },
            _ => Wording {
                name: "a bulk cancel",
                verb: "cancel",
                plural: "cancels",
                done: "cancelled",
                to_all: "cancel every pending message of the account, and there is no undo",
                uncapped: "it takes every message that matches",
                ids: "message ids",
            },
        }
    }
}

/// How many the DLQ's operations take without `count` is not the same for all, nor documented of each.
const PAGED: &str = "how many it takes is left to QStash";
