//! `qstash-guard demo`: an in-memory QStash, a guard before it, and requests that meet what they should.

mod caps;
mod client;
mod guard;
mod run;
mod side_by_side;
mod steps;
mod tell;

use std::process::ExitCode;

use super::fail;

/// Try the guard: no account, no network, nothing left behind
///
/// Starts an in-memory QStash and a guard before it on free ports, sends requests through, shows what each met, and
/// the trail that they left. Then sends one capped cancel to QStash as it was before and as it is since September 2026, with
/// QStash and with the guard to enforce the cap, and shows how many messages went. Exits with 0 if everything met what it
/// should.
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
