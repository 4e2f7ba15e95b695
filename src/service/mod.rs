//! The running service: what is checked before anything starts, which loops run for which roles,
//! and how they end. The loops share nothing but the database; any number of processes may run
//! any of them.

mod loops;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::loops::Loops;
use crate::cli::Role;
use crate::clock::Clock;
use crate::config::{Config, IngestStart};
use crate::control::{self, Control};
use crate::http::{self, Liveness, Readiness};
use crate::ingest::followup::{self, FollowUp};
use crate::ingest::{self, freshness, worker};
use crate::kafka::{Admin, KafkaSettings};
use crate::preflight::{check_schema, check_topics, connect, found, kafka_settings};
use crate::release::{self, Release};
use crate::review::{self, Reviews};
use crate::store::Store;
use crate::store::deployment::Deployment;
use crate::watch as watcher;
use crate::{publish, telemetry};

/// How long a broker may take to answer at the start.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long leaving the group may take: a broker that is away, or that lets it wait for others, is not
/// worth more. What was to be told to it is under way by then.
const LEAVING: Duration = Duration::from_secs(5);
/// A loop that has not ticked for this long is stuck; a statement may take a minute.
const SILENCE_MAX: Duration = Duration::from_secs(150);
/// The same for the loop that sums up days, whose statements may take a quarter of an hour.
const SILENCE_MAX_OF_SUMS: Duration = Duration::from_secs(20 * 60);

/// A service about to run: everything it needs has been found.
#[derive(Debug)]
pub struct Service {
    config: Arc<Config>,
    store: Store,
    kafka: KafkaSettings,
    admin: Arc<Admin>,
    deployment: Deployment,
    /// The first start decides where the input is read from.
    first_start: Option<IngestStart>,
}

/// How a service is told to stop and says how it is.
#[derive(Clone)]
pub struct Controls {
    pub stop: CancellationToken,
    pub liveness: Arc<Liveness>,
    pub readiness: Arc<Readiness>,
    pub metrics: PrometheusHandle,
}

impl Controls {
    /// Fresh controls; every role has yet to say that it is ready.
    #[must_use]
    pub fn new(metrics: PrometheusHandle, roles: &BTreeSet<Role>) -> Self {
        let mut components = vec!["database"];
        if roles.contains(&Role::Ingest) {
            components.push("ingest");
        }
        if roles.contains(&Role::Release) {
            components.extend(["gate", "release"]);
        }
        if roles.contains(&Role::Publish) {
            components.push("publish");
        }
        Self {
            stop: CancellationToken::new(),
            liveness: Arc::new(Liveness::default()),
            readiness: Arc::new(Readiness::of(&components)),
            metrics,
        }
    }
}

impl Service {
    /// Connects and checks everything that must be there.
    ///
    /// # Errors
    /// One sentence that says what is missing and what to do.
    pub async fn prepare(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let kafka = kafka_settings(&config);
        Self::prepare_with(config, clock, kafka).await
    }

    /// The same with Kafka settings of the caller's, for the demo's stand-in.
    ///
    /// # Errors
    /// See [`Self::prepare`].
    pub async fn prepare_with(
        config: Config,
        clock: Clock,
        kafka: KafkaSettings,
    ) -> anyhow::Result<Self> {
        let store = connect(&config, clock).await?;
        check_schema(&store).await?;
        kafka.check()?;
        warn_of_plain_text(&store, &kafka);
        let admin = Arc::new(Admin::open(&kafka, PATIENCE)?);
        check_topics(&admin, &config).await?;
        let (deployment, first_start) = found(&store, &config).await?;
        tracing::info!(mode = %deployment.mode, "who pays what is released");
        Ok(Self {
            config: Arc::new(config),
            store,
            kafka,
            admin,
            deployment,
            first_start,
        })
    }

