//! The operations of QStash's REST API, and the one that a judged path names.
//!
//! Paths are those of the QStash and Workflow API references, and those that Upstash's own clients call besides
//! (`/v2/events`, `PATCH` to pause a schedule). The version segment may be any `v{n}`.

use std::fmt;

use super::segments::Segments;

macro_rules! operations {
    ($($variant:ident => $name:literal,)*) => {
        /// An operation of the QStash API, by the name that policies, limits, records and metrics use.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "the variants are their names, which `as_str` gives")]
        pub enum Operation { $($variant,)* }

        impl Operation {
            /// Every operation, in the order of the catalogue; `ALL[op.index()] == op`.
            pub const ALL: &'static [Operation] = &[$(Operation::$variant,)*];

            /// The name in policies, records and metrics: `messages.bulk_cancel`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Operation::$variant => $name,)* }
            }
        }
    };
}

operations! {
    MessagesPublish => "messages.publish",
    MessagesEnqueue => "messages.enqueue",
    MessagesBatch => "messages.batch",
    MessagesGet => "messages.get",
    MessagesRetry => "messages.retry",
    MessagesCancel => "messages.cancel",
    MessagesBulkCancel => "messages.bulk_cancel",
    BulkActionsList => "bulk_actions.list",
    BulkActionsGet => "bulk_actions.get",
    QueuesList => "queues.list",
    QueuesGet => "queues.get",
    QueuesUpsert => "queues.upsert",
    QueuesDelete => "queues.delete",
    QueuesPause => "queues.pause",
    QueuesResume => "queues.resume",
    SchedulesCreate => "schedules.create",
    SchedulesList => "schedules.list",
    SchedulesGet => "schedules.get",
    SchedulesDelete => "schedules.delete",
    SchedulesPause => "schedules.pause",
    SchedulesResume => "schedules.resume",
    UrlGroupsList => "url_groups.list",
    UrlGroupsGet => "url_groups.get",
    UrlGroupsDelete => "url_groups.delete",
    UrlGroupsUpsertEndpoints => "url_groups.upsert_endpoints",
    UrlGroupsRemoveEndpoints => "url_groups.remove_endpoints",
    DlqList => "dlq.list",
    DlqGet => "dlq.get",
    DlqDelete => "dlq.delete",
    DlqBulkDelete => "dlq.bulk_delete",
    DlqRetry => "dlq.retry",
    DlqBulkRetry => "dlq.bulk_retry",
    FlowControlList => "flow_control.list",
    FlowControlGet => "flow_control.get",
    FlowControlPause => "flow_control.pause",
    FlowControlResume => "flow_control.resume",
    FlowControlPin => "flow_control.pin",
    FlowControlUnpin => "flow_control.unpin",
    FlowControlReset => "flow_control.reset",
    KeysGet => "keys.get",
    KeysRotate => "keys.rotate",
    LogsList => "logs.list",
    WorkflowsTrigger => "workflows.trigger",
    WorkflowsBatch => "workflows.batch",
    WorkflowsGet => "workflows.get",
    WorkflowsCancel => "workflows.cancel",
    WorkflowsBulkCancel => "workflows.bulk_cancel",
    WorkflowsLogs => "workflows.logs",
    WorkflowsNotify => "workflows.notify",
    WorkflowsWaiters => "workflows.waiters",
    WorkflowsDlqList => "workflows.dlq.list",
    WorkflowsDlqGet => "workflows.dlq.get",
    WorkflowsDlqDelete => "workflows.dlq.delete",
    WorkflowsDlqBulkDelete => "workflows.dlq.bulk_delete",
    WorkflowsDlqResume => "workflows.dlq.resume",
    WorkflowsDlqRestart => "workflows.dlq.restart",
    WorkflowsDlqBulkResume => "workflows.dlq.bulk_resume",
    WorkflowsDlqBulkRestart => "workflows.dlq.bulk_restart",
    LlmChat => "llm.chat",
    Unknown => "unknown",
}

