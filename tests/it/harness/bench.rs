//! The ingest step over a database of its own, without Kafka: a test makes the records.
//!
//! Guarantees that a batch is what the test says it is, and counts its SQL statements.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use holdback::clock::{Clock, ManualClock};
use holdback::config::Config;
use holdback::ingest::{Batch, Ingest, Positions, Rules};
use holdback::message::Record;
use holdback::preflight;
use holdback::rules::time::Instant;
use holdback::store::Store;
use holdback::telemetry::Outcome;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::facts::Fact;
use super::{TestBed, at};

/// Counts what sqlx says it sends.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

impl<S: Subscriber> Layer<S> for Counter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            let mut text = Summary::default();
            event.record(&mut text);
            // What the pool sends after the batch, when it gets the connection back.
            if text.0 != "ROLLBACK" {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

/// The statement in a few words.
#[derive(Default)]
struct Summary(String);

impl Visit for Summary {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "summary" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

/// An ingest step over a database, without Kafka: records are made here.
pub struct Bench {
    ingest: Ingest,
    pub rules: Arc<Rules>,
    pub store: Store,
    expected: Positions,
    now: Instant,
}

impl Bench {
    pub async fn new(name: &str) -> Self {
        let bed = TestBed::new(name).await;
        let settings = [
            ("HOLDBACK_DATABASE_URL", bed.database_url.as_str()),
            ("HOLDBACK_KAFKA_BROKERS", &bed.brokers),
            // A batch of bad messages is to be applied whole.
            ("HOLDBACK_INGEST_BREAKER_CONSECUTIVE", "100000"),
        ];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let config = Config::load(None, settings.into_iter()).expect("good settings");
        let now = Instant::new(at("11-03 12:00").parse().expect("an instant"));
        let clock = Clock::Manual(ManualClock::at(now));
        let store = preflight::connect(&config, clock)
            .await
            .expect("PostgreSQL");
        store.migrate().await.expect("the schema");
        let rules = Arc::new(Rules::of(&config));
        let key = ("merchant".to_owned(), 0);
        store
            .note_partitions(std::slice::from_ref(&key))
            .await
            .expect("noted");
        store.begin_positions(&[(key, 0)]).await.expect("begun");
        Self {
            ingest: Ingest::new(store.clone(), Arc::clone(&rules)),
            rules,
            store,
            expected: [(("merchant".into(), 0), 0)].into(),
            now,
        }
    }

    /// Applies one batch; answers how many statements that took, and how many dead letters came of
    /// it.
    pub async fn apply(&mut self, facts: Vec<Fact>) -> (usize, u64) {
        let next = self.expected[&("merchant".into(), 0)];
        let records = facts.into_iter().zip(next..).map(|(fact, offset)| Record {
            topic: "merchant".into(),
            partition: 0,
            offset,
            timestamp: Some(self.now),
            key: None,
            headers: vec![("ce_type".to_owned(), Some(fact.type_name.into()))],
            value: Some(fact.data.to_string().into_bytes()),
        });
        let batch = Batch::read(records.collect(), &self.rules);
        let counter = Counter::default();
        let subscriber = tracing_subscriber::registry().with(counter.clone());
        let guard = tracing::subscriber::set_default(subscriber);
        let applied = self.ingest.apply_once(&batch, &mut self.expected).await;
        drop(guard);
        let applied = applied.expect("applied");
        (
            counter.0.load(Ordering::SeqCst),
            applied.count(Outcome::DeadLetter),
        )
    }
}
