//! The binary: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    qstash_guard::cli::Arguments::parse().execute()
}
