//! Journal lines and dead letters as Kafka records, and back: what is read in the topics names what
//! was sent.

use crate::config::Topics;
use crate::kafka::OutRecord;
use crate::message::outgoing::{self, EventType, Line, OutTopic, Outgoing};
use crate::message::{Record, dead_letter};
use crate::store::StoreError;
use crate::store::dead_letters::Unpublished;
use crate::store::publication::Pending;

pub(super) fn render(line: &Pending, source: &str) -> Result<Outgoing, StoreError> {
    let event_type = EventType::from_number(line.event)
        .ok_or_else(|| StoreError::Unreadable(format!("event number {}", line.event)))?;
    let hold = line.hold_id.map(|hold| hold.to_string());
    let subject = line.subject.as_deref().or(hold.as_deref());
    Ok(outgoing::render(
        &Line {
            event_type,
            event_id: line.event_id,
            subject: subject.unwrap_or_default(),
            merchant: &line.merchant_id,
            sequence: line.sequence,
            previous: line.previous,
            occurred_at: line.occurred_at,
            order: line.order_id.as_deref(),
            hold: line.hold_id,
            currency: line.currency.as_deref(),
            data: &line.data,
            traceparent: line.traceparent.as_deref(),
        },
        source,
    ))
}

pub(super) fn event_record<'a>(event: &'a Outgoing, topics: &'a Topics) -> OutRecord<'a> {
    OutRecord {
        topic: match event.topic {
            OutTopic::Releases => &topics.releases,
            OutTopic::Events => &topics.events,
        },
        key: Some(&event.key),
        headers: event
            .headers
            .iter()
            .map(|(name, value)| (*name, Some(value.as_bytes())))
            .collect(),
        payload: Some(&event.payload),
        timestamp_ms: None,
    }
}

/// What Kafka takes by default as the largest message, less what a batch adds.
const DEAD_LETTER_MAX: usize = 1_000_000;

/// A refused message as a record of its own.
pub(super) fn bury(letter: &Unpublished) -> dead_letter::DeadLetter {
    dead_letter::build(
        &letter.record,
        &letter.reason,
        &letter.detail,
        letter.refused_at,
        DEAD_LETTER_MAX,
    )
}

pub(super) fn letter_record<'a>(
    letter: &'a dead_letter::DeadLetter,
    topics: &'a Topics,
) -> OutRecord<'a> {
    OutRecord {
        topic: &topics.dead_letters,
        key: letter.key.as_deref(),
        headers: letter
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
            .collect(),
        payload: letter.value.as_deref(),
        timestamp_ms: None,
    }
}

/// The place of the message that a dead letter is about.
pub(crate) fn buried_at(record: &Record) -> Option<(String, i32, i64)> {
    let topic = record.header("holdback_topic")?.to_owned();
    let partition = record.header("holdback_partition")?.parse().ok()?;
    let offset = record.header("holdback_offset")?.parse().ok()?;
    Some((topic, partition, offset))
}
