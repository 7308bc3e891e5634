//! The log, on standard error: standard output may be the trail's.

use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Registry, fmt, registry, reload};

use super::settings::{Format, Log};

/// Changes the level of the process's log.
static LEVEL: OnceLock<reload::Handle<LevelFilter, Registry>> = OnceLock::new();

/// Starts logging for the process. The first call counts; later ones change nothing.
pub fn start(settings: Log) {
    let terminal = io::stderr().is_terminal();
    let json = match settings.format {
        Format::Auto => !terminal,
        Format::Text => false,
        Format::Json => true,
    };
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let debug = settings.level >= Level::DEBUG;
    let (level, handle) = reload::Layer::new(LevelFilter::from_level(settings.level));
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(colour)
        .with_target(debug);
    let filtered = registry().with(level);
    let started = if json {
        tracing::subscriber::set_global_default(filtered.with(lines.json().flatten_event(true)))
    } else {
        tracing::subscriber::set_global_default(filtered.with(lines))
    };
    if started.is_ok() {
        _ = LEVEL.set(handle);
    }
}

/// Logs from this level on, in a process whose log was started; the form of lines stays.
pub fn set_level(level: Level) {
    if let Some(handle) = LEVEL.get() {
        // It fails only without a subscriber, which is there as long as the process.
        _ = handle.reload(LevelFilter::from_level(level));
    }
}
