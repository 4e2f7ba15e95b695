//! holdback itself, in this process, for one test: real Kafka, real PostgreSQL, time by hand.
//!
//! Guarantees that nothing is waited for by time: every wait asks until the answer is there, and says
//! the state when it is not.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant as Moment};

use holdback::cli::Role;
use holdback::clock::{Clock, ManualClock};
use holdback::config::Config;
use holdback::kafka::{Admin, Partition};
use holdback::preflight;
use holdback::release::{Release, Step};
use holdback::rules::time::Instant;
use holdback::service::{self, Controls, Service};
use holdback::store::Store;
use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::PgPool;
use tokio::task::{JoinHandle, block_in_place};

use super::facts::Fact;
use super::{Message, TestBed, environment, say};

const PATIENCE: Duration = Duration::from_secs(30);

/// The input topics, by the contract's names.
pub const INPUTS: [&str; 5] = [
    "order-completed",
    "refund",
    "dispute",
    "merchant",
    "payout-result",
];

/// The service over a test bed, running or stopped.
pub struct Holdback {
    pub bed: TestBed,
    /// What the service knows, read past it.
    pub store: Store,
    hand: ManualClock,
    now: Instant,
    pub settings: BTreeMap<String, String>,
    running: Option<(Controls, JoinHandle<anyhow::Result<()>>)>,
    pub(super) admin: Admin,
}

/// `11-03 10:00` and `11-03` as instants of the tests' year; anything longer as it is.
pub fn at(short: &str) -> String {
    match short.len() {
        5 => format!("2025-{short}T00:00:00Z"),
        11 => format!("2025-{}:00Z", short.replace(' ', "T")),
        _ => short.to_owned(),
    }
}

fn instant(short: &str) -> Instant {
    Instant::new(at(short).parse().expect("an instant"))
}

/// A process has one recorder of metrics.
fn metrics() -> PrometheusHandle {
    static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();
    METRICS
        .get_or_init(|| {
            if let Some(filter) = environment("HOLDBACK_TEST_LOG") {
                tracing_subscriber::fmt()
                    .with_env_filter(filter)
                    .with_writer(std::io::stderr)
                    .init();
            }
            service::start_metrics().expect("the first recorder")
        })
        .clone()
}

/// Asks until the answer is there; then that is the state that the panic shows.
pub async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    eventually_in(PATIENCE, what, ask).await
}

