//! The binary: reads the command line, runs one command, and says in one sentence what went wrong.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use holdback::cli::Cli;
use holdback::commands;
use holdback::config::ConfigErrors;

/// A fifth less time than with the system's allocator for a million messages through `simulate`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = tokio::runtime::Runtime::new()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let outcome = runtime.block_on(commands::execute(cli));
            // Dropped, it would wait for calls to a broker that is away, beyond every deadline;
            // shut down, it would pull the floor from under loops that are still at work.
            std::mem::forget(runtime);
            outcome
        });
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    // Nothing is left to tell it to when standard error is gone.
    drop(writeln!(std::io::stderr(), "holdback: {error:#}"));
    ExitCode::from(if error.is::<ConfigErrors>() { 2 } else { 1 })
}
