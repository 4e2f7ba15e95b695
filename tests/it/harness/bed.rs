//! What one test works in: a database and topics of its own.
//!
//! Guarantees that no two tests, and no two runs, see each other's.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use holdback::demo::postgres::LocalPostgres;
use holdback::kafka::{Admin, KafkaSettings, TopicSpec};
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{LocalKafka, local_postgres, services};

/// The topics of a deployment, by the names that the contract gives them.
const TOPICS: [&str; 8] = [
    "order-completed",
    "refund",
    "dispute",
    "merchant",
    "payout-result",
    "holdback-releases",
    "holdback-events",
    "holdback-dead-letters",
];

/// Client settings for a broker of the tests.
pub fn settings(brokers: &str, name: &str) -> KafkaSettings {
    KafkaSettings {
        brokers: brokers.to_owned(),
        group: name.to_owned(),
        name: name.to_owned(),
        properties: BTreeMap::new(),
        transactional: true,
        insecure_dev: false,
    }
}

/// A database and topics of one test.
pub struct TestBed {
    pub database_url: String,
    pub brokers: String,
    /// From the contract's names to this test's.
    pub topics: BTreeMap<&'static str, String>,
    /// Distinguishes this test's groups and transactional ids.
    pub name: String,
    /// Servers of this test's own, which it may stop.
    pub own: Option<(LocalKafka, LocalPostgres)>,
    producer: ThreadedProducer<Failures>,
}

/// One message to write.
#[derive(Default, Clone)]
pub struct Message<'a> {
    pub key: Option<&'a str>,
    pub headers: &'a [(&'a str, &'a str)],
    /// None: a tombstone.
    pub value: Option<&'a [u8]>,
    /// Milliseconds since 1970; None: now.
    pub timestamp_ms: Option<i64>,
}

/// One record that a `read_committed` reader saw.
#[derive(Debug, Clone)]
pub struct Seen {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<String>,
    pub headers: BTreeMap<String, String>,
    pub value: Vec<u8>,
    /// Milliseconds since 1970; 0 when it has none.
    pub timestamp_ms: i64,
}

impl Seen {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.value).expect("JSON")
    }
}

impl TestBed {
    /// On the servers of the run, with two partitions per topic.
    pub async fn new(name: &str) -> Self {
        Self::with_partitions(name, 2).await
    }

    /// On the servers of the run.
    pub async fn with_partitions(name: &str, partitions: i32) -> Self {
        let services = tokio::task::spawn_blocking(services).await;
        let services =
            services.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        let (brokers, url) = (services.brokers.clone(), services.database_url.clone());
        Self::make(name, brokers, url, partitions, None).await
    }

    /// On servers of its own, local processes that the test may stop.
    pub async fn private(name: &str, partitions: i32) -> Self {
        let started = tokio::task::spawn_blocking(|| {
            std::thread::scope(|scope| {
                let kafka = scope.spawn(LocalKafka::start);
                let postgres = local_postgres().expect("a local PostgreSQL");
                let kafka = kafka.join().expect("no panic").expect("a local Kafka");
                (kafka, postgres)
            })
        });
        let own = started.await.expect("servers of the test's own");
        let (brokers, url) = (own.0.brokers(), own.1.url());
        Self::make(name, brokers, url, partitions, Some(own)).await
    }

    /// On servers that somebody else started and may stop.
    pub async fn on(name: &str, brokers: String, server_url: String, partitions: i32) -> Self {
        Self::make(name, brokers, server_url, partitions, None).await
    }

