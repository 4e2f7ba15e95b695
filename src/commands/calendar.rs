//! `holdback calendar import`: reads the file, and prints the message or sends it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

use super::say;
use crate::calendar_import::{
    CONTENT_TYPE, CalendarArgs, CalendarCommand, Fault, Imported, import,
};
use crate::config::Config;
use crate::kafka::{Admin, KafkaSettings, OutRecord, OutputProducer};
use crate::preflight;

/// The longest file, in bytes: a hundred years of one country's holidays are far less.
const FILE_MAX: u64 = 2 << 20;
/// How many faults are told; a file of another kind has one on every line.
const FAULTS_TOLD: usize = 50;
/// How long the broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the command; `configured` is asked for the settings only to send.
///
/// # Errors
/// All faults of the file, one line each; or what kept the message from being sent.
pub(super) async fn run(
    args: CalendarArgs,
    configured: impl FnOnce() -> anyhow::Result<Config>,
) -> anyhow::Result<()> {
    let CalendarCommand::Import(args) = args.command;
    let content = read_file(&args.file).with_context(|| args.file.display().to_string())?;
    let imported = import(&content, &args.options).map_err(|faults| {
        let told: Vec<String> = faults
            .iter()
            .take(FAULTS_TOLD)
            .map(Fault::to_string)
            .collect();
        let more = match faults.len().saturating_sub(FAULTS_TOLD) {
            0 => String::new(),
            more => format!("\nand {more} more"),
        };
        let file = args.file.display();
        anyhow::anyhow!("{file} is refused:\n{}{more}", told.join("\n"))
    })?;
    if args.produce {
        let config = configured()?;
        send(&config, &args.options.calendar, &imported).await?;
        say(&format!("sent to {}", config.topics.merchant));
    } else {
        say(&imported.message);
    }
    // Beside the message, so that what is printed can be piped on.
    drop(writeln!(std::io::stderr(), "{imported}"));
    Ok(())
}

fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?
        .take(FILE_MAX + 1)
        .read_to_end(&mut content)?;
    if u64::try_from(content.len())? > FILE_MAX {
        bail!("over {} MiB: that is no file of holidays", FILE_MAX >> 20);
    }
    Ok(content)
}

/// Writes the message to the merchant topic and waits until the broker has it. Without a
/// transaction: that of the deployment belongs to the running publisher, and one message needs none.
async fn send(config: &Config, calendar: &str, imported: &Imported) -> anyhow::Result<()> {
    let kafka = KafkaSettings {
        transactional: false,
        ..preflight::kafka_settings(config)
    };
    kafka.check()?;
    let admin = Arc::new(Admin::open(&kafka, PATIENCE)?);
    // Written to, a topic that is missing would be created by some brokers.
    let topic = config.topics.merchant.clone();
    if preflight::missing_topics(&admin, config)
        .await?
        .contains(&topic)
    {
        bail!("the topic {topic} is missing: run `holdback topics`");
    }
    let (key, message) = (calendar.to_owned(), imported.message.clone());
    tokio::task::spawn_blocking(move || {
        let producer = OutputProducer::open(&kafka, PATIENCE)?;
        producer.send_batch([OutRecord {
            topic: &topic,
            key: Some(key.as_bytes()),
            headers: vec![("content-type", Some(CONTENT_TYPE.as_bytes()))],
            payload: Some(message.as_bytes()),
            timestamp_ms: None,
        }])
    })
    .await?
    .context("the calendar was not sent")?;
    Ok(())
}
