//! `qstash-guard run`: the proxy.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use super::fail;
use crate::app::Guard;
use crate::config;
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
        let located = config::locate(self.config.as_deref());
        let loaded = match config::load(&located, &config::process_environment) {
            Ok(loaded) => loaded,
            Err(faults) => {
                anstream::eprint!("{}", faults.render(true));
                return ExitCode::FAILURE;
            }
        };
        let mut settings = loaded.settings;
        if let Err(error) = self.overrule(&mut settings) {
            return fail(&error);
        }
        logs::start(settings.log);
        for warning in &loaded.warnings {
            tracing::warn!("{}", warning.message());
        }
        let policy = settings.policy.digest.clone();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let guard = match Guard::start(settings, cores) {
            Ok(guard) => guard,
            Err(error) => return fail(&error),
        };
        // Before anyone is told that it listens: a SIGTERM from then on is an orderly end.
        let told_to_stop = {
            let _context = guard.enter();
            told_to_stop()
        };
        tracing::info!(
            address = %guard.address(),
            admin = guard.admin().map(tracing::field::display),
            config = located.name(),
            policy,
            "listening"
        );
        match guard.run_until(told_to_stop) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        }
    }

    fn overrule(&self, settings: &mut config::Settings) -> Result<(), config::Faults> {
        if let Some(address) = self.listen {
            settings.listen.address = address;
        }
        if let Some(address) = self.admin {
            settings
                .admin
                .get_or_insert(crate::server::Admin {
                    address,
                    token_file: None,
                })
                .address = address;
        }
        if let Some(url) = &self.upstream {
            // Read like the key it stands in for, so that it is checked and refused in the same words.
            let text = format!("upstream: {{url: {}}}", serde_json::Value::from(url.as_str()));
            let given = config::compile("--upstream", &text, &|_| None)?;
            settings.policy.upstream_host = given.settings.policy.upstream_host;
            settings.upstream.origin = given.settings.upstream.origin;
        }
        Ok(())
    }
}

/// Resolves on SIGTERM or SIGINT, from the call on: both are received before it returns. To be called within a runtime.
fn told_to_stop() -> impl Future<Output = ()> {
    let (terminate, interrupt) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async {
        let (Ok(mut terminate), Ok(mut interrupt)) = (terminate, interrupt) else {
            tracing::error!("signals cannot be received; stopping");
            return;
        };
        tokio::select! {
            _ = terminate.recv() => tracing::info!(signal = "SIGTERM", "stopping"),
            _ = interrupt.recv() => tracing::info!(signal = "SIGINT", "stopping"),
        }
    }
}
