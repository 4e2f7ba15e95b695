//! `holdback agreement check`: every fault of an agreement by its JSON pointer, or what it agrees in
//! a few lines. Needs no settings, no database and no broker.

use std::path::Path;

use anyhow::{Context as _, bail};
use jiff::civil::Date;

use super::say;
use crate::agreement::summary;
use crate::message::check;

/// Says on standard output what is wrong with the agreement in the file, or what it says.
///
/// # Errors
/// When the file can't be read, and when anything is wrong with the agreement.
pub(super) fn check(file: &Path, from: Option<Date>) -> anyhow::Result<()> {
    let bytes = std::fs::read(file).with_context(|| format!("can't read {}", file.display()))?;
    match check::agreement(&bytes) {
        Ok(agreement) => {
            summary(&agreement, from).iter().for_each(|line| say(line));
            Ok(())
        }
        Err(faults) => {
            faults.iter().for_each(|fault| say(fault));
            bail!("{}: {} wrong", file.display(), count(faults.len(), "thing"))
        }
    }
}

fn count(n: usize, what: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {what}{plural}")
}
