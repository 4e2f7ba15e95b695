//! The load of a bench: messages into the input topics, at once or at a pace.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant as Moment};

use indicatif::{ProgressBar, ProgressStyle};

use super::input::{Channel, Input, Message};
use super::reader::{self, Seen};
use crate::config::Topics;
use crate::kafka::{Error, KafkaSettings, OutRecord, OutputProducer};

/// Messages that are on their way together.
const BATCH: u64 = 10_000;
/// How often a pace is kept up with.
const EVERY: Duration = Duration::from_millis(5);

/// Writes to the input topics of a run.
#[derive(Debug)]
pub(super) struct Sender {
    producer: OutputProducer,
    topics: Topics,
}

/// How fast messages are produced.
#[derive(Debug, Clone)]
pub(super) enum Pace {
    AtOnce,
    /// So many per second; the reader is told of each order when it is to come.
    Timed(u64, Arc<Mutex<Seen>>),
}

impl Sender {
    /// A producer without transactions, as order systems have.
    pub(super) fn open(kafka: &KafkaSettings, topics: &Topics) -> Result<Self, Error> {
        let plain = KafkaSettings {
            transactional: false,
            ..kafka.clone()
        };
        Ok(Self {
            producer: OutputProducer::open(&plain, Duration::from_secs(30))?,
            topics: topics.clone(),
        })
    }

    /// Publishes an agreement for all merchants.
    pub(super) fn agree(&self, agreement: &str) -> Result<(), Error> {
        let record = OutRecord {
            topic: &self.topics.merchant,
            key: Some(b"*"),
            headers: headers("agreement.published.v1"),
            payload: Some(agreement.as_bytes()),
            timestamp_ms: None,
        };
        self.producer.send_batch([record]).map(drop)
    }

    /// Produces the next messages of this input; blocks until all are acknowledged.
    pub(super) fn produce(&self, input: &mut Input, count: u64, pace: &Pace) -> Result<(), Error> {
        let bar = progress("producing", count);
        let began = Moment::now();
        let mut sent = 0;
        while sent < count {
            let batch = match pace {
                Pace::AtOnce => BATCH.min(count - sent),
                Pace::Timed(rate, _) => due(began.elapsed(), *rate).min(count) - sent,
            };
            let messages: Vec<Message> = (0..batch).map(|_| input.message()).collect();
            if let Pace::Timed(rate, seen) = pace {
                let mut seen = reader::lock(seen);
                for (number, message) in (sent..).zip(&messages) {
                    let nanos = u128::from(number) * 1_000_000_000 / u128::from(*rate);
                    let after = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
                    if let Some(order) = message.order {
                        seen.expect(order, began + after);
                    }
                }
            }
            if !messages.is_empty() {
                let records = messages.iter().map(|message| self.record(message));
                self.producer.send_batch(records)?;
            }
            sent += batch;
            bar.set_position(sent);
            if matches!(pace, Pace::Timed(..)) {
                std::thread::sleep(EVERY);
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    fn record<'a>(&'a self, message: &'a Message) -> OutRecord<'a> {
        OutRecord {
            topic: match message.channel {
                Channel::Orders => &self.topics.order_completed,
                Channel::Refunds => &self.topics.refund,
                Channel::Disputes => &self.topics.dispute,
            },
            key: Some(message.merchant.as_bytes()),
            headers: message.kind.map(headers).unwrap_or_default(),
            payload: Some(message.value.as_bytes()),
            timestamp_ms: None,
        }
    }
}

/// How many are due after this long.
fn due(after: Duration, rate: u64) -> u64 {
    let due = after.as_micros() * u128::from(rate) / 1_000_000;
    u64::try_from(due).unwrap_or(u64::MAX)
}

fn headers(kind: &'static str) -> Vec<(&'static str, Option<&'static [u8]>)> {
    vec![
        ("ce_specversion", Some(b"1.0")),
        ("ce_id", Some(b"bench")),
        ("ce_source", Some(b"/bench")),
        ("ce_type", Some(kind.as_bytes())),
    ]
}

/// A bar for people; nothing where standard error is no terminal.
pub(super) fn progress(what: &'static str, length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:24} {bar:40} {pos}/{len} {per_sec}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length)
        .with_style(style)
        .with_message(what)
}
