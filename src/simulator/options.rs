//! What a simulator can be told on start.

use std::{str::FromStr, time::Duration};

/// The public token of Upstash's own local development server (QStash docs: local development). It guards nothing.
pub const DEV_TOKEN: &str = "eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0=";

/// What a bulk cancel makes of its `count` parameter, and with it which QStash is simulated: the two generations differ in
/// more than the count (QStash API: Bulk cancel, before and since September 2026).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum CountHandling {
    /// QStash before September 2026, and its local development server: at most `count` messages go, oldest first, and a
    /// count that is no positive integer answers 400. A cancel is over when it is answered, with 200; `async` means nothing
    /// and there are no bulk actions. At the first message that can't be cancelled it stops with 400, and those before it
    /// are gone.
    Honoured,
    /// QStash since September 2026: `count` changes nothing. A cancel by filter is a bulk action: 202 with the number of
    /// matches, at once with `async=true`, else within the wait; 429 when it takes longer, and it goes on running; 412 when
    /// too many run. Messages that can't be cancelled are passed over.
    #[default]
    Ignored,
}

impl FromStr for CountHandling {
    type Err = UnknownCountHandling;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "honoured" => Ok(Self::Honoured),
            "ignored" => Ok(Self::Ignored),
            _ => Err(UnknownCountHandling(())),
        }
    }
}

/// The text names no [`CountHandling`].
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("expected `honoured` or `ignored`")]
pub struct UnknownCountHandling(());

/// How a [`Simulator`](super::Simulator) behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// What `count` does on a bulk cancel, and which generation of QStash it is.
    pub count: CountHandling,
    /// How many messages are seeded on start, see [`Simulator::seed`](super::Simulator::seed).
    pub messages: usize,
    /// The token that requests must carry.
    pub token: String,
    /// How long a filter cancel waits for its bulk action before it answers 429 (QStash API: Bulk cancel, one minute).
    pub wait: Duration,
    /// How many bulk actions may run at a time; one more answers 412 (QStash API: Bulk cancel, 1000).
    pub max_running: usize,
    /// How many log entries, the newest, can be listed; a message whose entries are all older is pending all the same.
    /// QStash keeps entries for days, by plan; a number needs no waiting.
    pub log_entries: usize,
    /// How many messages arrive after each page of logs that is not the last: copies of the newest message on it.
    pub late_arrivals: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            count: CountHandling::default(),
            messages: 0,
            token: DEV_TOKEN.to_owned(),
            wait: Duration::from_mins(1),
            max_running: 1000,
            log_entries: usize::MAX,
            late_arrivals: 0,
        }
    }
}