/// The same, of what may take so long.
pub async fn eventually_in<T>(
    patience: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let began = Moment::now();
    let mut told = 0;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(state) => {
                let waited = began.elapsed();
                assert!(waited < patience, "{what}: not after {waited:?}; {state}");
                if waited.as_secs() / 10 > told {
                    told = waited.as_secs() / 10;
                    say(&format!("still waiting until {what}: {state}"));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

impl Holdback {
    /// On a bed of its own, the hand at this instant.
    pub async fn start(name: &str, now: &str) -> Self {
        Self::start_with(name, now, &[]).await
    }

    /// The same with further settings, by their variables without `HOLDBACK_`.
    pub async fn start_with(name: &str, now: &str, settings: &[(&str, &str)]) -> Self {
        let mut holdback = Self::stopped(name, now, settings).await;
        holdback.run().await;
        holdback
    }

    /// Ready to run, so that a test can write before the first start.
    pub async fn stopped(name: &str, now: &str, settings: &[(&str, &str)]) -> Self {
        Self::over(TestBed::new(name).await, now, settings).await
    }

    /// The same on a bed that is there already.
    pub async fn over(bed: TestBed, now: &str, settings: &[(&str, &str)]) -> Self {
        let defaults = [
            ("NAME", bed.name.as_str()),
            ("DATABASE_URL", &bed.database_url),
            ("DATABASE_MAX_CONNECTIONS", "5"),
            ("KAFKA_BROKERS", &bed.brokers),
            ("KAFKA_GROUP", &bed.name),
            ("INGEST_START", "earliest"),
            ("INGEST_WORKERS", "1"),
            ("RELEASE_NOT_BEFORE", "2020-01-01T00:00:00Z"),
        ];
        let topics = bed.topics.iter().map(|(contract, actual)| {
            let plain = contract.strip_prefix("holdback-").unwrap_or(contract);
            let key = format!("TOPICS_{}", plain.replace('-', "_").to_uppercase());
            (key, actual.clone())
        });
        let mut all: BTreeMap<String, String> = topics.collect();
        for (key, value) in defaults.iter().chain(settings) {
            all.insert((*key).to_owned(), (*value).to_owned());
        }
        let hand = ManualClock::at(instant(now));
        let config = config(&all);
        let store = preflight::connect(&config, Clock::Manual(hand.clone()))
            .await
            .expect("PostgreSQL");
        store.migrate().await.expect("the schema");
        let patience = Duration::from_secs(20);
        let admin = Admin::open(&bed.settings(), patience).expect("an admin client");
        Self {
            bed,
            store,
            hand,
            now: instant(now),
            settings: all,
            running: None,
            admin,
        }
    }

    /// Starts the service with every role but the HTTP server.
    pub async fn run(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        let config = config(&self.settings);
        let clock = Clock::Manual(self.hand.clone());
        let service = Service::prepare(config, clock).await.expect("prepared");
        let roles = [Role::Ingest, Role::Release, Role::Publish].into();
        let controls = Controls::new(metrics(), &roles);
        let steering = controls.clone();
        let running = tokio::spawn(async move { service.run(&roles, steering).await });
        self.running = Some((controls, running));
    }

    /// True between [`Self::run`] and [`Self::stop`].
    pub fn runs(&self) -> bool {
        self.running.is_some()
    }

    /// Stops the service, which must end without an error.
    pub async fn stop(&mut self) {
        if let Some((controls, running)) = self.running.take() {
            controls.stop.cancel();
            let ended = running.await.expect("no panic");
            ended.expect("a clean end");
        }
    }

    /// As many processes as that, of which each releases what is due until nothing is left; the
    /// gate is where the hand is. Answers how many releases each made.
    pub async fn release_by(&self, processes: usize, batch_max: &str) -> Vec<usize> {
        assert!(self.running.is_none(), "they are the only ones");
        sqlx::query("UPDATE positions SET fresh_at = $1")
            .bind(jiff_sqlx::Timestamp::from(self.now.timestamp()))
            .execute(self.pool())
            .await
            .expect("a fresh gate");
        let mut settings = self.settings.clone();
        settings.insert("RELEASE_BATCH_MAX".to_owned(), batch_max.to_owned());
        let settings = Arc::new(config(&settings));
        let long_ago = instant("2020-01-01T00:00:00Z");
        let running: Vec<JoinHandle<usize>> = (0..processes)
            .map(|_| {
                let release = Release::new(self.store.clone(), Arc::clone(&settings), long_ago);
                tokio::spawn(until_nothing_is_left(release))
            })
            .collect();
        let mut made = Vec::new();
        for one in running {
            made.push(one.await.expect("no panic"));
        }
        made
    }

    /// The settings of the next start, and of commands meanwhile.
    pub fn config(&self) -> Config {
        config(&self.settings)
    }

    /// Another setting for the next start.
    pub fn setting(&mut self, key: &str, value: &str) {
        self.settings.insert(key.to_owned(), value.to_owned());
    }

    /// Why the service is not ready, by component.
    pub fn not_ready(&self) -> BTreeMap<&'static str, String> {
        let (controls, _) = self.running.as_ref().expect("it runs");
        controls.readiness.reasons()
    }

    /// Writes an event as `CloudEvents` in binary mode to the topic where its type usually goes, at
    /// the hand's time.
    pub fn send(&self, fact: Fact) {
        self.send_to(fact.usual_topic(), fact);
    }

    /// Several, in this order within a topic and key.
    pub fn send_all(&self, facts: impl IntoIterator<Item = Fact>) {
        facts.into_iter().for_each(|fact| self.send(fact));
    }

    /// To any topic.
    pub fn send_to(&self, topic: &str, Fact { type_name, data }: Fact) {
        let id = format!("{:016x}", rand::random::<u64>());
        let headers = [
            ("ce_specversion", "1.0"),
            ("ce_id", &id),
            ("ce_source", "/test"),
            ("ce_type", type_name),
            ("content-type", "application/json"),
        ];
        let key = data["merchant_id"].as_str();
        self.produce(topic, key, &headers, data.to_string().as_bytes());
    }

    /// Writes bytes at the hand's time, without a key.
    pub fn write(&self, topic: &str, headers: &[(&str, &str)], value: &[u8]) {
        self.produce(topic, None, headers, value);
    }

    fn produce(&self, topic: &str, key: Option<&str>, headers: &[(&str, &str)], value: &[u8]) {
        let message = Message {
            key,
            headers,
            value: Some(value),
            timestamp_ms: Some(self.now.timestamp().as_millisecond()),
        };
        self.bed.produce(topic, &message);
    }

    /// Where the hand stands.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Moves the hand; nothing is waited for.
    pub fn set(&mut self, now: &str) {
        self.now = instant(now);
        self.hand.set(self.now);
    }

    /// Moves the hand and waits until everything due by then is released, closed and published.
    pub async fn pass_to(&mut self, now: &str) {
        self.applied().await;
        self.set(now);
        self.due_done().await;
    }

    /// Waits until the gate has reached the hand and nothing due by then is left to look at.
    pub async fn due_done(&self) {
        eventually("what is due is done", async || {
            let topics = INPUTS.map(|topic| self.bed.topic(topic).to_owned());
            let gate = self.store.gate(&topics).await.map_err(|e| e.to_string())?;
            if gate.moment.is_none_or(|moment| moment < self.now) {
                return Err(format!("the gate stands at {gate:?}"));
            }
            let left: i64 = sqlx::query_scalar(include_str!("left.sql"))
                .bind(jiff_sqlx::Timestamp::from(self.now.timestamp()))
                .fetch_one(self.pool())
                .await
                .map_err(|error| error.to_string())?;
            (left == 0)
                .then_some(())
                .ok_or_else(|| format!("{left} left"))
        })
        .await;
        self.published().await;
    }

    /// Waits until everything written is applied and its events are published.
    pub async fn applied(&self) {
        self.read().await;
        self.published().await;
    }

    /// Waits until the positions of all partitions that are not halted have reached their ends.
    pub async fn read(&self) {
        block_in_place(|| self.bed.flush());
        eventually("the input is applied", async || {
            let positions = self.store.all_positions().await;
            let positions = positions.map_err(|error| error.to_string())?;
            let keys: Vec<Partition> = positions
                .iter()
                .map(|((topic, partition), _)| (topic.as_str().into(), *partition))
                .collect();
            if keys.len() < 2 * INPUTS.len() {
                return Err(format!("only {keys:?} are known"));
            }
            let ends = block_in_place(|| self.admin.ends(&keys)).map_err(|e| e.to_string())?;
            for (key, (_, position)) in keys.iter().zip(&positions) {
                if position.halted.is_none() && position.next_offset < Some(ends[key]) {
                    let waits = self.running.as_ref().map(|(it, _)| it.readiness.reasons());
                    return Err(format!("{key:?}: {position:?} of {} {waits:?}", ends[key]));
                }
            }
            Ok(())
        })
        .await;
    }

    /// Waits until the whole journal and all dead letters have been read back.
    pub async fn published(&self) {
        eventually("the journal is published", async || {
            let left: i64 = self
                .number("SELECT (SELECT count(*) FROM merchants WHERE published_sequence < last_sequence)
                              + (SELECT count(*) FROM dead_letters WHERE NOT published)")
                .await;
            let waits = self.running.as_ref().map(|(it, _)| it.readiness.reasons());
            (left == 0).then_some(()).ok_or_else(|| format!("{left} left; {waits:?}"))
        })
        .await;
    }

    /// The answer to a question that has one number.
    pub async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(self.pool())
            .await
            .expect("a number")
    }

    pub fn pool(&self) -> &PgPool {
        self.store.pool()
    }
}

async fn until_nothing_is_left(mut release: Release) -> usize {
    let mut releases = 0;
    loop {
        match release.release_once().await {
            Ok(step) if step == Step::default() => return releases,
            Ok(step) => releases += step.releases,
            Err(error) => assert!(error.passes(), "{error}"),
        }
    }
}

fn config(settings: &BTreeMap<String, String>) -> Config {
    let variables = settings
        .iter()
        .map(|(key, value)| (format!("HOLDBACK_{key}"), value.clone()));
    Config::load(None, variables).expect("good settings")
}