    async fn make(
        name: &str,
        brokers: String,
        server_url: String,
        partitions: i32,
        own: Option<(LocalKafka, LocalPostgres)>,
    ) -> Self {
        let unique = format!("{name}-{:08x}", rand::random::<u32>());
        let mut topics = BTreeMap::new();
        for topic in TOPICS {
            topics.insert(topic, format!("{unique}.{topic}"));
        }
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &brokers)
            .set("enable.idempotence", "true")
            .set("message.max.bytes", "2097152")
            .set("partitioner", "murmur2_random")
            .create_with_context(Failures::default())
            .expect("a producer");
        let bed = Self {
            database_url: create_database(&server_url, &unique).await,
            brokers,
            topics,
            name: unique,
            own,
            producer,
        };
        let names: Vec<String> = bed.topics.values().cloned().collect();
        bed.create_topics(names, partitions).await;
        bed
    }

    /// Client settings with this test's group and transactional id.
    pub fn settings(&self) -> KafkaSettings {
        settings(&self.brokers, &self.name)
    }

    /// This test's name of one of the contract's topics; other names stay as they are.
    pub fn topic<'a>(&'a self, name: &'a str) -> &'a str {
        self.topics.get(name).map_or(name, String::as_str)
    }

    /// Makes topics and waits until every partition has a leader.
    pub async fn create_topics(&self, names: Vec<String>, partitions: i32) {
        let settings = self.settings();
        let work = move || {
            let admin = Admin::open(&settings, Duration::from_secs(20)).expect("admin");
            let specs: Vec<TopicSpec> = names
                .iter()
                .map(|name| TopicSpec {
                    name: name.clone(),
                    partitions,
                    replicas: None,
                    // Tests write at times of their own, which may be years ago; and what
                    // holdback takes for too large must reach it.
                    config: vec![
                        ("retention.ms".to_owned(), "-1".to_owned()),
                        ("max.message.bytes".to_owned(), "2097152".to_owned()),
                    ],
                })
                .collect();
            admin.create_topics(&specs).expect("topics");
            let all: Vec<_> = names
                .iter()
                .flat_map(|name| (0..partitions).map(move |p| (name.as_str().into(), p)))
                .collect();
            let until = Instant::now() + Duration::from_secs(20);
            while let Err(error) = admin.ends(&all) {
                assert!(Instant::now() < until, "topics have no leaders: {error}");
            }
        };
        tokio::task::spawn_blocking(work).await.expect("topics");
    }

    /// Hands a message to the producer; [`TestBed::flush`] waits for all of them.
    pub fn produce(&self, topic: &str, message: &Message<'_>) {
        let headers = message.headers.iter();
        let headers: Vec<(&str, Option<&[u8]>)> = headers
            .map(|(name, value)| (*name, Some(value.as_bytes())))
            .collect();
        let key = message.key.map(str::as_bytes);
        self.produce_bytes(topic, key, &headers, message.value, message.timestamp_ms);
    }

    /// The same with headers and a key that need not be text.
    pub fn produce_bytes(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        named: &[(&str, Option<&[u8]>)],
        value: Option<&[u8]>,
        timestamp_ms: Option<i64>,
    ) {
        let mut headers = OwnedHeaders::new();
        for (key, value) in named {
            let value = *value;
            headers = headers.insert(Header { key, value });
        }
        let mut record = BaseRecord::<[u8], [u8]>::to(self.topic(topic)).headers(headers);
        record.key = key;
        record.payload = value;
        record.timestamp = timestamp_ms;
        while let Err((error, back)) = self.producer.send(record) {
            let full = RDKafkaErrorCode::QueueFull;
            assert_eq!(error, KafkaError::MessageProduction(full), "produce");
            self.producer.poll(Duration::from_millis(5));
            record = back;
        }
    }

    /// Waits until everything produced is acknowledged.
    pub fn flush(&self) {
        self.producer.flush(Duration::from_secs(60)).expect("flush");
        let failures = self.producer.context().0.lock();
        let failures = failures.unwrap_or_else(PoisonError::into_inner);
        assert!(failures.is_empty(), "not delivered: {failures:?}");
    }

    /// All that a `read_committed` reader sees of a topic up to its present end, in order per
    /// partition. Uses nothing of holdback.
    pub fn read_all(&self, topic: &str) -> Vec<Seen> {
        let topic = self.topic(topic);
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("group.id", format!("{}-reader", self.name))
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            // The end of an idle partition is told only after this long.
            .set("fetch.wait.max.ms", "10")
            .set("enable.auto.commit", "false")
            .create()
            .expect("a reader");
        let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(20));
        let partitions = metadata.expect("metadata").topics()[0].partitions().len();
        let mut list = TopicPartitionList::new();
        for partition in 0..i32::try_from(partitions).expect("few") {
            list.add_partition_offset(topic, partition, Offset::Beginning)
                .expect("an offset");
        }
        consumer.assign(&list).expect("an assignment");
        let mut seen = Vec::new();
        let mut ended = HashSet::new();
        let until = Instant::now() + Duration::from_secs(60);
        while ended.len() < partitions {
            assert!(Instant::now() < until, "{topic} has no readable end");
            match consumer.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => seen.push(see(&message)),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    ended.insert(partition);
                }
                Some(Err(error)) => panic!("reading {topic}: {error}"),
                None => {}
            }
        }
        seen.sort_by_key(|record| (record.partition, record.offset));
        seen
    }
}

fn see(message: &rdkafka::message::BorrowedMessage<'_>) -> Seen {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = message
        .headers()
        .into_iter()
        .flat_map(|headers| headers.iter());
    Seen {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(text),
        headers: headers
            .map(|header| {
                (
                    header.key.to_owned(),
                    text(header.value.unwrap_or_default()),
                )
            })
            .collect(),
        value: message.payload().unwrap_or_default().to_vec(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
    }
}

/// A database of this name on the server, as the URL to it.
async fn create_database(server_url: &str, unique: &str) -> String {
    let name = format!("h_{}", unique.replace('-', "_"));
    let mut connection = PgConnection::connect(server_url).await.expect("PostgreSQL");
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE \"{name}\"")))
        .execute(&mut connection)
        .await
        .expect("a database of the test's own");
    connection.close().await.expect("closed");
    let (server, _) = server_url.rsplit_once('/').expect("a URL with a database");
    format!("{server}/{name}")
}

/// What the producer was told was not delivered.
#[derive(Default)]
struct Failures(Mutex<Vec<String>>);

impl ClientContext for Failures {}

impl ProducerContext for Failures {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            failures.push(error.to_string());
        }
    }
}
