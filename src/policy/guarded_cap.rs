//! Who sees to it that a cancel takes no more than its cap.

use crate::qstash::destination::is_hosted;

/// Who enforces caps, and what becomes of a cancel without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// Who enforces them.
    pub enforced_by: CapEnforcedBy,
    /// What becomes of a cancel that has none and needs one.
    pub on_missing: OnMissingCap,
}

/// Who enforces caps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CapEnforcedBy {
    /// The guard where the upstream is hosted QStash, which ignores `count`; else the upstream.
    #[default]
    Auto,
    /// The upstream, which is trusted to honour `count`.
    Qstash,
    /// The guard: it lists what matches, and cancels by ids.
    Guard,
}

/// What becomes of a cancel that is not by ids and has no `count`, where the policy asks for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMissingCap {
    /// It is refused.
    #[default]
    Deny,
    /// The guard caps it at `max_count`; where the upstream enforces caps, it is refused.
    ApplyMaxCount,
}

/// The cap of one cancel, which the guard enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardedCap {
    /// The most messages that it may take.
    pub count: u64,
    /// The most ids of one request to the upstream.
    pub max_message_ids: usize,
}

impl Caps {
    /// Whether the guard enforces caps before an upstream of this host.
    pub fn are_guards(self, upstream_host: &str) -> bool {
        match self.enforced_by {
            CapEnforcedBy::Auto => is_hosted(upstream_host),
            CapEnforcedBy::Qstash => false,
            CapEnforcedBy::Guard => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_the_guard_before_hosted_qstash() {
        let caps = |enforced_by| Caps {
            enforced_by,
            ..Caps::default()
        };
        for (host, hosted) in [
            ("qstash.upstash.io", true),
            ("QStash-US-East-1.Upstash.IO.", true),
            ("upstash.io", true),
            ("127.0.0.1", false),
            ("notupstash.io", false),
            ("upstash.io.example", false),
        ] {
            assert_eq!(caps(CapEnforcedBy::Auto).are_guards(host), hosted, "{host}");
            assert!(caps(CapEnforcedBy::Guard).are_guards(host));
            assert!(!caps(CapEnforcedBy::Qstash).are_guards(host));
        }
    }
}
