//! What bounds a bulk cancel only as far as QStash honours it, and what was seen not to be honoured.

use super::refusal::{Code, Violation};
use crate::qstash::selection::Selection;

/// A bound that QStash has to keep. Ids in a query are none: they say exactly what goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cap {
    /// `count` of a cancel that is not by ids. Hosted QStash ignores it since September 2026.
    Count,
    /// Ids in a body: a QStash that does not read the body cancels everything.
    IdsInBody,
    /// Ids in a query that the guard sent in the place of a filter. They say exactly what goes; where more went all the
    /// same, the guard cannot bound such cancels.
    Listed,
}

impl Cap {
    /// The one that a selection rests on; `None` for ids in a query.
    pub fn of(selection: &Selection) -> Option<Self> {
        match (selection.ids.is_empty(), selection.in_body) {
            (true, _) => Some(Cap::Count),
            (false, true) => Some(Cap::IdsInBody),
            (false, false) => None,
        }
    }

    /// The cancels that rest on it.
    pub const fn cancels(self) -> &'static str {
        match self {
            Cap::Count | Cap::Listed => "cancels by filter",
            Cap::IdsInBody => "cancels by ids in a body",
        }
    }
}

/// The caps of an operation that QStash was seen not to honour since the policy was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrun {
    /// [`Cap::Count`].
    pub count: bool,
    /// [`Cap::IdsInBody`].
    pub ids_in_body: bool,
    /// [`Cap::Listed`].
    pub listed: bool,
}

impl Overrun {
    /// Whether this cap was overrun.
    pub fn concerns(self, cap: Cap) -> bool {
        match cap {
            Cap::Count => self.count,
            Cap::IdsInBody => self.ids_in_body,
            Cap::Listed => self.listed,
        }
    }

    /// What a selection violates by resting on a cap that was overrun. No rule lifts it: it tells of the upstream, and
    /// a rule that allows may itself rest on `count`.
    pub fn violation(self, selection: &Selection) -> Option<Violation> {
        self.violation_of(Cap::of(selection)?)
    }

    /// The same for one cap.
    pub fn violation_of(self, cap: Cap) -> Option<Violation> {
        if !self.concerns(cap) {
            return None;
        }
        let ids = "send messageIds in the query";
        let message = match cap {
            Cap::Count => format!(
                "QStash has cancelled more than `count` allowed, so {} are refused until the guard is reloaded or \
                 restarted; {ids}.",
                cap.cancels()
            ),
            Cap::IdsInBody => format!(
                "QStash has cancelled more than the ids in a body, so {} are refused until the guard is reloaded or \
                 restarted; {ids}.",
                cap.cancels()
            ),
            Cap::Listed => format!(
                "QStash has cancelled more than the ids that the guard sent for a filter, so {} are refused until the guard \
                 is reloaded or restarted; find out why, and cancel one message at a time meanwhile: DELETE \
                 /v2/messages/ID.",
                cap.cancels()
            ),
        };
        Some(Violation::new(Code::CapNotHonoured, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cap_closes_its_own_cancels_alone() {
        let by_filter = Selection::default();
        let with_ids = |in_body| Selection {
            ids: vec!["msg_1".to_owned()],
            in_body,
            ..Selection::default()
        };
        let closed = |overrun: Overrun| {
            [&by_filter, &with_ids(true), &with_ids(false)].map(|selection| overrun.violation(selection).is_some())
        };
        let (count, ids_in_body) = (true, true);
        assert_eq!(closed(Overrun::default()), [false, false, false]);
        assert_eq!(
            closed(Overrun {
                count,
                ..Overrun::default()
            }),
            [true, false, false]
        );
        assert_eq!(
            closed(Overrun {
                ids_in_body,
                ..Overrun::default()
            }),
            [false, true, false]
        );
        let both = Overrun {
            count,
            ids_in_body,
            listed: false,
        };
        assert_eq!(closed(both), [true, true, false]);
        // What the guard lists is told apart from what rests on `count`.
        let listed = Overrun {
            listed: true,
            ..Overrun::default()
        };
        assert_eq!(closed(listed), [false, false, false]);
        assert!(listed.violation_of(Cap::Listed).is_some() && both.violation_of(Cap::Listed).is_none());
    }
}
