//! How the trail is kept.

use std::path::PathBuf;
use std::time::Duration;

/// `audit` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where records go.
    pub sink: Sink,
    /// When a record counts as written.
    pub durability: Durability,
    /// How long a write may take before the sink counts as failed.
    pub write_timeout: Duration,
    /// What happens to guarded requests while the trail cannot be written.
    pub on_failure: OnFailure,
    /// Which requests leave a record.
    pub record: Recorded,
    /// A file is rotated once it would grow past this many bytes.
    pub max_size: u64,
    /// How many rotated files are kept.
    pub keep: Keep,
    /// Whether rotated files are compressed.
    pub compress: bool,
    /// The file with the key that heads of the chain are signed with.
    pub signing_key: Option<PathBuf>,
    /// Whether QStash is asked what became of bulk actions.
    pub follow_bulk_actions: bool,
}

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Nowhere: no trail is kept.
    None,
    /// Standard output: one line a record, no rotation, no recovery.
    Stdout,
    /// A file, created with its folder; rotated beside itself.
    File(PathBuf),
}

/// When a record counts as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Once it is on disk (fdatasync returned).
    Sync,
    /// Once the operating system has it.
    Buffered,
}

/// What happens to guarded requests while the trail cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// They are refused with `audit_unavailable`.
    Deny,
    /// They go on, unrecorded.
    Allow,
}

/// Which requests leave a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Guarded and refused ones.
    Guarded,
    /// All.
    All,
}

/// How many rotated files are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All of them.
    All,
    /// This many; the oldest go, and are recorded as `pruned`.
    Newest(u32),
}
