//! `qstash-guard schema`: the JSON Schema of the configuration.

use std::io::Write as _;
use std::process::ExitCode;

use crate::config;

/// Print the JSON Schema of the configuration
///
/// With it, editors check a configuration and explain its keys while it is written. Keep it beside
/// the file as guard.schema.json, and let the file begin with
///
///   # yaml-language-server: $schema=guard.schema.json
#[derive(Clone, Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Schema {}

impl Schema {
    /// Runs the command; 1 only where nothing can be written.
    #[expect(clippy::unused_self, reason = "every command runs as a method of its arguments")]
    pub(crate) fn run(&self) -> ExitCode {
        match writeln!(anstream::stdout().lock(), "{:#}", config::schema()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => super::fail(&error),
        }
    }
}
