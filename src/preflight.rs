//! What must be there before anything starts, each with one sentence that says what to do.

use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use secrecy::ExposeSecret;

use crate::clock::Clock;
use crate::config::{Config, IngestStart, ReleaseMode};
use crate::kafka::{Admin, KafkaSettings};
use crate::rules::shadow::Mode;
use crate::store::deployment::{Deployment, GoingLive};
use crate::store::{Store, StoreError};

/// The Kafka settings out of the configuration.
#[must_use]
pub fn kafka_settings(config: &Config) -> KafkaSettings {
    KafkaSettings {
        brokers: config.kafka.brokers.clone(),
        group: config.kafka.group.clone(),
        name: config.name.clone(),
        properties: config
            .kafka
            .properties
            .iter()
            .map(|(key, value)| (key.clone(), value.expose_secret().to_owned()))
            .collect(),
        transactional: true,
        insecure_dev: config.kafka.insecure_dev,
    }
}

/// Connects to the database.
///
/// # Errors
/// One sentence that says what to do.
pub async fn connect(config: &Config, clock: Clock) -> anyhow::Result<Store> {
    match Store::connect(&config.database, clock).await {
        Err(refused @ StoreError::Refused(_)) => Err(refused.into()),
        other => other.context("is Postgres running, and is database.url right?"),
    }
}

/// Refuses a database whose schema this program does not know.
///
/// # Errors
/// One sentence that says what to do.
pub async fn check_schema(store: &Store) -> anyhow::Result<()> {
    match store.schema_version().await? {
        (_, None) => bail!("the database has no tables yet: run `holdback migrate`"),
        (newest, Some(taken)) if taken < newest => {
            bail!(
                "the database's schema is at version {taken}, this program needs {newest}: run `holdback migrate`"
            )
        }
        (newest, Some(taken)) if taken > newest => {
            bail!(
                "the database's schema is at version {taken}, this program knows {newest}: use a newer holdback"
            )
        }
        _ => Ok(()),
    }
}

/// Refuses to start without its topics.
///
/// # Errors
/// One sentence that says what to do.
pub async fn check_topics(admin: &Arc<Admin>, config: &Config) -> anyhow::Result<()> {
    let missing = missing_topics(admin, config).await?;
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "these topics are missing: {}; run `holdback topics`",
        missing.join(", ")
    )
}

/// The topics that are not there.
///
/// # Errors
/// When the broker does not answer.
pub async fn missing_topics(admin: &Arc<Admin>, config: &Config) -> anyhow::Result<Vec<String>> {
    let names: Vec<String> = config
        .topics
        .inputs()
        .into_iter()
        .chain(config.topics.outputs())
        .map(str::to_owned)
        .collect();
    let asker = Arc::clone(admin);
    let wanted = names.clone();
    let counts = tokio::task::spawn_blocking(move || {
        let names: Vec<&str> = wanted.iter().map(String::as_str).collect();
        asker.partition_counts(&names)
    })
    .await?
    .with_context(|| {
        format!(
            "is Kafka running at {}, and are kafka.brokers and security.protocol right?",
            config.kafka.brokers
        )
    })?;
    Ok(names
        .into_iter()
        .filter(|name| counts.get(name).copied().flatten().is_none())
        .collect())
}

/// The deployment as its first start founded it; on that first start what the configuration says.
pub async fn found(
    store: &Store,
    config: &Config,
) -> anyhow::Result<(Deployment, Option<IngestStart>)> {
    if let Some(known) = store.deployment().await? {
        if known.name != config.name {
            bail!(
                "this database belongs to the deployment \"{}\", not to \"{}\"",
                known.name,
                config.name
            );
        }
        // A later value of release.not_before would let holds go that need a person, or hold back
        // what is due already: the first start's stays. Partitions that are new since hold new
        // messages and are read from their beginning; those that no worker has taken up yet are
        // read as the first start said.
        let start = parse_start(&known.ingest_start)?;
        let mode = agree(store, config, known.mode).await?;
        return Ok((Deployment { mode, ..known }, Some(start)));
    }
    let start = config.ingest.start.ok_or_else(|| {
        anyhow!("this is the first start: say with ingest.start where to begin to read (earliest, latest or an instant)")
    })?;
    let not_before = config.release.not_before.ok_or_else(|| {
        anyhow!("this is the first start: say with release.not_before from when on holds are released; what was due before needs a person")
    })?;
    let deployment = Deployment {
        name: config.name.clone(),
        ingest_start: show_start(start),
        release_not_before: not_before,
        mode: match config.release.mode {
            ReleaseMode::Live => Mode::Live,
            ReleaseMode::Shadow => Mode::Shadow { live_from: None },
        },
    };
    agree(store, config, deployment.mode).await?;
    store.found_deployment(&deployment).await?;
    let known = store
        .deployment()
        .await?
        .ok_or_else(|| anyhow!("the deployment's row has vanished"))?;
    let start = parse_start(&known.ingest_start)?;
    let mode = agree(store, config, known.mode).await?;
    Ok((Deployment { mode, ..known }, Some(start)))
}

/// Who pays releases, after the settings have had their say: a shadow may be given a date to go live
/// on, and nothing else changes that could make two systems pay, or none.
async fn agree(store: &Store, config: &Config, known: Mode) -> anyhow::Result<Mode> {
    let wished = config.release.live_from;
    match (config.release.mode, known, wished) {
        (ReleaseMode::Shadow, _, Some(_)) => {
            bail!("release.live_from is for release.mode = \"live\": a shadow stays one until then")
        }
        (ReleaseMode::Shadow, Mode::Live, None) => bail!(
            "this deployment releases by itself and can't become a shadow, nobody would pay: stop releases with `holdback pause`, and give a shadow a database and output topics of its own"
        ),
        (
            ReleaseMode::Shadow,
            Mode::Shadow {
                live_from: Some(from),
            },
            None,
        ) => bail!(
            "this deployment goes live on settlement date {from}: set release.mode = \"live\"; a later release.live_from puts it off"
        ),
        (ReleaseMode::Live, Mode::Shadow { live_from: None }, None) => bail!(
            "this deployment is a shadow: to go live set release.live_from to the first settlement date that holdback shall pay; what settles before stays the other system's"
        ),
        (ReleaseMode::Live, Mode::Live, Some(_)) => bail!(
            "release.live_from is for a deployment that began as a shadow; this one releases by itself"
        ),
        (ReleaseMode::Live, Mode::Shadow { live_from }, Some(from)) if live_from != Some(from) => {
            match store.go_live(from).await? {
                GoingLive::Set => Ok(Mode::Shadow {
                    live_from: Some(from),
                }),
                GoingLive::TooSoon(latest) => bail!(
                    "release.live_from must be later than {latest}: shadows that settle until then may have been decided, and nobody would pay them"
                ),
                GoingLive::Begun(since) => bail!(
                    "release.live_from is {from}, and this deployment has been live since {since}"
                ),
                GoingLive::Live => bail!("the deployment has changed meanwhile: start again"),
            }
        }
        _ => Ok(known),
    }
}

fn show_start(start: IngestStart) -> String {
    match start {
        IngestStart::Earliest => "earliest".to_owned(),
        IngestStart::Latest => "latest".to_owned(),
        IngestStart::At(instant) => instant.to_string(),
    }
}

fn parse_start(text: &str) -> anyhow::Result<IngestStart> {
    Ok(match text {
        "earliest" => IngestStart::Earliest,
        "latest" => IngestStart::Latest,
        instant => IngestStart::At(crate::rules::time::Instant::new(instant.parse()?)),
    })
}