    /// The database behind the service.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Runs the loops of these roles until the controls say stop, then waits for them to finish
    /// what they hold.
    ///
    /// # Errors
    /// When the HTTP address can't be had, or a loop did not end within the deadline.
    pub async fn run(self, roles: &BTreeSet<Role>, controls: Controls) -> anyhow::Result<()> {
        let stop = controls.stop.clone();
        let mut loops = Loops::default();
        if roles.contains(&Role::Http) {
            let listener = http::bind(self.config.http.addr).await?;
            let state = http::State {
                liveness: Arc::clone(&controls.liveness),
                readiness: Arc::clone(&controls.readiness),
                metrics: controls.metrics.clone(),
            };
            let stop = stop.clone();
            loops.spawn("http", async move {
                if let Err(error) = http::serve(listener, state, stop).await {
                    tracing::error!(%error, "the HTTP server ended");
                }
            });
        }
        let heartbeat = controls.liveness.heartbeat("watch", SILENCE_MAX);
        let watch = watcher::Watch::new(self.store.clone(), Arc::clone(&self.config), roles);
        loops.spawn("watch", watcher::run(watch, controls.clone(), heartbeat));
        if roles.contains(&Role::Ingest) {
            self.start_ingest(&controls, &mut loops);
        }
        if roles.contains(&Role::Release) {
            let not_before = self.deployment.release_not_before;
            let step = Release::new(self.store.clone(), Arc::clone(&self.config), not_before);
            let heartbeat = controls.liveness.heartbeat("release", SILENCE_MAX);
            let readiness = Arc::clone(&controls.readiness);
            let running = release::run(step, readiness, heartbeat, stop.clone());
            loops.spawn("release", running);
            let reviews = Reviews::new(self.store.clone(), Arc::clone(&self.config));
            let heartbeat = controls.liveness.heartbeat("reviews", SILENCE_MAX);
            loops.spawn("reviews", review::run(reviews, heartbeat, stop.clone()));
            let control = Control::new(self.store.clone());
            let heartbeat = controls.liveness.heartbeat("control", SILENCE_MAX_OF_SUMS);
            loops.spawn("control", control::run(control, heartbeat, stop.clone()));
        }
        if roles.contains(&Role::Publish) {
            self.start_publish(&controls, &mut loops);
        }
        stop.cancelled().await;
        tracing::info!("stopping: finishing what is under way");
        loops.ended(self.shutdown()).await?;
        tracing::info!("stopped");
        Ok(())
    }

    /// How long stopping may take.
    fn shutdown(&self) -> Duration {
        Duration::from_secs(u64::from(self.config.shutdown.deadline_seconds))
    }

    fn start_ingest(&self, controls: &Controls, loops: &mut Loops) {
        let rules = Arc::new(ingest::Rules::of(&self.config));
        let topics = self.config.topics.inputs().map(str::to_owned).to_vec();
        let (ends, latest) = watch::channel(None);
        let freshness = freshness::run(
            self.store.clone(),
            (self.kafka.clone(), Arc::clone(&self.admin)),
            topics.clone(),
            ends,
            controls.liveness.heartbeat("freshness", SILENCE_MAX),
            controls.stop.clone(),
        );
        loops.spawn("freshness", freshness);
        let followup = followup::run(
            FollowUp::new(self.store.clone(), Arc::clone(&rules), topics.clone()),
            controls.liveness.heartbeat("followup", SILENCE_MAX),
            controls.stop.clone(),
        );
        loops.spawn("followup", followup);
        let setup = worker::Setup {
            store: self.store.clone(),
            rules,
            kafka: self.kafka.clone(),
            admin: Arc::clone(&self.admin),
            topics,
            merchant_topic: self.config.topics.merchant.clone(),
            start: self.first_start,
            batch_max: usize::try_from(self.config.ingest.batch_max).unwrap_or(usize::MAX),
            linger: Duration::from_millis(u64::from(self.config.ingest.linger_ms)),
            ends: latest,
            readiness: Arc::clone(&controls.readiness),
            heartbeat: controls.liveness.heartbeat("ingest", SILENCE_MAX),
            stop: controls.stop.clone(),
            close_deadline: LEAVING.min(self.shutdown() / 2),
        };
        for _ in 0..self.config.ingest.workers {
            let setup = setup.clone();
            let handle = tokio::runtime::Handle::current();
            loops.thread("ingest", move || worker::run(setup, handle));
        }
    }

    fn start_publish(&self, controls: &Controls, loops: &mut Loops) {
        let setup = publish::Setup {
            store: self.store.clone(),
            kafka: self.kafka.clone(),
            admin: Arc::clone(&self.admin),
            topics: self.config.topics.clone(),
            batch_max: i64::from(self.config.publish.batch_max),
            readiness: Arc::clone(&controls.readiness),
            heartbeat: controls.liveness.heartbeat("publish", SILENCE_MAX),
            stop: controls.stop.clone(),
        };
        let handle = tokio::runtime::Handle::current();
        loops.thread("publish", move || publish::run(&setup, &handle));
    }
}

/// Says once which way to another machine anyone on it can read and change.
fn warn_of_plain_text(store: &Store, kafka: &KafkaSettings) {
    let ways = [
        ("database", store.is_exposed()),
        ("brokers", kafka.is_exposed()),
    ];
    for (to, _) in ways.into_iter().filter(|(_, exposed)| *exposed) {
        tracing::warn!(
            to,
            "not encrypted: who can reach this network can read and forge what decides about money"
        );
    }
}

/// Starts the recorder of metrics; a process has one.
///
/// # Errors
/// When it was started before.
pub fn start_metrics() -> anyhow::Result<PrometheusHandle> {
    Ok(telemetry::start_metrics()?)
}
