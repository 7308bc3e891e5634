//! `qstash-guard simulate`: the in-memory QStash on a port.

use std::{io, net::SocketAddr};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::simulator::{CountHandling, DEV_TOKEN, Options, Simulator};

/// Runs an in-memory QStash for tests, the demo and benchmarks. It delivers nothing and keeps nothing.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Simulate {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,

    /// What `count` does on a bulk cancel: hosted QStash has ignored it since September 2026
    #[arg(long, value_enum, value_name = "HANDLING", default_value = "ignored")]
    pub(crate) count: CountHandling,

    /// How many messages are pending on start
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) messages: usize,

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
            ..Options::default()
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

fn greet(address: SocketAddr, messages: usize) {
    anstream::println!(
        "simulated QStash on http://{address}, {messages} messages pending: for tests, the demo and benchmarks; it \
         keeps everything in memory and delivers nothing"
    );
}
