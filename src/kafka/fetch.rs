//! Records as owned values, and the loop that collects a batch of them from a consumer.
//!
//! Guarantees: no input bytes panic the process, and a batch is bounded in count, bytes and time.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::Offset;

use super::{Error, Partition};
use crate::message::{Record, UNREADABLE_HEADER};
use crate::rules::time::Instant as At;

/// How much one batch may hold, and how long it may take to fill.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub max_records: usize,
    /// Reached when passed: a batch holds at least one record, however large.
    pub max_bytes: usize,
    /// How long to wait for the first record.
    pub wait: Duration,
    /// How long to wait for more after the first.
    pub linger: Duration,
}

/// Topic names shared between records.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<Arc<str>>);

impl Names {
    pub(super) fn get(&mut self, topic: &str) -> Arc<str> {
        if let Some(known) = self.0.iter().find(|known| ***known == *topic) {
            return Arc::clone(known);
        }
        let name: Arc<str> = Arc::from(topic);
        self.0.push(Arc::clone(&name));
        name
    }
}

/// Collects up to a batch. Stops early at an error, which is returned with what came before it, and
/// when `interrupted` says so (a rebalance happened inside the poll).
pub(super) fn collect<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    names: &mut Names,
    limits: &Limits,
    interrupted: impl Fn() -> bool,
) -> (Vec<Record>, Option<KafkaError>) {
    let mut records = Vec::new();
    let mut bytes = 0;
    let mut until = Instant::now() + limits.wait;
    while records.len() < limits.max_records && bytes < limits.max_bytes {
        let polled = consumer.poll(until.saturating_duration_since(Instant::now()));
        match polled {
            Some(Ok(message)) => {
                if records.is_empty() {
                    until = Instant::now() + limits.linger;
                }
                let record = own(&message, names);
                bytes += record.size();
                records.push(record);
            }
            Some(Err(error)) => return (records, Some(error)),
            None if interrupted() || Instant::now() >= until => break,
            None => {}
        }
    }
    (records, None)
}

fn own(message: &BorrowedMessage<'_>, names: &mut Names) -> Record {
    Record {
        topic: names.get(message.topic()),
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message
            .timestamp()
            .to_millis()
            .and_then(|millis| Timestamp::from_millisecond(millis).ok())
            .map(At::new),
        key: message.key().map(<[u8]>::to_vec),
        headers: own_headers(message),
        value: message.payload().map(<[u8]>::to_vec),
    }
}

/// rdkafka 0.39 panics on a header whose name is not UTF-8: anyone who may write to an input topic
/// could stop the service with it.
fn own_headers(message: &BorrowedMessage<'_>) -> Vec<(String, Option<Vec<u8>>)> {
    let Some(headers) = message.headers() else {
        return Vec::new();
    };
    (0..headers.count())
        .map(|index| {
            let read = catch_unwind(AssertUnwindSafe(|| {
                headers
                    .try_get(index)
                    .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
            }));
            read.ok()
                .flatten()
                .unwrap_or_else(|| (UNREADABLE_HEADER.to_owned(), None))
        })
        .collect()
}

/// The list that librdkafka takes for an assignment at given offsets.
pub(super) fn start_list(starts: &[(Partition, i64)]) -> Result<TopicPartitionList, Error> {
    let mut list = TopicPartitionList::with_capacity(starts.len());
    for ((topic, partition), offset) in starts {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    Ok(list)
}

/// For each partition of `starts` the offset below which everything has been returned, is a
/// transaction marker, or belongs to an aborted transaction. Before the first record that is where
/// the partition was started.
pub(super) fn positions<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    starts: &HashMap<Partition, i64>,
) -> Result<HashMap<Partition, i64>, Error> {
    let mut positions = starts.clone();
    let list = consumer.position()?;
    for element in list.elements() {
        let Offset::Offset(offset) = element.offset() else {
            continue;
        };
        let key: Partition = (Arc::from(element.topic()), element.partition());
        if let Some(position) = positions.get_mut(&key) {
            *position = offset.max(*position);
        }
    }
    Ok(positions)
}
