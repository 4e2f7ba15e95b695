//! Sends messages and writes down what Kafka acknowledged.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use super::plan::Planned;
use super::{Logged, wall_us};

/// The producer of a generator.
pub struct Sender {
    producer: ThreadedProducer<Ledger>,
    topics: BTreeMap<&'static str, String>,
}

/// A message on its way.
struct Sending {
    topic: &'static str,
    logged: Logged,
}

/// Writes a line for each acknowledgement.
struct Ledger {
    file: Mutex<BufWriter<File>>,
    sent: AtomicU64,
    acknowledged: AtomicU64,
    /// What the broker refused, though it may have written it; to be sent again.
    doubtful: Mutex<Vec<Planned>>,
}

impl ClientContext for Ledger {}

impl ProducerContext for Ledger {
    type DeliveryOpaque = Box<Sending>;

    fn delivery(&self, result: &DeliveryResult<'_>, sending: Box<Sending>) {
        let Sending { topic, mut logged } = *sending;
        match result {
            Ok(message) => {
                logged.acked_us = wall_us();
                logged.partition = message.partition();
                logged.offset = message.offset();
                self.write(&logged);
                self.acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            Err(_) => {
                let planned = Planned {
                    at_ms: 0,
                    topic,
                    kind: logged.kind.clone(),
                    key: logged.key.clone(),
                    value: logged.value.clone(),
                };
                // It may lie there, nobody knows where.
                logged.offset = -1;
                logged.acked_us = i64::MAX;
                self.write(&logged);
                let mut doubtful = self.doubtful.lock().unwrap_or_else(PoisonError::into_inner);
                doubtful.push(planned);
                self.acknowledged.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

impl Ledger {
    fn write(&self, logged: &Logged) {
        let line = serde_json::to_string(logged).expect("JSON");
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(file, "{line}").expect("the log can be written");
    }

    fn take_doubtful(&self) -> Vec<Planned> {
        let mut doubtful = self.doubtful.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *doubtful)
    }
}

impl Sender {
    /// A producer that never gives a message up and keeps each partition's order.
    pub fn open(brokers: &str, topics: BTreeMap<&'static str, String>, log: &Path) -> Self {
        let ledger = Ledger {
            file: Mutex::new(BufWriter::new(File::create(log).expect("a log"))),
            sent: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            doubtful: Mutex::default(),
        };
        let producer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", "0")
            .set("linger.ms", "5")
            .set("reconnect.backoff.max.ms", "500")
            .set("partitioner", "murmur2_random")
            .set_log_level(rdkafka::config::RDKafkaLogLevel::Critical)
            .create_with_context(ledger)
            .expect("a producer");
        Self { producer, topics }
    }

    /// Hands a message to the client.
    pub fn send(&self, planned: Planned) {
        let topic = self.topics[planned.topic].clone();
        let (key, value) = (planned.key.clone(), planned.value.clone());
        let kind = planned.kind.clone();
        let number = self.producer.context().sent.fetch_add(1, Ordering::SeqCst);
        let id = number.to_string();
        let headers = [
            ("ce_specversion", "1.0"),
            ("ce_id", &id),
            ("ce_source", "/faults"),
            ("ce_type", &kind),
            ("content-type", "application/json"),
        ];
        let mut all = OwnedHeaders::new();
        for (key, value) in headers {
            let value = Some(value);
            all = all.insert(Header { key, value });
        }
        let logged = Logged {
            sent_us: wall_us(),
            acked_us: 0,
            topic: planned.topic.to_owned(),
            partition: 0,
            offset: 0,
            kind: planned.kind,
            key: planned.key,
            value: planned.value,
        };
        let sending = Box::new(Sending {
            topic: planned.topic,
            logged,
        });
        let mut record = BaseRecord::<str, str, Box<Sending>>::with_opaque_to(&topic, sending)
            .key(&key)
            .payload(&value)
            .headers(all);
        while let Err((error, back)) = self.producer.send(record) {
            let full = RDKafkaErrorCode::QueueFull;
            assert_eq!(error, KafkaError::MessageProduction(full), "produce");
            std::thread::sleep(Duration::from_millis(5));
            record = back;
        }
    }

    /// Waits until everything is acknowledged.
    pub fn finish(&self, patience: Duration) -> Result<(), String> {
        let ledger = self.producer.context();
        let until = Instant::now() + patience;
        let open = || {
            let sent = ledger.sent.load(Ordering::SeqCst);
            sent - ledger.acknowledged.load(Ordering::SeqCst)
        };
        loop {
            let doubtful = ledger.take_doubtful();
            if open() == 0 && doubtful.is_empty() {
                break;
            }
            for planned in doubtful {
                self.send(planned);
            }
            if Instant::now() > until {
                return Err(format!(
                    "the generator: {} messages without an answer",
                    open()
                ));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut file = ledger.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.flush().map_err(|error| error.to_string())
    }
}
