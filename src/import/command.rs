//! The command: a file in, what was taken over or everything that is wrong with it out.

use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::{Fault, ImportError, read, take_over};
use crate::cli::ImportArgs;
use crate::clock::Clock;
use crate::commands::say;
use crate::config::Config;
use crate::operator::By;
use crate::preflight;

/// Takes a file over, or says what it would come to.
///
/// # Errors
/// When anything in it is wrong, each fault having been said, or the database fails.
pub async fn run(config: Config, args: &ImportArgs) -> anyhow::Result<()> {
    let by = By::new(&args.by.actor, &args.by.reason)?;
    let path = args.file.display();
    let file = std::fs::read(&args.file).with_context(|| format!("can't read {path}"))?;
    let lines = read(&file).or_else(|faults| refused(&faults))?;
    let store = preflight::connect(&config, Clock::Database).await?;
    preflight::check_schema(&store).await?;
    let done = match take_over(&store, &Arc::new(config), &lines, &by, args.dry_run).await {
        Err(ImportError::Faults(faults)) => return refused(&faults),
        other => other?,
    };
    let would = if args.dry_run { "would be " } else { "" };
    say(&format!(
        "{} orders, {} deposits, {} receivables {would}imported; {} lines were imported before",
        done.orders, done.deposits, done.receivables, done.known
    ));
    for (currency, [held, deposit, owed]) in &done.sums {
        say(&format!(
            "  {held} {currency} held, {deposit} {currency} in deposit, {owed} {currency} owed"
        ));
    }
    if let Some(operation) = done.operation {
        say(&format!("operation {operation}"));
    }
    Ok(())
}

fn refused<T>(faults: &[Fault]) -> anyhow::Result<T> {
    for Fault { line, what } in faults {
        say(&format!("line {line}: {}", what.trim_start_matches(": ")));
    }
    bail!("{} faults; nothing was imported", faults.len())
}
