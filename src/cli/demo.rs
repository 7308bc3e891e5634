//! `qstash-guard demo`: an in-memory QStash, a guard before it, and requests that meet what they should.

mod run;
mod steps;
mod tell;

use std::process::ExitCode;

use super::fail;

/// Try the guard: no account, no network, nothing left behind
///
/// Starts an in-memory QStash and a guard before it on free ports, sends requests through, shows what each met, and
/// the trail that they left. Exits with 0 if every request met what it should.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Demo;

impl Demo {
    /// Runs the command.
    #[expect(clippy::unused_self, reason = "commands are run alike")]
    pub(crate) fn run(self) -> ExitCode {
        match run::run() {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => fail(&error),
        }
    }
}
