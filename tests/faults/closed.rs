//! Input that was lost: what a history may end with, and that holdback then stops rather than guesses.
//!
//! Shows that partitions halt, one named alarm is raised, nobody is ready, and nothing is released,
//! although money is due.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use rand::RngExt;
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use serde_json::json;
use sqlx::{Connection, PgConnection, Row};

use crate::faults::Fault;
use crate::generator::wall_us;
use crate::history::{PARTITIONS, World};

const PATIENCE: Duration = Duration::from_secs(20);
/// How long a process is watched after it has stopped.
const WATCHED: Duration = Duration::from_secs(4);
/// More than any history writes to a partition of the topic of disputes.
const MANY: usize = 1500;
const TOPIC: &str = "dispute";

impl World<'_> {
    /// Ends a history whose processes have ended: breaks the topic of disputes and starts them again.
    pub fn lose_input(&mut self, how: Fault) -> Result<(), String> {
        let writer = self.writer()?;
        match how {
            Fault::Recreated => self.recreate(&writer)?,
            _ => self.truncate(&writer)?,
        }
        let before = self.bed.read_all("holdback-releases").len();
        self.sell(&writer)?;
        let logs: Vec<usize> = self.slots.iter().map(|slot| slot.logs.len()).collect();
        for slot in &mut self.slots {
            slot.start(self.bed);
        }
        let halted = self.until_halted()?;
        self.idle(WATCHED)?;
        let ready = self.slots.iter().filter_map(|slot| slot.readiness());
        let ready = ready
            .filter(|answer| answer.starts_with("HTTP/1.1 200"))
            .count();
        for slot in &mut self.slots {
            slot.end()?;
        }
        let new = self
            .slots
            .iter()
            .zip(logs)
            .flat_map(|(slot, old)| &slot.logs[old..]);
        let said = new.filter_map(|log| std::fs::read_to_string(log).ok());
        let alarms = ["\"alarm\":\"partition_halted\"", "\"alarm\":\"input_lost\""];
        let alarmed = said.filter(|log| alarms.iter().any(|alarm| log.contains(alarm)));
        let released = self.bed.read_all("holdback-releases").len() - before;
        let found = (halted > 0, ready, alarmed.count() > 0, released);
        if found == (true, 0, true, 0) {
            self.counters
                .add(&format!("{}: stopped and said so", how.name()), 1);
            return Ok(());
        }
        Err(format!(
            "fail closed: {}: halted, ready, alarmed, released: {found:?}",
            how.name()
        ))
    }

    fn writer(&self) -> Result<ThreadedProducer<DefaultProducerContext>, String> {
        let config = ClientConfig::new()
            .set("bootstrap.servers", &self.bed.brokers)
            .set("enable.idempotence", "true")
            .create();
        config.map_err(|error: rdkafka::error::KafkaError| error.to_string())
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>, String> {
        let config = ClientConfig::new()
            .set("bootstrap.servers", &self.bed.brokers)
            .create();
        config.map_err(|error: rdkafka::error::KafkaError| error.to_string())
    }

    /// The topic made anew, empty or with other messages, as many as there were.
    fn recreate(
        &mut self,
        writer: &ThreadedProducer<DefaultProducerContext>,
    ) -> Result<(), String> {
        let topic = self.bed.topic(TOPIC).to_owned();
        let admin = self.admin()?;
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let deleted = self
            .runtime
            .block_on(admin.delete_topics(&[&topic], &options));
        deleted.map_err(|error| error.to_string())?;
        // No tick meanwhile: it would start the processes.
        std::thread::sleep(Duration::from_millis(500));
        let made = self.bed.create_topics(vec![topic], PARTITIONS);
        self.runtime.block_on(made);
        if self.random.random() {
            self.disputes(writer, MANY)?;
        }
        Ok(())
    }

    /// Messages that nobody has read, gone by retention.
    fn truncate(
        &mut self,
        writer: &ThreadedProducer<DefaultProducerContext>,
    ) -> Result<(), String> {
        self.disputes(writer, 3)?;
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            let end = rdkafka::Offset::End;
            list.add_partition_offset(self.bed.topic(TOPIC), partition, end)
                .map_err(|error| error.to_string())?;
        }
        let admin = self.admin()?;
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let deleted = self.runtime.block_on(admin.delete_records(&list, &options));
        deleted.map(drop).map_err(|error| error.to_string())
    }

    /// So many disputes in each partition.
    fn disputes(
        &self,
        writer: &ThreadedProducer<DefaultProducerContext>,
        count: usize,
    ) -> Result<(), String> {
        for number in 0..count {
            let value = json!({"dispute_id": format!("D-anew-{number}"), "order_id": "never",
                "merchant_id": "Y-0", "kind": "complaint", "opened_at": self.hours_ago(2)});
            for partition in 0..PARTITIONS {
                self.write(writer, TOPIC, Some(partition), "dispute.opened.v1", &value)?;
            }
        }
        writer.flush(PATIENCE).map_err(|error| error.to_string())
    }

    /// Orders that are due at once.
    fn sell(&self, writer: &ThreadedProducer<DefaultProducerContext>) -> Result<(), String> {
        for number in 0..20 {
            let value = json!({"order_id": format!("O-after-{number}"), "merchant_id": "N-0",
                "currency": "EUR", "amount": "10.00", "completed_at": self.hours_ago(200)});
            self.write(
                writer,
                "order-completed",
                None,
                "order.completed.v1",
                &value,
            )?;
        }
        writer.flush(PATIENCE).map_err(|error| error.to_string())
    }

    fn hours_ago(&self, hours: i64) -> String {
        let now = Timestamp::from_microsecond(wall_us()).expect("an instant");
        (now - SignedDuration::from_hours(hours)).to_string()
    }

    fn write(
        &self,
        writer: &ThreadedProducer<DefaultProducerContext>,
        topic: &str,
        partition: Option<i32>,
        kind: &str,
        value: &serde_json::Value,
    ) -> Result<(), String> {
        let value = value.to_string();
        let header = Header {
            key: "ce_type",
            value: Some(kind),
        };
        let mut record = BaseRecord::<str, str>::to(self.bed.topic(topic))
            .payload(&value)
            .headers(OwnedHeaders::new().insert(header));
        record.partition = partition;
        let sent = writer.send(record);
        sent.map_err(|(error, _)| error.to_string())
    }

    /// Waits until partitions are halted; how many.
    fn until_halted(&mut self) -> Result<i64, String> {
        let until = Instant::now() + PATIENCE;
        let mut halted = 0;
        while halted == 0 && Instant::now() < until {
            self.idle(Duration::from_millis(200))?;
            let url = self.bed.database_url.clone();
            let count = self.runtime.block_on(async {
                let mut connection = PgConnection::connect(&url).await?;
                sqlx::query("SELECT count(*) FROM positions WHERE halted IS NOT NULL")
                    .fetch_one(&mut connection)
                    .await
            });
            halted = count.map_err(|error| error.to_string())?.get(0);
        }
        Ok(halted)
    }
}
