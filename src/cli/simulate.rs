//! `qstash-guard simulate`: the in-memory QStash on a port.

use std::{io, net::SocketAddr, time::Duration};

use jiff::SignedDuration;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::simulator::{CountHandling, DEV_TOKEN, Options, Simulator};

/// The longest wait that can be asked for.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// Runs an in-memory QStash for tests, the demo and benchmarks. It delivers nothing and keeps nothing
///
/// It is either generation of QStash, before or since September 2026: --count says which. Messages stay pending until they
/// are cancelled. One labelled `in-flight` can't be, a bulk action over one labelled `slow-cancel` takes a second longer
/// than --wait, and one to the host dead.example is in the DLQ at once.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Simulate {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,

    /// What `count` does on a bulk cancel, and with it which QStash this is
    #[arg(long, value_enum, value_name = "HANDLING", default_value = "ignored")]
    pub(crate) count: CountHandling,

    /// How many messages are pending on start
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) messages: usize,

    /// How long a cancel by filter waits for its bulk action before it answers 429, like 250ms or 1m
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration)]
    pub(crate) wait: Duration,

    /// How many bulk actions may run at a time; one more answers 412
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) max_running: usize,

    /// How many log entries are kept, the newest; a message without one is pending, but not listed [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) log_entries: Option<usize>,

    /// How many messages arrive after each page of logs but the last, like the newest on it
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) late_arrivals: usize,

    /// The token that requests must carry; the default is the public one of Upstash's own development server
    #[arg(long, value_name = "T", default_value = DEV_TOKEN, hide_default_value = true)]
    pub(crate) token: String,
}

impl Simulate {
    /// Serves until SIGINT or SIGTERM.
    ///
    /// # Errors
    /// The address can't be listened on, or no signal handler can be set.
    pub(crate) async fn run(self) -> io::Result<()> {
        let listener = TcpListener::bind(self.listen).await?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        greet(listener.local_addr()?, self.messages);
        let simulator = Simulator::new(Options {
            count: self.count,
            messages: self.messages,
            token: self.token,
            wait: self.wait,
            max_running: self.max_running,
            log_entries: self.log_entries.unwrap_or(usize::MAX),
            late_arrivals: self.late_arrivals,
        });
        let stop = async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        simulator.serve(listener, stop).await
    }
}

/// A duration as jiff reads it: `250ms`, `10s`, `1m`; a day at most.
fn duration(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    Duration::try_from(duration)
        .ok()
        .filter(|duration| *duration <= LONGEST_WAIT)
        .ok_or_else(|| "a wait is from 0s to 24h".to_owned())
}

fn greet(address: SocketAddr, messages: usize) {
    anstream::println!(
        "simulated QStash on http://{address}, {messages} messages pending: for tests, the demo and benchmarks; it \
         keeps everything in memory and delivers nothing"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits() {
        for (text, milliseconds) in [("250ms", 250), ("0s", 0), ("1m", 60_000), ("24h", 86_400_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "10", "-1s", "25h", "9223372036854775807s", "1 week", "soon"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
