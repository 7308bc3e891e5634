//! The parameters of the bulk operations: their names, what each does to the reach of a request, and how it is written
//! (QStash API: Bulk cancel messages, Bulk delete DLQ messages, Bulk retry DLQ messages; Workflow API: Bulk cancel, and
//! bulk delete, resume and restart of the DLQ).

use super::operation::Operation;

/// The parameters of a bulk operation, by what they do to its reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// The parameter that lists ids; filters beside it are ignored by QStash.
    pub ids: &'static str,
    /// Filters in the order of the documentation, those that narrow nothing too.
    pub filters: &'static [&'static str],
    /// What selects nothing: dates, `count` and the like.
    others: &'static [&'static str],
    /// Names that QStash has added since: let through, narrow nothing.
    pub extra: Vec<String>,
}

/// The bulk operations: those that have parameters of this kind, and so can be guarded.
pub const BULK: [Operation; 7] = [
    Operation::MessagesBulkCancel,
    Operation::DlqBulkDelete,
    Operation::DlqBulkRetry,
    Operation::WorkflowsBulkCancel,
    Operation::WorkflowsDlqBulkDelete,
    Operation::WorkflowsDlqBulkResume,
    Operation::WorkflowsDlqBulkRestart,
];

/// How a parameter is written. A name is written alike wherever it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A filter of several values: repeated, or with commas.
    Many,
    /// A filter of one value.
    One,
    /// A filter of several decimal numbers.
    Numbers,
    /// A filter of one decimal number.
    Number,
    /// A filter that is `true` or `false`.
    Flag,
    /// `fromDate` or `toDate`.
    Date,
    /// `count`
    Count,
    /// `async`
    Async,
    /// `cursor`: where a page begins.
    Cursor,
}

impl Form {
    fn of(name: &str) -> Self {
        match name {
            "messageId" | "workflowRunId" | "failureFunctionState" => Form::One,
            "responseStatus" => Form::Numbers,
            "workflowCreatedAt" => Form::Number,
            EXACT_MATCH => Form::Flag,
            "fromDate" | "toDate" => Form::Date,
            "count" => Form::Count,
            "async" => Form::Async,
            "cursor" => Form::Cursor,
            _ => Form::Many,
        }
    }

    /// Whether it is a filter that may be given once, like everything that is no filter.
    pub(super) const fn is_single(self) -> bool {
        !matches!(self, Form::Many | Form::Numbers)
    }
}

/// Makes a workflow's URL stand for itself alone; without it, it is a prefix.
pub const EXACT_MATCH: &str = "workflowUrlExactMatch";

/// The filters of `DELETE /v2/messages`. `callerIp` and `callerIP` are filters that narrow nothing by default.
pub const MESSAGE_FILTERS: &[&str] = &[
    "topicName",
    "queueName",
    "url",
    "host",
    "path",
    "label",
    "flowControlKey",
    "scheduleId",
    "callerIp",
    "callerIP",
];

/// Those of the DLQ, which knows neither host nor path.
const DLQ_FILTERS: &[&str] = &[
    "messageId",
    "url",
    "topicName",
    "scheduleId",
    "queueName",
    "label",
    "flowControlKey",
    "responseStatus",
    "callerIp",
    "callerIP",
];

/// Those of `DELETE /v2/workflows/runs`.
const RUN_FILTERS: &[&str] = &[
    "label",
    "flowControlKey",
    "host",
    "path",
    WORKFLOW_URL,
    EXACT_MATCH,
    "callerIp",
];

/// Those of the workflows' DLQ.
const RUN_DLQ_FILTERS: &[&str] = &[
    "workflowRunId",
    "label",
    "flowControlKey",
    WORKFLOW_URL,
    EXACT_MATCH,
    "workflowCreatedAt",
    "failureFunctionState",
    "responseStatus",
    "callerIp",
];

/// Every filter that some bulk operation has: those of messages first.
pub const FILTERS: &[&str] = &[
    "topicName",
    "queueName",
    "url",
    "host",
    "path",
    "label",
    "flowControlKey",
    "scheduleId",
    "callerIp",
    "callerIP",
    "messageId",
    "responseStatus",
    "workflowRunId",
    WORKFLOW_URL,
    EXACT_MATCH,
    "workflowCreatedAt",
    "failureFunctionState",
];

/// A workflow's URL.
pub(super) const WORKFLOW_URL: &str = "workflowUrl";

const DATES_COUNT_ASYNC: &[&str] = &["fromDate", "toDate", "count", "async"];
const DATES_COUNT_CURSOR: &[&str] = &["fromDate", "toDate", "count", "cursor"];

impl Parameters {
    /// Those of `DELETE /v2/messages`.
    pub fn messages(extra: Vec<String>) -> Self {
        Parameters {
            ids: "messageIds",
            filters: MESSAGE_FILTERS,
            others: DATES_COUNT_ASYNC,
            extra,
        }
    }

    /// Those of a bulk operation; `None` for every other one.
    pub fn of(operation: Operation, extra: &[String]) -> Option<Self> {
        let (ids, filters, others) = match operation {
            Operation::MessagesBulkCancel => return Some(Self::messages(extra.to_vec())),
            Operation::DlqBulkDelete | Operation::DlqBulkRetry => ("dlqIds", DLQ_FILTERS, DATES_COUNT_CURSOR),
            Operation::WorkflowsBulkCancel => ("workflowRunIds", RUN_FILTERS, DATES_COUNT_ASYNC),
            Operation::WorkflowsDlqBulkDelete
            | Operation::WorkflowsDlqBulkResume
            | Operation::WorkflowsDlqBulkRestart => ("dlqIds", RUN_DLQ_FILTERS, DATES_COUNT_CURSOR),
            _ => return None,
        };
        Some(Parameters {
            ids,
            filters,
            others,
            extra: extra.to_vec(),
        })
    }

    /// Every name that is known, in the order of the documentation.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.ids)
            .chain(self.filters.iter().copied())
            .chain(self.others.iter().copied())
            .chain(self.extra.iter().map(String::as_str))
    }

    /// The filter of that exact name, or what else of that name selects nothing, and how it is written.
    pub(super) fn form(&self, name: &str) -> Option<(&'static str, Form)> {
        let mut named = self.filters.iter().chain(self.others).copied();
        named.find(|known| *known == name).map(|known| (known, Form::of(known)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_operations_are_those_with_parameters() {
        for operation in Operation::ALL {
            assert_eq!(
                Parameters::of(*operation, &[]).is_some(),
                BULK.contains(operation),
                "{operation}"
            );
        }
    }

    #[test]
    fn every_filter_is_in_the_list_of_all_once() {
        let mut of_all: Vec<&str> = Operation::ALL
            .iter()
            .filter_map(|operation| Parameters::of(*operation, &[]))
            .flat_map(|parameters| parameters.filters)
            .copied()
            .collect();
        of_all.sort_unstable();
        of_all.dedup();
        let mut listed = FILTERS.to_vec();
        listed.sort_unstable();
        assert_eq!(listed, of_all);
        assert_eq!(&FILTERS[..MESSAGE_FILTERS.len()], MESSAGE_FILTERS);
    }
}
