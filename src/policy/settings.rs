//! The policy in force, as checked values.

use std::fmt;

use super::callers::Callers;
use super::caps::{Cap, Overrun};
use super::guarded_cap::{Caps, OnMissingCap};
use super::refusal::Violation;
use super::rules::Rules;
use crate::qstash::operation::Operation;
use crate::qstash::selection::{Kind, MESSAGE_FILTERS, Parameters, Selection};

/// QStash takes at most this many ids in one call; no policy can allow more.
pub const MAX_MESSAGE_IDS: usize = 1000;

/// The policy in force: one value a request is judged by.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether violations are refused or only recorded.
    pub mode: Mode,
    /// What bounds a bulk cancel.
    pub bulk_cancel: BulkCancel,
    /// Who enforces caps.
    pub caps: Caps,
    /// What happens to each operation.
    pub operations: Operations,
    /// Rules, tried before the bounds.
    pub rules: Rules,
    /// The callers that have names.
    pub callers: Callers,
    /// Whether publishing to QStash itself is allowed.
    pub qstash_destinations: bool,
    /// The upstream's host, which counts as QStash itself.
    pub upstream_host: String,
    /// Whether the upstream's own path stands before every path, so that a dot segment could lead out of it.
    pub upstream_has_path: bool,
    /// `sha256:` and 12 hexadecimal digits of the effective policy.
    pub digest: String,
}

/// Whether a violation stops a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Violations are refused.
    Enforce,
    /// Violations are recorded as `would_deny`, and the request goes on unchanged.
    Monitor,
}

/// The bounds of a bulk cancel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkCancel {
    /// A cancel needs ids or a narrowing filter.
    pub require_filter: bool,
    /// A cancel that is not by ids needs `count`.
    pub require_cap: bool,
    /// The largest `count`, in messages.
    pub max_count: u64,
    /// The most ids of one cancel, 1 to [`MAX_MESSAGE_IDS`].
    pub max_message_ids: usize,
    /// The filters that may be used; `None` for all of them.
    pub allowed_filters: Option<Vec<String>>,
    /// The filters that make a cancel a filtered one.
    pub narrowing_filters: Vec<String>,
    /// The parameters that are known.
    pub parameters: Parameters,
}

impl Default for BulkCancel {
    /// The strict default: a narrowing filter and a cap of 100, or at most 100 ids.
    fn default() -> Self {
        // Behind a gateway, the caller's address matches everything that went through it.
        let weak = ["callerIp", "callerIP"];
        let narrowing = MESSAGE_FILTERS
            .iter()
            .filter(|name| !weak.contains(name))
            .map(|name| (*name).to_owned());
        BulkCancel {
            require_filter: true,
            require_cap: true,
            max_count: 100,
            max_message_ids: 100,
            allowed_filters: None,
            narrowing_filters: narrowing.collect(),
            parameters: Parameters::messages(Vec::new()),
        }
    }
}

impl Default for Policy {
    /// The strict default, for the hosted QStash.
    fn default() -> Self {
        Policy {
            mode: Mode::Enforce,
            bulk_cancel: BulkCancel::default(),
            caps: Caps::default(),
            operations: Operations::default(),
            rules: Rules::default(),
            callers: Callers::default(),
            qstash_destinations: false,
            upstream_host: "qstash.upstash.io".to_owned(),
            upstream_has_path: false,
            digest: String::new(),
        }
    }
}

impl Policy {
    /// Whether the guard itself enforces caps. It does not where it only monitors.
    pub fn enforces_caps(&self) -> bool {
        self.mode == Mode::Enforce && self.caps.are_guards(&self.upstream_host)
    }

    /// The violation of a cancel that rests on a cap which QStash was seen not to honour. A rehearsal where the guard would
    /// enforce caps says nothing of `count`: in earnest it would not rest on QStash.
    pub fn overrun_violation(&self, overrun: Overrun, selection: &Selection) -> Option<Violation> {
        let is_rehearsed = self.mode == Mode::Monitor && self.caps.are_guards(&self.upstream_host);
        if is_rehearsed && Cap::of(selection) == Some(Cap::Count) {
            return None;
        }
        overrun.violation(selection)
    }

    /// Whether a cancel without `count` gets `max_count` as its cap, where one is asked for.
    pub fn fills_missing_caps(&self) -> bool {
        self.caps.on_missing == OnMissingCap::ApplyMaxCount && self.caps.are_guards(&self.upstream_host)
    }
}

