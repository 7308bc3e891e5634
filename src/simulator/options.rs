//! What a simulator can be told on start.

use std::{str::FromStr, time::Duration};

/// The public token of Upstash's own local development server (QStash docs: local development). It guards nothing.
pub const DEV_TOKEN: &str = "eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0=";

/// What a bulk cancel makes of its `count` parameter (QStash API: Bulk cancel).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum CountHandling {
    /// At most `count` messages are cancelled, and a count that is no positive integer answers 400: hosted QStash before
    /// September 2026, and the local development server.
    Honoured,
    /// `count` changes nothing, every match is cancelled: hosted QStash since September 2026.
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
    /// What `count` does on a bulk cancel.
    pub count: CountHandling,
    /// How many messages are seeded on start, see [`Simulator::seed`](super::Simulator::seed).
    pub messages: usize,
    /// The token that requests must carry.
    pub token: String,
    /// How long a filter cancel waits for its bulk action before it answers 429 (QStash API: Bulk cancel, one minute).
    pub wait: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            count: CountHandling::default(),
            messages: 0,
            token: DEV_TOKEN.to_owned(),
            wait: Duration::from_mins(1),
        }
    }
}
