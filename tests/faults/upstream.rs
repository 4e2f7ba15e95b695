//! An upstream that begins a Kafka transaction on an input topic and leaves it hanging.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use serde_json::json;

use crate::generator::wall_us;
use crate::harness::TestBed;

const PATIENCE: Duration = Duration::from_secs(20);

/// A transaction that hangs.
pub struct Hanging {
    producer: ThreadedProducer<DefaultProducerContext>,
    begun_us: i64,
}

impl Hanging {
    /// Writes a dispute in a transaction and leaves it open.
    pub fn begin(bed: &TestBed) -> Result<Self, String> {
        let text = |error: rdkafka::error::KafkaError| error.to_string();
        let producer: ThreadedProducer<_> = ClientConfig::new()
            .set("bootstrap.servers", &bed.brokers)
            .set("transactional.id", format!("{}-upstream", bed.name))
            .set("transaction.timeout.ms", "60000")
            .set_log_level(rdkafka::config::RDKafkaLogLevel::Critical)
            .create()
            .map_err(text)?;
        producer.init_transactions(PATIENCE).map_err(text)?;
        producer.begin_transaction().map_err(text)?;
        let value = json!({"dispute_id": "D-never", "order_id": "never", "merchant_id": "Y-0",
            "kind": "complaint", "opened_at": "2026-01-01T00:00:00Z"})
        .to_string();
        let header = Header {
            key: "ce_type",
            value: Some("dispute.opened.v1"),
        };
        let record = BaseRecord::<str, str>::to(bed.topic("dispute"))
            .payload(&value)
            .headers(OwnedHeaders::new().insert(header));
        producer.send(record).map_err(|(error, _)| text(error))?;
        producer.flush(PATIENCE).map_err(text)?;
        Ok(Self {
            producer,
            begun_us: wall_us(),
        })
    }

    /// Aborts it and writes down from when until when it hung; false when the broker had lost it.
    pub fn abort(self, file: &Path) -> Result<bool, String> {
        let until_us = wall_us();
        if self.producer.abort_transaction(PATIENCE).is_err() {
            return Ok(false);
        }
        let file = OpenOptions::new().append(true).create(true).open(file);
        let written = file.and_then(|mut file| writeln!(file, "{} {until_us}", self.begun_us));
        written.map(|()| true).map_err(|error| error.to_string())
    }
}
