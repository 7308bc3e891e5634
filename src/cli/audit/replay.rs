//! `qstash-guard audit replay`: recorded requests under another policy.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::Fault;
use crate::audit::read::{self, ShowError};
use crate::audit::replay::{Candidate, Tell, Told, replay};
use crate::config;

/// Arguments of `audit replay`.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct ReplayArgs {
    /// Audit files, and folders of them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The configuration to decide by; found as `run` finds it
    #[arg(long, value_name = "NEW")]
    config: Option<PathBuf>,
    /// JSON Lines: an object for each change, one with the totals at the end
    #[arg(long)]
    json: bool,
}

const NOTES: &str = "\
Exits with 0 when nobody would be refused who passed, nor the reverse; with 6 when somebody would; with 1 on an error.

A request is judged by what its record holds: selection, caller, client, time and path. User info in URLs is not \
recorded, nor are extra_parameters of a body. \
What cannot be told for certain is counted with its reason, and no part of the exit code. Requests that were not guarded \
are passed over.

Rate limits are counted by the recorded times, for each guard from full buckets at its start. They are as good as the \
trail: what is not recorded costs nothing, and a limit that counts unguarded operations is left out. A record is written \
somewhat after its decision; where a bucket refills within 2 s of it, what was recorded stands.";

impl ReplayArgs {
    /// Runs the command.
    pub(super) fn run(&self) -> Result<ExitCode, Fault> {
        let located = config::locate(self.config.as_deref());
        let loaded = config::load(&located, &config::process_environment).map_err(Fault::Config)?;
        let settings = &loaded.settings;
        let candidate = Candidate {
            policy: &settings.policy,
            limits: &settings.limits,
        };
        let tell = if self.json { Tell::Json } else { Tell::Text };
        let inputs = read::inputs(&self.paths)?;
        let faults = &mut anstream::stderr().lock();
        // JSON as it is: nothing in it is taken for a colour code and stripped.
        let out: &mut dyn Write = if self.json {
            &mut io::BufWriter::new(io::stdout().lock())
        } else {
            &mut anstream::stdout().lock()
        };
        let totals = replay(&inputs, candidate, faults, |change| tell.change(change, out))?;
        let told = Told {
            name: loaded.source.name(),
            policy: &settings.policy.digest,
        };
        tell.totals(&totals, told, out)
            .and_then(|()| out.flush())
            .map_err(ShowError::Write)?;
        Ok(if totals.changed() {
            ExitCode::from(CHANGES)
        } else {
            ExitCode::SUCCESS
        })
    }
}

/// The exit code when somebody would be refused who passed, or the reverse.
const CHANGES: u8 = 6;