impl BulkCancel {
    /// The kind of a selection under this policy.
    pub fn kind(&self, selection: &Selection) -> Kind {
        let narrows = |name: &String| self.narrowing_filters.contains(name);
        if !selection.ids.is_empty() {
            Kind::Ids
        } else if selection.filters.iter().any(|(name, _)| narrows(name)) {
            Kind::Filter
        } else {
            Kind::All
        }
    }
}

/// What happens to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It passes unread.
    Allow,
    /// It is inspected, bounded and recorded.
    Guard,
    /// It is refused.
    Deny,
}

/// The treatment of every operation.
#[derive(Clone, PartialEq, Eq)]
pub struct Operations([Treatment; Operation::COUNT]);

/// Why an entry of `policy.operations` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationsFault {
    /// No operation has that name, or matches that glob.
    Unknown,
    /// The operation cannot be guarded.
    NotGuardable,
}

impl Operations {
    /// The treatment of an operation.
    pub fn of(&self, operation: Operation) -> Treatment {
        self.0[operation.index()]
    }

    /// Whether requests for the operation must be read in one way only.
    pub fn must_be_unambiguous(&self, operation: Operation) -> bool {
        self.of(operation) != Treatment::Allow
    }

    /// Compiles entries, each a name or a glob (`*` stands for any text): an exact name beats a glob, a longer glob a
    /// shorter one, and on a tie `deny` wins. A glob that allows leaves `messages.bulk_cancel` guarded: only its own
    /// name can lift the guard.
    ///
    /// # Errors
    /// The index of each entry that cannot be used, and why.
    pub fn compile(entries: &[(&str, Treatment)]) -> Result<Self, Vec<(usize, OperationsFault)>> {
        let mut faults = Vec::new();
        let mut operations = Operations::default();
        let mut ranks = [None; Operation::COUNT];
        for (index, &(pattern, treatment)) in entries.iter().enumerate() {
            let exact = !pattern.contains('*');
            let matching: Vec<Operation> = Operation::ALL
                .iter()
                .copied()
                .filter(|op| glob(pattern, op.as_str()))
                .collect();
            if matching.is_empty() {
                faults.push((index, OperationsFault::Unknown));
                continue;
            }
            if treatment == Treatment::Guard && matching.iter().any(|op| *op != Operation::MessagesBulkCancel) {
                faults.push((index, OperationsFault::NotGuardable));
                continue;
            }
            for operation in matching {
                let lifts_guard = treatment == Treatment::Allow && operation == Operation::MessagesBulkCancel;
                let treatment = if lifts_guard && !exact {
                    Treatment::Guard
                } else {
                    treatment
                };
                let rank = Some((exact, pattern.len(), treatment == Treatment::Deny));
                if rank > ranks[operation.index()] {
                    ranks[operation.index()] = rank;
                    operations.0[operation.index()] = treatment;
                }
            }
        }
        if faults.is_empty() { Ok(operations) } else { Err(faults) }
    }
}

impl Default for Operations {
    /// `messages.bulk_cancel` is guarded, everything else allowed.
    fn default() -> Self {
        let mut treatments = [Treatment::Allow; Operation::COUNT];
        treatments[Operation::MessagesBulkCancel.index()] = Treatment::Guard;
        Operations(treatments)
    }
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(Operation::ALL.iter().map(|op| (op.as_str(), self.of(*op))))
            .finish()
    }
}

/// Whether `text` matches `pattern`, in which `*` stands for any text, also none.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    let mut parts = rest.split('*');
    let last = parts.next_back().unwrap_or_default();
    for part in parts {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::CapEnforcedBy;
    use crate::qstash::selection::read;

    #[test]
    fn a_rehearsal_where_the_guard_would_cap_says_nothing_of_count() {
        let overrun = Overrun {
            count: true,
            ids_in_body: true,
            ..Overrun::default()
        };
        let mut policy = Policy::default();
        let parameters = policy.bulk_cancel.parameters.clone();
        let filter = read(&parameters, Some(b"label=a&count=1"), b"", false).selection;
        let ids = read(&parameters, None, br#"{"messageIds":["a"]}"#, false).selection;
        for (mode, enforced_by, told) in [
            (Mode::Monitor, CapEnforcedBy::Guard, false),
            (Mode::Monitor, CapEnforcedBy::Qstash, true),
            (Mode::Enforce, CapEnforcedBy::Guard, true),
            (Mode::Enforce, CapEnforcedBy::Qstash, true),
        ] {
            (policy.mode, policy.caps.enforced_by) = (mode, enforced_by);
            let is_told = policy.overrun_violation(overrun, &filter).is_some();
            assert_eq!(is_told, told, "{mode:?} {enforced_by:?}");
            assert!(policy.overrun_violation(overrun, &ids).is_some());
        }
    }
}
