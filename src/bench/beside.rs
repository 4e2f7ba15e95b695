//! A rival that is a program of its own: started in each repeat on the orders that holdback had.
//!
//! It is called as `PROGRAM TOPIC ORDERS` with `HOLDBACK_KAFKA_BROKERS` set, and its last line on
//! standard output is one JSON object: `{"subject": …, "phases": [{"phase": …, "events": …,
//! "read_back_per_second": …}]}`.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::figures::Run;

/// Runs it to its end.
pub(super) async fn measure(
    program: &Path,
    brokers: &str,
    topic: &str,
    orders: u64,
) -> anyhow::Result<Run> {
    let mut command = Command::new(program);
    command
        .args([topic, &orders.to_string()])
        .env("HOLDBACK_KAFKA_BROKERS", brokers)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let name = program.display().to_string();
    let output = tokio::task::spawn_blocking(move || command.output())
        .await?
        .with_context(|| format!("{name} can't be started"))?;
    ensure!(output.status.success(), "{name}: {}", output.status);
    let said = String::from_utf8(output.stdout)?;
    let last = said.trim_end().lines().last().unwrap_or_default();
    serde_json::from_str(last)
        .with_context(|| format!("{name} says {last:?}, which are no figures"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_program_is_its_figures() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("rival");
        let script = "#!/bin/sh\necho starting\necho \"{\\\"subject\\\":\\\"$1 $HOLDBACK_KAFKA_BROKERS\\\",\\\"phases\\\":[{\\\"phase\\\":\\\"ingest\\\",\\\"events\\\":$2,\\\"read_back_per_second\\\":7}]}\"\n";
        std::fs::write(&program, script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&program, mode).unwrap();
        let run = runtime
            .block_on(measure(&program, "b:1", "orders", 5))
            .unwrap();
        assert_eq!(run.subject, "orders b:1");
        assert_eq!(run.phases[0].events, 5);
        assert_eq!(run.phases[0].per_second(), Some(7));
    }
}
