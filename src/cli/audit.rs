//! `qstash-guard audit`: reading a trail.

mod replay;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use jiff::Timestamp;

use crate::audit::chain::LineHash;
use crate::audit::read::show::{self, Filter, Options, Show, ShowError};
use crate::audit::read::stats::Stats;
use crate::audit::read::{self, ReadError, plot};
use crate::audit::signing::{KeyFault, PublicKeys};
use crate::audit::{Decision, Event};
use crate::config::Faults;
use crate::policy::Code;
use crate::qstash::operation::Operation;

/// How often a followed file is looked at.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(250);

/// Arguments of `audit`.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// What to do with the trail.
    #[command(subcommand)]
    pub(crate) command: AuditCommand,
}

/// What to do with a trail.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Show records as a table or as they are
    Show(ShowArgs),
    /// Sum up requests and cancelled messages by caller, code and day
    Stats(StatsArgs),
    /// Check that no record was changed, removed or moved: exit 0 intact, 4 broken, 5 cannot tell
    Verify(VerifyArgs),
    /// Decide recorded requests again by another configuration: exit 0 no change, 6 changes
    Replay(replay::ReplayArgs),
}

/// Arguments of `audit show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Audit files, and folders of them
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Only records from then on: a time like 2026-11-24T17:00:00Z, or a duration like 2h
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only records of this caller
    #[arg(long, value_name = "NAME")]
    pub(crate) caller: Option<String>,
    /// Only records of this event
    #[arg(long, value_parser = words(Event::ALL.iter().map(|event| event.as_str())))]
    pub(crate) event: Option<String>,
    /// Only records with this decision: with `would_deny`, what would be refused were it not for monitor mode
    #[arg(long, value_parser = words(Decision::ALL.iter().map(|decision| decision.as_str())))]
    pub(crate) decision: Option<String>,
    /// Only records with this code, like `unfiltered_cancel`
    #[arg(long, hide_possible_values = true, value_parser = words(Code::ALL.iter().map(|code| code.as_str())))]
    pub(crate) code: Option<String>,
    /// Only records of this operation, like `messages.bulk_cancel`
    #[arg(long, hide_possible_values = true, value_parser = words(Operation::ALL.iter().map(|op| op.as_str())))]
    pub(crate) operation: Option<String>,
    /// Only cancels of which it is not known what they did, each with the request to check it: outcomes `uncertain`,
    /// intents without an outcome, and bulk actions whose end was not seen
    #[arg(long)]
    pub(crate) uncertain: bool,
    /// Go on with what is written from now on, until interrupted
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// The records as they are, one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `audit stats`.
#[derive(Debug, Args)]
#[command(
    after_help = "A trail is read once, as a stream. Of callers, codes and days the first 10000 each have a row of \
                  their own; what comes beyond is summed in one."
)]
pub(crate) struct StatsArgs {
    /// Audit files, and folders of them
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// One JSON object with every row
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `audit verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Audit files, and folders of them
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// A hash that was kept elsewhere (/audit/head, or the `stopped` log line) and must be in the trail: a chain alone
    /// does not show that its end was cut off
    #[arg(long, value_name = "HASH", value_parser = hash)]
    pub(crate) head: Option<LineHash>,
    /// The public key of the `signing_key_file`, PEM: checks the signature of every checkpoint beside the trail, and that
    /// the trail has its record; so a cut end shows, up to the last checkpoint. May hold several keys
    #[arg(long, value_name = "FILE")]
    pub(crate) public_key: Option<PathBuf>,
}

fn words(words: impl Iterator<Item = &'static str>) -> PossibleValuesParser {
    PossibleValuesParser::new(words.collect::<Vec<_>>())
}

fn hash(text: &str) -> Result<LineHash, String> {
    LineHash::parse(text).ok_or_else(|| "a SHA-256 is 64 hexadecimal digits".to_owned())
}

/// Runs `audit`; what goes wrong is said on standard error.
pub(crate) fn run(args: &AuditArgs) -> ExitCode {
    let result = match &args.command {
        AuditCommand::Show(args) => run_show(args).map(|()| ExitCode::SUCCESS),
        AuditCommand::Stats(args) => run_stats(args).map(|()| ExitCode::SUCCESS),
        AuditCommand::Verify(args) => run_verify(args),
        AuditCommand::Replay(args) => args.run(),
    };
    match result {
        Ok(code) => code,
        // Whoever reads the output (`head`, a pager) has seen enough.
        Err(Fault::Show(ShowError::Write(e))) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Fault::Config(faults)) => {
            _ = write!(anstream::stderr(), "{}", faults.render(true));
            ExitCode::FAILURE
        }
        Err(fault) => {
            _ = writeln!(anstream::stderr(), "error: {fault}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("cannot read the audit trail: {0}")]
    Read(#[from] ReadError),
    #[error("cannot show the audit trail: {0}")]
    Show(#[from] ShowError),
    #[error(transparent)]
    Config(Faults),
    #[error("--public-key {0}")]
    Key(#[from] KeyFault),
    #[error("--since: {0}")]
    Since(String),
    #[error("cannot follow the audit trail: {0}")]
    Follow(io::Error),
}

fn run_show(args: &ShowArgs) -> Result<(), Fault> {
    let since = args
        .since
        .as_deref()
        .map(|text| show::since(text, Timestamp::now()))
        .transpose()
        .map_err(Fault::Since)?;
    let options = Options {
        filter: Filter {
            since,
            caller: args.caller.clone(),
            event: args.event.clone(),
            decision: args.decision.clone(),
            code: args.code.clone(),
            operation: args.operation.clone(),
            uncertain: args.uncertain,
        },
        json: args.json,
        colour: !args.json,
        follow: args.follow,
    };
    let inputs = read::inputs(&args.paths)?;
    let mut show = Show::new(&inputs, options);
    let faults = &mut anstream::stderr().lock();
    // Records as they are: nothing in them is taken for a colour code and stripped.
    let out: &mut dyn Write = if args.json {
        &mut io::BufWriter::new(io::stdout().lock())
    } else {
        &mut anstream::stdout().lock()
    };
    show.run(out, faults)?;
    if args.follow {
        follow(&mut show, out, faults)
    } else {
        Ok(())
    }
}

fn follow(show: &mut Show, out: &mut dyn Write, faults: &mut dyn Write) -> Result<(), Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Fault::Follow)?;
    runtime.block_on(async {
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        let mut ticks = tokio::time::interval(FOLLOW_INTERVAL);
        loop {
            tokio::select! {
                _ = &mut interrupted => return Ok(()),
                _ = ticks.tick() => show.poll(out, faults)?,
            }
        }
    })
}

fn run_stats(args: &StatsArgs) -> Result<(), Fault> {
    let stats = Stats::of(&read::inputs(&args.paths)?, &mut anstream::stderr().lock())?;
    if args.json {
        let mut out = io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, &stats).map_err(|error| ShowError::Write(error.into()))?;
        writeln!(out).map_err(ShowError::Write)?;
    } else {
        let bars = io::stdout().is_terminal();
        plot::write(&stats, bars, &mut anstream::stdout().lock()).map_err(ShowError::Write)?;
    }
    Ok(())
}

fn run_verify(args: &VerifyArgs) -> Result<ExitCode, Fault> {
    let keys = args.public_key.as_deref().map(PublicKeys::read).transpose()?;
    let report = read::settled(
        || read::inputs(&args.paths),
        |inputs| read::verify_signed(inputs, args.head, keys.as_ref()),
    )?;
    write!(anstream::stdout().lock(), "{report}").map_err(ShowError::Write)?;
    Ok(ExitCode::from(report.exit_code()))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Alone {
        #[command(flatten)]
        audit: AuditArgs,
    }

    #[test]
    fn arguments_are_consistent_and_words_are_checked() {
        Alone::command().debug_assert();
        let parsed =
            |args: &[&str]| Alone::try_parse_from([&["audit"], args].concat()).map(|alone| alone.audit.command);
        assert!(matches!(
            parsed(&["show", "--event", "denied", "-f", "a", "b"]),
            Ok(AuditCommand::Show(_))
        ));
        assert!(parsed(&["show"]).is_err() && parsed(&["verify", "--head", "0", "a"]).is_err());
        let fault = parsed(&["show", "--code", "unfiltred_cancel", "a"])
            .expect_err("refused")
            .to_string();
        assert!(fault.contains("unfiltered_cancel"), "{fault}");
    }
}
