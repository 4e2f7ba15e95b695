//! Everything that touches a Kafka client: settings, the input consumer, the output producer, its
//! reading back, and questions to the brokers. All calls block; callers run them on own threads.
//!
//! Guarantees nothing about money: offsets live in Postgres, and an event counts as published only
//! when it has been read back. What is guaranteed is that no client is built with a property that
//! would break those two, and that no input bytes can panic the process.

pub mod admin;
pub mod clock;
pub mod consumer;
pub mod fetch;
pub mod producer;
pub mod readback;
pub mod settings;

use std::sync::Arc;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

pub use admin::{Admin, TopicSpec};
pub use clock::BrokerClock;
pub use consumer::{Input, Polled};
pub use fetch::Limits;
pub use producer::{OutRecord, OutputProducer, Sent};
pub use readback::ReadBack;
pub use settings::KafkaSettings;

/// One partition of one topic.
pub type Partition = (Arc<str>, i32);

/// What went wrong, classified by what the caller has to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Configuration that can't work: stop and say so.
    #[error("{0}")]
    Setting(String),
    /// The client is of no use any more: build a new one.
    #[error("Kafka client failed for good: {0}")]
    Fatal(String),
    /// A position lies outside of its partition's log. The caller compares [`Admin::lows`] and
    /// [`Admin::ends`] with what it assigned to find which, and halts that partition.
    #[error("a position lies outside of the log: {0}")]
    OutOfRange(String),
    /// Passing trouble (broker away, leader moved, topic not there yet): go on, with back-off.
    #[error("Kafka: {0}")]
    Retry(String),
}

impl From<KafkaError> for Error {
    fn from(error: KafkaError) -> Self {
        match error {
            // The display of this variant contains the value, which may be a secret, and so may the
            // reason.
            KafkaError::ClientConfig(_, mut why, key, value) => {
                if !value.is_empty() {
                    why = why.replace(&value, "…");
                }
                Error::Setting(format!("Kafka property {key}: {why}"))
            }
            KafkaError::ClientCreation(why) => Error::Setting(format!("Kafka client: {why}")),
            KafkaError::MessageConsumption(
                RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
            ) => Error::OutOfRange(error.to_string()),
            KafkaError::MessageConsumptionFatal(_) => Error::Fatal(error.to_string()),
            KafkaError::Transaction(ref inner) if inner.is_fatal() => {
                Error::Fatal(error.to_string())
            }
            other => Error::Retry(other.to_string()),
        }
    }
}
