//! What each command does: reads the settings, starts the logs, and calls the part that does it.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::cli::Cli;
use crate::config::{self, Config, ConfigErrors};
use crate::telemetry;

/// Read when no `--config` names another and it is there.
const DEFAULT_FILE: &str = "holdback.toml";

/// Runs one command to its end.
///
/// # Errors
/// [`ConfigErrors`] when the settings are wrong; else what kept the command from doing its work.
pub async fn execute(cli: Cli) -> anyhow::Result<()> {
    let config = settings(cli.config)?;
    telemetry::start_logs(&config.log)?;
    bail!("{:?} is not in this build", cli.command)
}

/// The settings out of the named file, or out of the default one if it is there, and the
/// environment.
fn settings(named: Option<PathBuf>) -> Result<Config, ConfigErrors> {
    let default = || {
        Path::new(DEFAULT_FILE)
            .is_file()
            .then(|| PathBuf::from(DEFAULT_FILE))
    };
    Config::load(named.or_else(default).as_deref(), config::environment())
}
