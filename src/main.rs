//! The binary: reads the command line, runs one command, and says in one sentence what went wrong.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use holdback::cli::Cli;
use holdback::commands;
use holdback::config::ConfigErrors;

#[tokio::main]
async fn main() -> ExitCode {
    let Err(error) = commands::execute(Cli::parse()).await else {
        return ExitCode::SUCCESS;
    };
    // Nothing is left to tell it to when standard error is gone.
    drop(writeln!(std::io::stderr(), "holdback: {error:#}"));
    ExitCode::from(if error.is::<ConfigErrors>() { 2 } else { 1 })
}