impl Operation {
    /// How many operations there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The place in [`Operation::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The operation of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|op| op.as_str() == name)
    }

    /// The operation that `verb` on a path of these segments names; [`Operation::Unknown`] where the API has none.
    pub fn of(verb: Verb, path: &Segments<'_>) -> Self {
        use Operation::{LlmChat, Unknown};
        if path.is(&["llm", "v1", "chat", "completions"]) {
            return if verb == Verb::Post { LlmChat } else { Unknown };
        }
        if !path.starts_with_version() {
            return Unknown;
        }
        match path.len() {
            0 | 1 => Unknown,
            2 => of_collection(verb, path),
            3 => of_member(verb, path),
            _ => of_deeper(verb, path),
        }
    }

    /// Every operation that some method on this path names, `Unknown` left out.
    pub fn on_path(path: &Segments<'_>) -> impl Iterator<Item = Operation> {
        [Verb::Get, Verb::Post, Verb::Delete, Verb::Patch]
            .into_iter()
            .map(|verb| Self::of(verb, path))
            .filter(|op| *op != Operation::Unknown)
    }

    /// Whether the operation takes messages in that QStash then sends to destinations of the caller's choice, in its path
    /// or in its body.
    pub const fn calls_out(self) -> bool {
        self.takes_destination() || matches!(self, Operation::MessagesBatch | Operation::WorkflowsBatch)
    }

    /// Whether the operation makes QStash send a request to a destination named in the path.
    pub const fn takes_destination(self) -> bool {
        matches!(
            self,
            Operation::MessagesPublish
                | Operation::MessagesEnqueue
                | Operation::SchedulesCreate
                | Operation::WorkflowsTrigger
        )
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a bulk operation is, below `/v{n}/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkPath {
    /// The operation.
    pub operation: Operation,
    /// Its method.
    pub verb: Verb,
    /// The names that lead to it.
    pub names: &'static [&'static str],
    /// The same as people write it.
    pub shown: &'static str,
}

impl BulkPath {
    /// That of each.
    pub const ALL: &'static [BulkPath] = &[
        bulk(
            Operation::MessagesBulkCancel,
            Verb::Delete,
            &["messages"],
            "/v2/messages",
        ),
        bulk(Operation::DlqBulkDelete, Verb::Delete, &["dlq"], "/v2/dlq"),
        bulk(Operation::DlqBulkRetry, Verb::Post, &["dlq", "retry"], "/v2/dlq/retry"),
        bulk(
            Operation::WorkflowsBulkCancel,
            Verb::Delete,
            &["workflows", "runs"],
            "/v2/workflows/runs",
        ),
        bulk(
            Operation::WorkflowsDlqBulkDelete,
            Verb::Delete,
            &["workflows", "dlq"],
            "/v2/workflows/dlq",
        ),
        bulk(
            Operation::WorkflowsDlqBulkResume,
            Verb::Post,
            &["workflows", "dlq", "resume"],
            "/v2/workflows/dlq/resume",
        ),
        bulk(
            Operation::WorkflowsDlqBulkRestart,
            Verb::Post,
            &["workflows", "dlq", "restart"],
            "/v2/workflows/dlq/restart",
        ),
    ];
}

const fn bulk(operation: Operation, verb: Verb, names: &'static [&'static str], shown: &'static str) -> BulkPath {
    BulkPath {
        operation,
        verb,
        names,
        shown,
    }
}

/// A request method, as far as operations tell methods apart. Letter case is ignored: what a lenient server might take
/// for `DELETE` is judged as `DELETE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `DELETE`
    Delete,
    /// `PATCH`
    Patch,
    /// Any other method.
    Other,
}

impl Verb {
    /// Reads a method token (RFC 9110 section 9), letter case ignored.
    pub fn read(method: &str) -> Self {
        let is = |name: &str| method.eq_ignore_ascii_case(name);
        if is("GET") {
            Verb::Get
        } else if is("POST") {
            Verb::Post
        } else if is("DELETE") {
            Verb::Delete
        } else if is("PATCH") {
            Verb::Patch
        } else {
            Verb::Other
        }
    }
}

/// `/v2/{collection}`
fn of_collection(verb: Verb, path: &Segments<'_>) -> Operation {
    use Operation as O;
    use Verb::{Delete, Get, Post};
    let at = |name: &str| path.at(1, name);
    match verb {
        Get if at("bulkActions") => O::BulkActionsList,
        Get if at("queues") => O::QueuesList,
        Get if at("schedules") => O::SchedulesList,
        Get if at("topics") => O::UrlGroupsList,
        Get if at("dlq") => O::DlqList,
        Get if at("flowControl") => O::FlowControlList,
        Get if at("globalParallelism") => O::FlowControlGet,
        Get if at("keys") => O::KeysGet,
        Get if at("logs") || at("events") => O::LogsList,
        Post if at("batch") => O::MessagesBatch,
        Post if at("queues") => O::QueuesUpsert,
        Delete if at("messages") => O::MessagesBulkCancel,
        Delete if at("dlq") => O::DlqBulkDelete,
        _ => O::Unknown,
    }
}

