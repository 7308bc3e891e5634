//! Caps that QStash does not honour: found in what it says of a cancel, and closed from then on.

use std::sync::atomic::{AtomicBool, Ordering};

use super::answer::Answered;
use super::guarded::Guarded;
use super::passage::Selected;
use crate::audit::{Event, Record, SelectionRecord, Trail};
use crate::policy::{Cap, Mode, Overrun};
use crate::qstash::operation::Operation;
use crate::qstash::selection::Kind;
use crate::telemetry::Metrics;

/// Which caps were overrun since the policy was loaded, by operation. One for all cores, and handed from snapshot to
/// snapshot: what a request of the policy before brings to light closes the cap of the one in force.
#[derive(Debug)]
pub struct Overruns([OfOperation; Operation::COUNT]);

#[derive(Debug, Default)]
struct OfOperation {
    count: AtomicBool,
    ids_in_body: AtomicBool,
    listed: AtomicBool,
}

impl Default for Overruns {
    fn default() -> Self {
        Overruns(std::array::from_fn(|_| OfOperation::default()))
    }
}

impl Overruns {
    /// The caps of an operation that were overrun.
    pub fn of(&self, operation: Operation) -> Overrun {
        let seen = |cap| self.cell(operation, cap).load(Ordering::SeqCst);
        Overrun {
            count: seen(Cap::Count),
            ids_in_body: seen(Cap::IdsInBody),
            listed: seen(Cap::Listed),
        }
    }

    /// Whether there are any.
    pub fn any(&self) -> bool {
        Operation::ALL
            .iter()
            .any(|operation| self.of(*operation) != Overrun::default())
    }

    /// Trusts every cap again.
    pub fn forget(&self) {
        for operation in Operation::ALL {
            for cap in [Cap::Count, Cap::IdsInBody, Cap::Listed] {
                self.cell(*operation, cap).store(false, Ordering::SeqCst);
            }
        }
    }

    fn close(&self, operation: Operation, cap: Cap) {
        self.cell(operation, cap).store(true, Ordering::SeqCst);
    }

    fn cell(&self, operation: Operation, cap: Cap) -> &AtomicBool {
        let of = &self.0[operation.index()];
        match cap {
            Cap::Count => &of.count,
            Cap::IdsInBody => &of.ids_in_body,
            Cap::Listed => &of.listed,
        }
    }
}

/// What QStash says of a cancel or of its bulk action.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// `cancelled` of the answer to the cancel.
    pub(super) cancelled: Option<u64>,
    /// The bulk action's id.
    pub(super) action_id: Option<String>,
    /// The messages of the bulk action.
    pub(super) total: Option<u64>,
    /// How many of them it is done with.
    pub(super) processed: Option<u64>,
}

/// Where an overrun is told.
#[derive(Clone, Copy)]
pub(super) struct Tell<'a> {
    pub(super) trail: &'a Trail,
    pub(super) metrics: &'a Metrics,
}

impl From<&Answered> for Said {
    fn from(answered: &Answered) -> Self {
        Said {
            cancelled: answered.cancelled,
            action_id: answered.action_id.clone(),
            ..Said::default()
        }
    }
}

impl Guarded {
    /// Closes the cap of the request at once where more went than it allowed; the future then records it. One overrun a
    /// request: what its bulk action says later tells nothing new.
    pub(super) fn held_against(&mut self, said: &Said, tell: Tell<'_>) -> Option<impl Future<Output = ()> + use<>> {
        let selected = self.selected.as_ref()?;
        let part = self.part;
        // Of what the guard listed, each cancel is held against its own ids: those before it are accounted for.
        let allowed = part.map_or_else(|| selected.reach(), |part| Some(part.ids))?;
        let before = part.map_or(0, |part| part.before);
        let cancelled = said.cancelled.map(|cancelled| cancelled.saturating_sub(before));
        let went = [cancelled, said.total, said.processed].into_iter().flatten().max()?;
        if went <= allowed || self.overran {
            return None;
        }
        self.overran = true;
        let snapshot = &self.origin.snapshot;
        let cap = match selected.listed {
            Some(_) => Some(Cap::Listed),
            None => Cap::of(&selected.selection),
        };
        if let Some(cap) = cap {
            snapshot.overruns.close(self.operation, cap);
        }
        let rest = match (cap, snapshot.policy.mode) {
            (None, _) => "they stood in the query; nothing is refused".to_owned(),
            (Some(cap), Mode::Enforce) => format!("{} are refused until a reload or restart", cap.cancels()),
            (Some(_), Mode::Monitor) => "mode monitor: nothing is refused".to_owned(),
        };
        let so_far = part.map_or_else(String::new, |part| {
            let all = part.before.saturating_add(went);
            format!(
                " (ids sent so far: {}, messages gone: {all}; no more were sent)",
                part.sent
            )
        });
        let bound = bound(selected);
        let detail = format!("{bound} allowed {allowed} messages and {went} went{so_far}; {rest}");
        tell.metrics.cap_overrun();
        let (operation, request_id, caller) = (self.operation, self.request_id, &self.caller);
        tracing::warn!(%operation, %request_id, caller, allowed, went, "QStash cancelled more than was allowed: {detail}");
        let record = Record {
            selection: Some(selected.to_record(SelectionRecord::IDS_OF_A_DENIAL)),
            cancelled: said.cancelled,
            action_id: said.action_id.clone(),
            total: said.total,
            processed: said.processed,
            detail: Some(detail),
            ..self.record(Event::CapOverrun)
        };
        let trail = tell.trail.clone();
        Some(async move {
            if let Err(error) = trail.commit(record).await {
                tracing::error!(%error, "a cap overrun is not recorded yet; it will be as soon as the trail can be written");
            }
        })
    }
}

fn bound(selected: &Selected) -> &'static str {
    match selected.kind {
        Kind::Filter | Kind::All if selected.listed.is_none() => "count",
        Kind::Filter | Kind::All => "the ids of one cancel",
        Kind::Ids => "the ids sent",
    }
}
