//! `qstash-guard run`: the proxy.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::fail;
use crate::app::Guard;
use crate::config::{self, Overrides, Watched};
use crate::telemetry::logs;

/// Run the proxy
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Run {
    #[arg(
        long,
        value_name = "FILE",
        help = "The configuration; without it $QSTASH_GUARD_CONFIG, else ./config/guard.yaml, else \
                /etc/qstash-guard/guard.yaml, else the built-in defaults"
    )]
    config: Option<PathBuf>,
    /// The address to serve on, in place of listen.address
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// The address of health and metrics, in place of admin.address
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// Where requests go, in place of upstream.url
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
}

impl Run {
    /// Runs until SIGTERM or SIGINT: 0 after a clean shutdown, 1 on an error at the start.
    pub(crate) fn run(&self) -> ExitCode {
        let (runtime, hangups) = match hangups() {
            Ok(prepared) => prepared,
            Err(error) => return fail(&error),
        };
        let overrides = Overrides {
            listen: self.listen,
            admin: self.admin,
            upstream: self.upstream.clone(),
        };
        let mut watched = Watched::new(config::locate(self.config.as_deref()), overrides);
        let loaded = match watched.start(&config::process_environment) {
            Ok(loaded) => loaded,
            Err(faults) => {
                anstream::eprint!("{}", faults.render(true));
                return ExitCode::FAILURE;
            }
        };
        logs::start(loaded.settings.log);
        for warning in loaded.warnings_at(Timestamp::now()) {
            tracing::warn!("{}", warning.message());
        }
        let settings = loaded.settings;
        let policy = settings.policy.digest.clone();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let mut guard = match Guard::start_on(runtime, settings, cores) {
            Ok(guard) => guard,
            Err(error) => return fail(&error),
        };
        let (address, admin, config) = (guard.address(), guard.admin(), watched.name());
        guard.reload_from(watched, hangups);
        let told = async {
            let signals = Signals::listen();
            // Whoever reads this may answer with a signal at once, so the handlers come first.
            tracing::info!(
                %address,
                admin = admin.map(tracing::field::display),
                config,
                policy,
                "listening"
            );
            Signals::told_to_stop(signals).await;
        };
        match guard.run_until(told) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        }
    }
}

/// The runtime of all that is no request, and SIGHUP, which would end the process until it is taken over: whoever starts
/// a guard may ask it to reload at once.
fn hangups() -> io::Result<(Runtime, Signal)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let context = runtime.enter();
    let hangups = signal(SignalKind::hangup())?;
    drop(context);
    Ok((runtime, hangups))
}

/// What tells a guard to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over from the system, which would end the process at once.
    fn listen() -> io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Resolves on SIGTERM or SIGINT, and where they cannot be received.
    async fn told_to_stop(signals: io::Result<Self>) {
        match signals {
            Ok(mut signals) => tokio::select! {
                _ = signals.terminate.recv() => tracing::info!(signal = "SIGTERM", "stopping"),
                _ = signals.interrupt.recv() => tracing::info!(signal = "SIGINT", "stopping"),
            },
            Err(error) => tracing::error!(%error, "signals cannot be received; stopping"),
        }
    }
}
