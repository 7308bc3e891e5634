//! A request between judgement and the upstream.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use http::{Request, request};
use uuid::Uuid;

use super::exchange::{Origin, Subject};
use super::overrun::Overruns;
use crate::audit::SelectionRecord;
use crate::policy::{GuardedCap, Permit, Ruling, Verdict, Violation};
use crate::qstash::operation::Operation;
use crate::qstash::selection::{Kind, Selection};
use crate::upstream::{ClientBody, Upload};

/// A request that is to be judged.
#[derive(Debug)]
pub struct Inspection {
    /// Its head.
    pub head: request::Parts,
    /// Its body, unread.
    pub body: ClientBody,
    /// Its operation.
    pub operation: Operation,
    /// What is known of the verdict.
    pub pending: Pending,
    /// Where it comes from.
    pub origin: Origin,
}

/// How far the judgement is.
#[derive(Debug)]
pub enum Pending {
    /// The selection is still to be read; violations found so far.
    Inspect(Vec<Violation>),
    /// Rules are still to be tried; they need no body.
    Rules,
    /// It is made.
    Judged(Verdict),
}

/// A request that was judged, and not refused so far.
#[derive(Debug)]
pub struct Judged {
    /// Its head.
    pub head: request::Parts,
    /// Its body, as far as it was read and the rest.
    pub body: Upload,
    /// Its operation.
    pub operation: Operation,
    /// What it selects, for a guarded one.
    pub selected: Option<Selected>,
    /// The ruling so far.
    pub ruling: Ruling,
    /// Where it comes from.
    pub origin: Origin,
}

/// What a guarded request selects.
#[derive(Clone, Debug)]
pub struct Selected {
    /// The selection.
    pub selection: Selection,
    /// Its kind under the policy.
    pub kind: Kind,
    /// The cap that the guard enforces, where it does.
    pub cap: Option<GuardedCap>,
    /// What was found then.
    pub listed: Option<Listed>,
}

/// What is sent in the place of a cancel whose cap the guard enforces.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The ids of the messages to be cancelled, or a sentence that says why there are none.
    pub found: Result<Vec<String>, String>,
    /// The most ids of one cancel.
    pub max_message_ids: usize,
    /// How many messages went so far.
    pub gone: Arc<AtomicU64>,
    /// Where it shows that another cancel took more than its ids.
    pub overruns: Arc<Overruns>,
}

impl Judged {
    /// The request as records and limits name it.
    pub fn subject(&self) -> Subject<'_> {
        Subject::of(&self.head, &self.origin)
    }
}

/// A request that goes to the upstream.
#[derive(Debug)]
pub struct Outbound {
    /// The request.
    pub request: Request<Upload>,
    /// Its operation.
    pub operation: Operation,
    /// The policy's word that it may go.
    pub permit: Permit,
    /// Whether it is guarded: then it is tried again once at most.
    pub guarded: bool,
    /// The id of its records, where it leaves some.
    pub request_id: Option<Uuid>,
    /// What is sent in its place, where the guard enforces its cap.
    pub listed: Option<Box<Listed>>,
}

impl Selected {
    /// The selection as records hold it, with this many ids at most.
    pub fn to_record(&self, max_ids: usize) -> SelectionRecord {
        let record = SelectionRecord::new(&self.selection, self.kind, max_ids);
        match self.found() {
            Some(ids) => record.with_ids(ids, max_ids),
            None => record,
        }
    }

    /// How many messages it may take: its ids or those found, else its cap; `None` where nothing bounds it.
    pub fn reach(&self) -> Option<u64> {
        if let Some(ids) = self.found() {
            return Some(ids.len() as u64);
        }
        match self.kind {
            Kind::Ids => Some(self.selection.ids.len() as u64),
            Kind::Filter | Kind::All => self.selection.count,
        }
    }

    /// How many of those listed went so far.
    pub fn gone(&self) -> Option<Arc<AtomicU64>> {
        self.listed.as_ref().map(|listed| Arc::clone(&listed.gone))
    }

    /// The ids that were listed; none where the listing failed.
    fn found(&self) -> Option<&[String]> {
        let listed = self.listed.as_ref()?;
        Some(listed.found.as_deref().unwrap_or_default())
    }
}
