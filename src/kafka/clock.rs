//! What time the broker has: it stamps the records of a topic of their own, which nobody reads.
//!
//! Guarantees nothing where that topic is missing or stamped by its writers: then nobody knows.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant as Moment};

use rdkafka::ClientContext;
use rdkafka::message::{Message, Timestamp as Stamp};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use super::{Error, KafkaSettings, TopicSpec};
use crate::rules::time::Instant;

/// The topic beside the events' topic.
#[must_use]
pub fn topic_beside(events: &str) -> String {
    format!("{events}-clock")
}

/// How it must be made.
#[must_use]
pub fn topic_spec(name: String, replicas: Option<i32>) -> TopicSpec {
    let config = [
        ("cleanup.policy", "delete"),
        ("message.timestamp.type", "LogAppendTime"),
        ("retention.ms", "3600000"),
    ];
    TopicSpec {
        name,
        partitions: 1,
        replicas,
        config: config
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec(),
    }
}

/// The stamp of the last record: `Some(None)` when its broker gave none.
#[derive(Default)]
struct Witness(Mutex<Option<Option<Instant>>>);

impl ClientContext for Witness {}

impl ProducerContext for Witness {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let stamp = result.as_ref().ok().and_then(|it| match it.timestamp() {
            Stamp::LogAppendTime(millis) => jiff::Timestamp::from_millisecond(millis).ok(),
            _ => None,
        });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(stamp.map(Instant::new));
    }
}

/// Asks the broker for its time.
pub struct BrokerClock {
    producer: ThreadedProducer<Witness>,
    topic: String,
}

impl BrokerClock {
    /// By this topic, which must be there.
    ///
    /// # Errors
    /// [`Error::Setting`] for a refused configuration.
    pub fn open(settings: &KafkaSettings, topic: String) -> Result<Self, Error> {
        let plain = KafkaSettings {
            transactional: false,
            ..settings.clone()
        };
        let producer = plain.output().create_with_context(Witness::default())?;
        Ok(Self { producer, topic })
    }

    /// The broker's time at a moment between the call and its return; `None` when the broker does not
    /// say what time it has, or not in time.
    ///
    /// # Errors
    /// When nothing can be sent.
    pub fn ask(&self, patience: Duration) -> Result<Option<Instant>, Error> {
        let witness = &self.producer.context().0;
        *witness.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&self.topic);
        self.producer
            .send(record.payload(b"time"))
            .map_err(|(error, _)| Error::from(error))?;
        let until = Moment::now() + patience;
        while Moment::now() < until {
            let stamp = *witness.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(stamp) = stamp {
                return Ok(stamp);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(None)
    }
}

impl std::fmt::Debug for BrokerClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrokerClock")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}
