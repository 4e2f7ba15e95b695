//! Everything that the demo stands on: a Postgres of its own, the stand-in broker, and the service
//! itself between them, configured as a person would.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::broker::DemoBroker;
use super::postgres::{LocalPostgres, PostgresError, PostgresOptions, Progress, free_port};
use super::say;
use crate::cli::Role;
use crate::clock::{Clock, ManualClock};
use crate::config::{Config, Topics};
use crate::kafka::KafkaSettings;
use crate::preflight;
use crate::rules::time::Instant;
use crate::service::{self, Controls, Service};

/// Of each topic of the stand-in broker.
pub const PARTITIONS: i32 = 3;

/// What the service stands on; dropping it takes everything away.
#[derive(Debug)]
pub struct Stage {
    postgres: LocalPostgres,
    broker: DemoBroker,
    http: SocketAddr,
    log: PathBuf,
}

/// The service, ready to run.
pub struct Cast {
    pub service: Service,
    pub controls: Controls,
    pub roles: BTreeSet<Role>,
    pub kafka: KafkaSettings,
    pub topics: Topics,
}

impl Stage {
    /// Starts Postgres and the broker. Blocks, and says what it is that takes time.
    ///
    /// # Errors
    /// One sentence when there is no way to a Postgres on this machine.
    pub fn build() -> anyhow::Result<Self> {
        let log = start_log().context("the demo's log can't be written")?;
        let postgres = start_postgres()?;
        let topics = [
            "order-completed",
            "refund",
            "dispute",
            "merchant",
            "payout-result",
        ]
        .into_iter()
        .chain([
            "holdback-releases",
            "holdback-events",
            "holdback-dead-letters",
        ]);
        let topics: Vec<(&str, i32)> = topics.map(|name| (name, PARTITIONS)).collect();
        let broker = DemoBroker::start(&topics)?;
        let http = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        Ok(Self {
            postgres,
            broker,
            http,
            log,
        })
    }

    /// Where to look in with one's own tools, a line each: what it is, where, and how.
    #[must_use]
    pub fn addresses(&self) -> [(&'static str, String); 4] {
        let broker = self.broker.bootstrap_servers();
        [
            (
                "broker",
                format!("kcat -b {broker} -t holdback-releases -C"),
            ),
            ("database", format!("psql {}", self.postgres.url())),
            ("http", format!("curl http://{}/readyz", self.http)),
            ("log", self.log.display().to_string()),
        ]
    }

    /// Makes the tables and prepares the service under a clock of the demo's.
    ///
    /// # Errors
    /// What keeps the service from starting.
    pub async fn cast(&self, clock: &ManualClock, from: Timestamp) -> anyhow::Result<Cast> {
        let config = self.config(from)?;
        let clock = Clock::Manual(clock.clone());
        let store = preflight::connect(&config, clock.clone()).await?;
        store.migrate().await?;
        let mut kafka = preflight::kafka_settings(&config);
        kafka.transactional = false;
        let roles = BTreeSet::from(Role::ALL);
        let controls = Controls::new(service::start_metrics()?, &roles);
        let topics = config.topics.clone();
        let service = Service::prepare_with(config, clock, kafka.clone()).await?;
        Ok(Cast {
            service,
            controls,
            roles,
            kafka,
            topics,
        })
    }

    fn config(&self, from: Timestamp) -> anyhow::Result<Config> {
        let from = Instant::new(from).to_string();
        let (url, http) = (self.postgres.url(), self.http.to_string());
        let pairs = [
            ("HOLDBACK_NAME", "demo"),
            ("HOLDBACK_DATABASE_URL", &url),
            ("HOLDBACK_KAFKA_BROKERS", self.broker.bootstrap_servers()),
            ("HOLDBACK_HTTP_ADDR", &http),
            ("HOLDBACK_INGEST_START", "earliest"),
            ("HOLDBACK_RELEASE_NOT_BEFORE", &from),
            // The stand-in makes a second member of a group wait for seconds.
            ("HOLDBACK_INGEST_WORKERS", "1"),
            // Simulated: a day passes in a few seconds, while the gate looks around five times in
            // a real one.
            ("HOLDBACK_RELEASE_MAX_STALENESS_SECONDS", "86400"),
        ];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Config::load(None, pairs.into_iter())?)
    }
}

/// Logs go to a file: the view has the terminal for itself.
fn start_log() -> anyhow::Result<PathBuf> {
    let name = format!("holdback-demo-{}.log", std::process::id());
    let path = std::env::temp_dir().join(name);
    let file = std::fs::File::create(&path)?;
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(panic = %panic, "this is a bug in holdback");
    }));
    tracing_subscriber::fmt()
        .compact()
        .with_ansi(false)
        .with_max_level(tracing::Level::INFO)
        .with_writer(Mutex::new(file))
        .finish()
        .try_init()?;
    Ok(path)
}

fn start_postgres() -> Result<LocalPostgres, PostgresError> {
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
    bar.set_style(style.expect("the template is right"));
    bar.enable_steady_tick(Duration::from_millis(100));
    let seen = std::io::stderr().is_terminal();
    let progress = |progress: Progress| {
        bar.set_message(progress.to_string());
        if !seen && matches!(progress, Progress::Downloading { .. }) {
            say(&progress.to_string());
        }
    };
    let started = LocalPostgres::start(&PostgresOptions {
        // Nothing outlives the demo, so nothing needs to reach the disk.
        settings: &[("fsync", "off"), ("synchronous_commit", "off")],
        progress: &progress,
    });
    bar.finish_and_clear();
    started
}
