//! Questions to the brokers: ends and beginnings of partitions, how many a topic has, and making
//! topics.
//!
//! Guarantees: ends are high watermarks (what is written, committed or not), so nothing that an
//! upstream transaction still holds open is mistaken for read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;

use super::{Error, KafkaSettings, Partition};

/// A topic to make.
#[derive(Debug, Clone)]
pub struct TopicSpec {
    pub name: String,
    pub partitions: i32,
    /// None: the cluster's default.
    pub replicas: Option<i32>,
    /// Topic configuration by Kafka's names.
    pub config: Vec<(String, String)>,
}

/// Keeps why the brokers could not be talked to: an answer that does not come says only that.
#[derive(Default)]
struct Complaint(Mutex<Option<String>>);

impl Complaint {
    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for Complaint {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, message, "questions to the brokers");
        if facility == "FAIL" {
            let why = message.split_once("]: ").map_or(message, |(_, why)| why);
            let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some(why.to_owned());
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // Its log says the same.
        tracing::debug!(%error, reason, "questions to the brokers");
    }
}

impl ConsumerContext for Complaint {}

/// A client for questions; cheap to keep, one per thread that asks.
pub struct Admin {
    consumer: BaseConsumer<Complaint>,
    admin: AdminClient<DefaultClientContext>,
    patience: Duration,
}

impl Admin {
    /// Each call waits up to `patience` for its answer.
    ///
    /// # Errors
    /// [`Error::Setting`] for a refused configuration.
    pub fn open(settings: &KafkaSettings, patience: Duration) -> Result<Self, Error> {
        let mut config = settings.admin();
        // A broker that hangs up without a word is told at this level only.
        config.set_log_level(RDKafkaLogLevel::Info);
        Ok(Self {
            consumer: config.create_with_context(Complaint::default())?,
            admin: settings.admin().create()?,
            patience,
        })
    }

    /// The high watermark of each partition: one request per broker.
    ///
    /// # Errors
    /// When any of them can't be told.
    pub fn ends(&self, partitions: &[Partition]) -> Result<HashMap<Partition, i64>, Error> {
        let found = self.list_offsets(partitions, Offset::End)?;
        Ok(found
            .into_iter()
            .filter_map(|(key, offset)| Some((key, offset?)))
            .collect())
    }

    /// The first offset that each partition still has.
    ///
    /// # Errors
    /// When any of them can't be told.
    pub fn lows(&self, partitions: &[Partition]) -> Result<HashMap<Partition, i64>, Error> {
        let found = self.list_offsets(partitions, Offset::Beginning)?;
        Ok(found
            .into_iter()
            .filter_map(|(key, offset)| Some((key, offset?)))
            .collect())
    }

    /// The first offset whose record has this timestamp (milliseconds since 1970) or a later one;
    /// None when there is no such record yet.
    ///
    /// # Errors
    /// When any of them can't be told.
    pub fn offsets_at(
        &self,
        partitions: &[Partition],
        timestamp_ms: i64,
    ) -> Result<HashMap<Partition, Option<i64>>, Error> {
        // Negative numbers are not times but questions of their own (-1 the end, -2 the beginning).
        self.list_offsets(partitions, Offset::Offset(timestamp_ms.max(0)))
    }

    fn list_offsets(
        &self,
        partitions: &[Partition],
        question: Offset,
    ) -> Result<HashMap<Partition, Option<i64>>, Error> {
        if partitions.is_empty() {
            return Ok(HashMap::new());
        }
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            list.add_partition_offset(topic, *partition, question)?;
        }
        let answer = self.told(self.consumer.offsets_for_times(list, self.patience))?;
        let mut found = HashMap::with_capacity(partitions.len());
        for key in partitions {
            let element = answer
                .find_partition(&key.0, key.1)
                .ok_or_else(|| Error::Retry(format!("no answer for {}-{}", key.0, key.1)))?;
            element.error()?;
            let offset = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            found.insert((Arc::clone(&key.0), key.1), offset);
        }
        Ok(found)
    }

    /// The answer, or why there is none. Takes up what librdkafka has to say, which would pile up.
    fn told<T>(&self, answer: Result<T, KafkaError>) -> Result<T, Error> {
        // Without patience it would take up one line only.
        let patience = Duration::from_millis(if answer.is_ok() { 1 } else { 50 });
        let until = Instant::now() + patience;
        while self.consumer.poll(patience).is_some() && Instant::now() < until {}
        let complaint = self.consumer.context().take();
        answer.map_err(|error| match (Error::from(error), complaint) {
            (Error::Retry(what), Some(why)) => Error::Retry(format!("{what}: {why}")),
            (error, _) => error,
        })
    }

    /// How many partitions each topic has; None for a topic that is not there.
    ///
    /// # Errors
    /// When the brokers don't answer.
    pub fn partition_counts(
        &self,
        topics: &[&str],
    ) -> Result<HashMap<String, Option<usize>>, Error> {
        let mut counts = HashMap::with_capacity(topics.len());
        for name in topics {
            let metadata = self.told(self.consumer.fetch_metadata(Some(name), self.patience))?;
            let topic = metadata.topics().iter().find(|topic| topic.name() == *name);
            let count = match topic.map(|topic| (topic.error(), topic.partitions().len())) {
                Some((None, count)) if count > 0 => Some(count),
                Some((Some(error), _)) => missing(name, error.into())?,
                _ => None,
            };
            counts.insert((*name).to_owned(), count);
        }
        Ok(counts)
    }

    /// Makes topics; returns the names of those that were not there before. Must not be called on
    /// a thread that drives async tasks.
    ///
    /// # Errors
    /// [`Error::Setting`] when the broker refuses one (the topic is named), [`Error::Retry`] when it
    /// doesn't answer.
    pub fn create_topics(&self, specs: &[TopicSpec]) -> Result<Vec<String>, Error> {
        // The client takes a request for no topics as a mistake.
        if specs.is_empty() {
            return Ok(Vec::new());
        }
        let topics: Vec<NewTopic<'_>> = specs
            .iter()
            .map(|spec| {
                let replication = TopicReplication::Fixed(spec.replicas.unwrap_or(-1));
                let topic = NewTopic::new(&spec.name, spec.partitions, replication);
                let config = spec.config.iter();
                config.fold(topic, |topic, (key, value)| topic.set(key, value))
            })
            .collect();
        let options = AdminOptions::new()
            .operation_timeout(Some(self.patience))
            .request_timeout(Some(self.patience));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|error| Error::Retry(error.to_string()))?;
        let outcomes = runtime.block_on(self.admin.create_topics(&topics, &options))?;
        let mut created = Vec::new();
        for outcome in outcomes {
            match outcome {
                Ok(name) => created.push(name),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => {
                    return Err(Error::Setting(format!("topic {name}: {code}")));
                }
            }
        }
        Ok(created)
    }
}

fn missing(topic: &str, code: RDKafkaErrorCode) -> Result<Option<usize>, Error> {
    match code {
        RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => Ok(None),
        other => Err(Error::Retry(format!("topic {topic}: {other}"))),
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin")
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}
