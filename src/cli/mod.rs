//! The commands, one file each.

mod audit;
mod check;
mod demo;
mod explain;
mod health;
mod key;
mod rehearse;
mod run;
mod schema;
mod simulate;
mod test;

use std::future::Future;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A guard for Upstash QStash: bulk cancels are bounded and recorded, everything else passes unchanged
///
/// Without a command it runs the proxy.
#[derive(Debug, Parser)]
#[command(name = "qstash-guard", version, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::Run,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Check(check::Check),
    Explain(explain::Explain),
    Test(test::Test),
    /// Read the audit trail: show, stats, verify and replay
    Audit(audit::AuditArgs),
    Simulate(simulate::Simulate),
    Demo(demo::Demo),
    Schema(schema::Schema),
    Key(key::Key),
    Health(health::Health),
}

impl Arguments {
    /// Does what was asked.
    pub fn execute(self) -> ExitCode {
        match self.command {
            None => self.run.run(),
            Some(Command::Run(run)) => run.run(),
            Some(Command::Check(check)) => check.run(),
            Some(Command::Explain(explain)) => explain.run(),
            Some(Command::Test(test)) => test.run(),
            Some(Command::Audit(args)) => audit::run(&args),
            Some(Command::Simulate(simulate)) => block_on(simulate.run()),
            Some(Command::Demo(demo)) => demo.run(),
            Some(Command::Schema(schema)) => schema.run(),
            Some(Command::Key(key)) => key.run(),
            Some(Command::Health(health)) => health.run(),
        }
    }
}

/// Runs a command that waits for the network; its error goes to standard error.
fn block_on(command: impl Future<Output = std::io::Result<()>>) -> ExitCode {
    let done = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(command));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Says why a command cannot do its work.
fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    anstream::eprintln!("error: {error}");
    ExitCode::FAILURE
}