/// `/v2/{collection}/{member}`
fn of_member(verb: Verb, path: &Segments<'_>) -> Operation {
    use Operation as O;
    use Verb::{Delete, Get, Post};
    let at = |name: &str| path.at(1, name);
    let member = |name: &str| path.at(2, name);
    match verb {
        Get if at("messages") => O::MessagesGet,
        Get if at("bulkActions") => O::BulkActionsGet,
        Get if at("queues") => O::QueuesGet,
        Get if at("schedules") => O::SchedulesGet,
        Get if at("topics") => O::UrlGroupsGet,
        Get if at("dlq") => O::DlqGet,
        Get if at("flowControl") => O::FlowControlGet,
        Get if at("waiters") => O::WorkflowsWaiters,
        Get if at("workflows") && (member("logs") || member("events")) => O::WorkflowsLogs,
        Get if at("workflows") && member("dlq") => O::WorkflowsDlqList,
        Get if at("workflows") && member("bulkActions") => O::BulkActionsList,
        Post if at("publish") => O::MessagesPublish,
        Post if at("schedules") => O::SchedulesCreate,
        Post if at("trigger") => O::WorkflowsTrigger,
        Post if at("notify") => O::WorkflowsNotify,
        Post if at("batch") && member("trigger") => O::WorkflowsBatch,
        Post if at("dlq") && member("retry") => O::DlqBulkRetry,
        Post if at("keys") && member("rotate") => O::KeysRotate,
        Delete if at("messages") => O::MessagesCancel,
        Delete if at("queues") => O::QueuesDelete,
        Delete if at("schedules") => O::SchedulesDelete,
        Delete if at("topics") => O::UrlGroupsDelete,
        Delete if at("dlq") => O::DlqDelete,
        Delete if at("workflows") && member("runs") => O::WorkflowsBulkCancel,
        Delete if at("workflows") && member("dlq") => O::WorkflowsDlqBulkDelete,
        _ => O::Unknown,
    }
}

/// `/v2/{collection}/{member}/{rest…}`
fn of_deeper(verb: Verb, path: &Segments<'_>) -> Operation {
    use Operation as O;
    use Verb::{Delete, Get, Patch, Post};
    let at = |name: &str| path.at(1, name);
    let four = path.len() == 4;
    let last = |name: &str| four && path.at(3, name);
    let workflows = |name: &str| four && at("workflows") && path.at(2, name);
    match verb {
        Post if at("publish") => O::MessagesPublish,
        Post if at("enqueue") => O::MessagesEnqueue,
        Post if at("trigger") => O::WorkflowsTrigger,
        Post if at("messages") && last("retry") => O::MessagesRetry,
        Post if at("queues") && last("pause") => O::QueuesPause,
        Post if at("queues") && last("resume") => O::QueuesResume,
        Post | Patch if at("schedules") && last("pause") => O::SchedulesPause,
        Post | Patch if at("schedules") && last("resume") => O::SchedulesResume,
        Post if at("schedules") => O::SchedulesCreate,
        Post if at("topics") && last("endpoints") => O::UrlGroupsUpsertEndpoints,
        Delete if at("topics") && last("endpoints") => O::UrlGroupsRemoveEndpoints,
        Post if at("dlq") && four && path.at(2, "retry") => O::DlqRetry,
        Post if at("notify") && four => O::WorkflowsNotify,
        Post if at("flowControl") && last("pause") => O::FlowControlPause,
        Post if at("flowControl") && last("resume") => O::FlowControlResume,
        Post if at("flowControl") && last("pin") => O::FlowControlPin,
        Post if at("flowControl") && last("unpin") => O::FlowControlUnpin,
        Post if at("flowControl") && (last("reset") || last("resetRate")) => O::FlowControlReset,
        Get if workflows("runs") => O::WorkflowsGet,
        Get if workflows("dlq") => O::WorkflowsDlqGet,
        Get if workflows("bulkActions") => O::BulkActionsGet,
        Delete if workflows("runs") => O::WorkflowsCancel,
        Delete if workflows("dlq") => O::WorkflowsDlqDelete,
        Post if workflows("dlq") && path.at(3, "resume") => O::WorkflowsDlqBulkResume,
        Post if workflows("dlq") && path.at(3, "restart") => O::WorkflowsDlqBulkRestart,
        Post if path.len() == 5 && at("workflows") && path.at(2, "dlq") && path.at(3, "resume") => {
            O::WorkflowsDlqResume
        }
        Post if path.len() == 5 && at("workflows") && path.at(2, "dlq") && path.at(3, "restart") => {
            O::WorkflowsDlqRestart
        }
        _ => O::Unknown,
    }
}
