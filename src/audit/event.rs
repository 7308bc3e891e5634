//! The words of a record: what happened, what was decided, what became of it.

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every one, in the order of this list.
            pub const ALL: &'static [Self] = &[$($name::$variant,)*];

            /// The word that records hold.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }
    };
}

words! {
    /// What a record tells.
    Event {
        /// A guard began; the detail has its version, its upstream, and what was recovered.
        Started = "started",
        /// A guard ended in an orderly way.
        Stopped = "stopped",
        /// The policy was loaded again.
        PolicyLoaded = "policy_loaded",
        /// A faulty policy was refused; the old one stays.
        PolicyRejected = "policy_rejected",
        /// A request was refused.
        Denied = "denied",
        /// A guarded request is about to be forwarded.
        Intent = "intent",
        /// What became of a guarded request.
        Outcome = "outcome",
        /// A request that is not guarded went on.
        Passed = "passed",
        /// QStash cancelled more than `count` allowed.
        CapOverrun = "cap_overrun",
        /// A bulk action that QStash ran by itself has ended.
        BulkActionFinished = "bulk_action_finished",
        /// Denials above the limit of records; the detail has their number.
        DenialsSuppressed = "denials_suppressed",
        /// The first line of a file that follows another; the detail names that one.
        Rotated = "rotated",
        /// Old files are about to be removed; the detail names them.
        Pruned = "pruned",
    }
}

words! {
    /// What was decided.
    Decision {
        /// It goes on.
        Allow = "allow",
        /// It is refused.
        Deny = "deny",
        /// It goes on, and would be refused were the mode `enforce`.
        WouldDeny = "would_deny",
    }
}

words! {
    /// What became of a guarded request.
    Outcome {
        /// 2xx with an action id: QStash goes on by itself.
        Accepted = "accepted",
        /// 2xx with a number alone.
        Completed = "completed",
        /// 401, 403, 404, 405 or 412: nothing was cancelled.
        Refused = "refused",
        /// Nothing of the request was written, or its intent came through too late.
        Unsent = "unsent",
        /// All else: some may be gone.
        Uncertain = "uncertain",
    }
}
