//! The log, on standard error: standard output may be the trail's.

use std::io::{self, IsTerminal};

use tracing::Level;
use tracing_subscriber::fmt;

use super::settings::{Format, Log};

/// Starts logging for the process. The first call counts; later ones change nothing.
pub fn start(settings: Log) {
    let terminal = io::stderr().is_terminal();
    let json = match settings.format {
        Format::Auto => !terminal,
        Format::Text => false,
        Format::Json => true,
    };
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber = fmt::fmt()
        .with_max_level(settings.level)
        .with_writer(io::stderr)
        .with_ansi(colour);
    let debug = settings.level >= Level::DEBUG;
    let _ = if json {
        tracing::subscriber::set_global_default(subscriber.json().flatten_event(true).with_target(debug).finish())
    } else {
        tracing::subscriber::set_global_default(subscriber.with_target(debug).finish())
    };
}
