//! A condition tried out at load, over a sample of each operation and kind: what it raises there it would raise in
//! earnest, and deny.

use std::net::Ipv4Addr;

use cel::common::ast::Expr;
use cel::{ExecutionError, IdedExpr};
use jiff::Timestamp;

use super::condition::{Condition, Failure, not_boolean, reason};
use super::variables::{FILTERS, Facts, Variables};
use crate::policy::callers::Callers;
use crate::policy::caps::Overrun;
use crate::policy::decide::{Asked, Context};
use crate::policy::settings::BulkCancel;
use crate::qstash::credential::TokenHash;
use crate::qstash::operation::Operation;
use crate::qstash::selection::{Kind, Selection};

/// What a trial met.
pub(super) struct TrialFailure {
    /// What is wrong, and for which request.
    pub(super) message: String,
    /// The smallest part that it comes from.
    pub(super) at: Option<u64>,
}

/// Tries a condition out; the first failure.
pub(super) fn run(
    condition: &Condition,
    operations: &[Operation],
    guarded: impl Fn(Operation) -> bool,
) -> Option<TrialFailure> {
    let caller = Callers::default().identify(Some(TokenHash::of(b"")));
    let context = Context {
        caller: &caller,
        client: Ipv4Addr::LOCALHOST.into(),
        time: Timestamp::UNIX_EPOCH,
    };
    operations.iter().find_map(|&operation| {
        let asked = Asked {
            operation,
            method: "DELETE",
            path: "/v2/messages",
            context: &context,
            overrun: Overrun::default(),
        };
        let samples = if guarded(operation) {
            selections(operation, condition.uses(FILTERS))
        } else {
            vec![(String::new(), None, Selection::default())]
        };
        samples.into_iter().find_map(|(with, kind, selection)| {
            let selection = kind.is_some().then_some(selection);
            let facts = Facts {
                asked: &asked,
                selection: selection.as_ref(),
                kind,
                fills_missing_caps: false,
            };
            let of = match kind {
                Some(kind) => format!("{operation} of kind {}{with}", kind.as_str()),
                None => format!("{operation}, which has no selection"),
            };
            try_one(condition, &Variables::of(&facts), &of)
        })
    })
}

/// Every kind, with and without what may be null or empty; with `single`, every filter of the operation alone, too.
fn selections(operation: Operation, single: bool) -> Vec<(String, Option<Kind>, Selection)> {
    // What narrows may be the policy's word: this is how it is unless it says otherwise.
    let bounds = BulkCancel::default();
    let filters = bounds.parameters(operation).filters;
    let ids = Selection {
        ids: vec!["msg_1".to_owned()],
        ..Selection::default()
    };
    let filter = |names: &[&str]| Selection {
        filters: names
            .iter()
            .map(|name| ((*name).to_owned(), vec![sample(name).to_owned()]))
            .collect(),
        ..Selection::default()
    };
    let mut samples = vec![
        (String::new(), Kind::Filter, filter(filters)),
        (String::new(), Kind::Ids, ids),
        (String::new(), Kind::All, Selection::default()),
    ];
    if single {
        samples.extend(filters.iter().map(|name| {
            let selection = filter(&[name]);
            let kind = bounds.kind(operation, &selection);
            (format!(" with {name} alone,"), kind, selection)
        }));
    }
    let with_and_without_count = |(with, kind, selection): (String, Kind, Selection)| {
        let bounded = Selection {
            count: Some(1),
            from_date: Some(1),
            to_date: Some(2),
            ..selection.clone()
        };
        [
            (format!("{with} with count"), Some(kind), bounded),
            (format!("{with} without count"), Some(kind), selection),
        ]
    };
    samples.into_iter().flat_map(with_and_without_count).collect()
}

/// A value that a filter may have.
fn sample(filter: &str) -> &'static str {
    match filter {
        "workflowUrl" => "https://example.com/value",
        "workflowUrlExactMatch" => "true",
        "responseStatus" => "503",
        "workflowCreatedAt" => "1",
        _ => "value",
    }
}

fn try_one(condition: &Condition, variables: &Variables, of: &str) -> Option<TrialFailure> {
    match condition.evaluate(condition.expression(), variables) {
        Ok(_) => None,
        Err(Failure::NotBoolean(is)) => Some(TrialFailure {
            message: not_boolean(&is),
            at: None,
        }),
        Err(Failure::Error(error)) => {
            let mut said = reason(&error);
            if let ExecutionError::FunctionError { message, .. } = &error {
                // The values of a sample may be shown.
                said = format!("{said} ({})", message.lines().next().unwrap_or_default());
            }
            let hint = if said.contains("null") {
                "; what was not given is null, so ask first: `cancel.count != null && …`"
            } else {
                ""
            };
            Some(TrialFailure {
                message: format!("the condition fails for {of}: {said}{hint}"),
                at: Some(culprit(condition, condition.expression(), variables, &error)),
            })
        }
    }
}

/// The smallest part of an expression that raises the same error by itself.
fn culprit(condition: &Condition, node: &IdedExpr, variables: &Variables, error: &ExecutionError) -> u64 {
    let parts: Vec<&IdedExpr> = match &node.expr {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Select(select) => vec![&*select.operand],
        // What stands within the loop has variables that are not there outside.
        Expr::Comprehension(comprehension) => vec![&comprehension.iter_range],
        Expr::List(list) => list.elements.iter().collect(),
        _ => Vec::new(),
    };
    parts
        .into_iter()
        .find(|part| matches!(condition.evaluate(part, variables), Err(Failure::Error(raised)) if raised == *error))
        .map_or(node.id, |part| culprit(condition, part, variables, error))
}
