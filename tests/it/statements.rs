//! The number of SQL statements of a batch does not depend on how many messages are in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use holdback::clock::{Clock, ManualClock};
use holdback::config::Config;
use holdback::ingest::{Batch, Ingest, Positions, Rules};
use holdback::message::Record;
use holdback::rules::time::Instant;
use holdback::service;
use holdback::store::Store;
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::harness::facts::{
    Fact, agreement, calendar, cancelled, closed, confirmed, delivered, failed, opened, order,
    paid, refund, updated,
};
use crate::harness::{TestBed, at};

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
struct Bench {
    ingest: Ingest,
    rules: Arc<Rules>,
    store: Store,
    expected: Positions,
    now: Instant,
}

impl Bench {
    async fn new() -> Self {
        let bed = TestBed::new("statements").await;
        let settings = [
            ("HOLDBACK_DATABASE_URL", bed.database_url.as_str()),
            ("HOLDBACK_KAFKA_BROKERS", &bed.brokers),
        ];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let config = Config::load(None, settings.into_iter()).expect("good settings");
        let now = Instant::new(at("11-03 12:00").parse().expect("an instant"));
        let clock = Clock::Manual(ManualClock::at(now));
        let store = service::connect(&config, clock).await.expect("PostgreSQL");
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
    async fn apply(&mut self, facts: Vec<Fact>) -> (usize, usize) {
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
        (counter.0.load(Ordering::SeqCst), applied.dead_letters)
    }

    /// The statements of a batch of which half the orders are known, of the same batch again, and of
    /// the sales that the other half waited for.
    async fn first_and_again(
        &mut self,
        kind: &str,
        run: &str,
        size: usize,
    ) -> (usize, usize, usize) {
        self.apply((0..size / 2).map(|n| sold(run, n * 2)).collect())
            .await;
        if kind == "dispute.updated" || kind == "dispute.closed" {
            let open = |n| make("dispute.opened", run, n);
            self.apply((0..size / 4).map(|n| open(n * 2)).collect())
                .await;
        }
        let first = self
            .apply((0..size).map(|n| make(kind, run, n)).collect())
            .await;
        let again = self
            .apply((0..size).map(|n| make(kind, run, n)).collect())
            .await;
        let bad = kind == "malformed" || kind == "refund too large";
        assert_eq!(first.1 > 0, bad, "{kind}: dead letters");
        let late = self
            .apply((0..size / 2).map(|n| sold(run, n * 2 + 1)).collect())
            .await;
        (first.0, again.0, late.0)
    }
}

/// Kinds of batches: every input type, and what is refused. Those that change the catalogue come
/// last, since what is remembered of it is read anew after them.
const KINDS: [&str; 14] = [
    "order.completed",
    "order.confirmed",
    "order.delivered",
    "order.cancelled",
    "refund.succeeded",
    "refund too large",
    "dispute.opened",
    "dispute.updated",
    "dispute.closed",
    "payout.paid",
    "payout.failed",
    "malformed",
    "calendar.published",
    "agreement.published",
];

/// Message number `n` of a run; runs share no orders.
fn make(kind: &str, run: &str, n: usize) -> Fact {
    let (merchant, id) = (&merchant(n), &id(run, n));
    match kind {
        "order.completed" => sold(run, n),
        "order.confirmed" => confirmed(merchant, id, "11-03"),
        "order.delivered" => delivered(merchant, id, "11-03"),
        "order.cancelled" => cancelled(merchant, id, "11-03"),
        "refund.succeeded" => refund(merchant, id, id, "1", "11-03"),
        "refund too large" => refund(merchant, id, id, "999", "11-03"),
        "dispute.opened" => opened(merchant, id, id, "chargeback", "11-03"),
        "dispute.updated" => updated(merchant, id, id, 1, "11-03"),
        "dispute.closed" => closed(merchant, id, id, "lost", "11-03"),
        "payout.paid" => paid(merchant, "release_id", &uuid(run, n), "11-03"),
        "payout.failed" => failed(merchant, "settlement_id", &uuid(run, n), "11-03"),
        "malformed" => sold(run, n).with(json!({ "amount": "1.001" })),
        "calendar.published" => calendar(id, 1),
        "agreement.published" => agreement(id, id),
        other => panic!("{other}"),
    }
}

fn merchant(n: usize) -> String {
    format!("M-{}", n % 7)
}

fn id(run: &str, n: usize) -> String {
    format!("{run}-{n}")
}

/// Every input type, and kinds of batches that mix what is known, new, wrong and waiting.
fn sold(run: &str, n: usize) -> Fact {
    order(&merchant(n), &id(run, n), "100", "11-03")
}

fn uuid(run: &str, n: usize) -> String {
    let run = run.len();
    format!("6f2c0a1e-77a5-5e0c-9d51-{run:04x}{n:08x}")
}

#[tokio::test]
async fn a_thousand_messages_take_as_many_statements_as_ten() {
    let mut bench = Bench::new().await;
    bench.apply(vec![agreement("*", "AG-1")]).await;
    // The catalogue of these merchants is read once.
    bench.apply((0..7).map(|n| sold("warm", n)).collect()).await;
    let mut counted = Vec::new();
    for kind in KINDS {
        let mut counts = Vec::new();
        for size in [10, 1000] {
            let run = format!("{kind}{size}");
            counts.push(bench.first_and_again(kind, &run, size).await);
        }
        counted.push(format!("{kind}: {counts:?}"));
        assert_eq!(counts[0], counts[1], "10 against 1000: {counted:#?}");
        assert!(counts[0].0 > 3, "statements are counted: {counted:#?}");
    }
    let audit = bench.store.audit().await.unwrap();
    assert_eq!(audit.differences, []);
}
