//! The output topics, read as a `read_committed` consumer from where the database has read them to.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::bail;
use jiff::Timestamp;
use serde_json::Value;

use crate::config::Topics;
use crate::kafka::{Admin, KafkaSettings, ReadBack};
use crate::message::Record;
use crate::message::outgoing::{EventType, Line, data_of};
use crate::publish::{buried_at, outputs};
use crate::rules::time::Instant;
use crate::store::elsewhere::Published;

/// How long reading may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// What the topics hold.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) events: Vec<Published>,
    pub(super) buried: Vec<(String, i32, i64)>,
    /// Where records lie that are no events of this deployment.
    pub(super) foreign: Vec<String>,
    /// Where to read on from.
    pub(super) positions: Vec<((String, i32), i64)>,
}

/// Reads the output topics from these positions, or from their beginning, to their present end.
pub(super) fn read(
    kafka: &KafkaSettings,
    admin: &Admin,
    topics: &Topics,
    known: &HashMap<(String, i32), i64>,
    source: &str,
) -> anyhow::Result<Found> {
    let partitions = outputs::partitions(admin, topics)?;
    let starts = outputs::starts(admin, &partitions, known)?;
    let ends = admin.ends(&partitions)?;
    let mut reader = ReadBack::open(kafka, &starts)?;
    let mut found = Found::default();
    let done = reader.read_until(&ends, PATIENCE, |record| {
        if *record.topic == *topics.dead_letters {
            found.buried.extend(buried_at(&record));
            return;
        }
        match event(&record, source) {
            Some(event) => found.events.push(event),
            None => found.foreign.push(record.place()),
        }
    })?;
    if !done {
        bail!("the output topics could not be read to their end; is a transaction hanging?");
    }
    found.positions = reader
        .positions()?
        .into_iter()
        .map(|((topic, partition), next)| ((topic.to_string(), partition), next))
        .collect();
    Ok(found)
}

/// An event of ours, taken apart.
fn event(record: &Record, source: &str) -> Option<Published> {
    if record.header("ce_source") != Some(source) {
        return None;
    }
    let kind = record.header("ce_type")?;
    let kind = EventType::ALL.iter().find(|it| it.as_str() == kind)?;
    let payload = record.value.as_deref()?;
    let json: Value = serde_json::from_slice(payload).ok()?;
    let text = |name: &str| json.get(name).and_then(Value::as_str);
    let merchant = String::from_utf8(record.key.clone()?).ok()?;
    let event_id = record.header("ce_id")?.parse().ok()?;
    let sequence = record.header("ce_sequence")?.parse().ok()?;
    let previous = json.get("previous")?.as_i64()?;
    let occurred_at: Timestamp = record.header("ce_time")?.parse().ok()?;
    let occurred_at = Instant::new(occurred_at);
    let hold: Option<uuid::Uuid> = match text("hold_id") {
        Some(hold) => Some(hold.parse().ok()?),
        None => None,
    };
    let subject = record.header("ce_subject").unwrap_or_default();
    let line = Line {
        event_type: *kind,
        event_id,
        subject,
        merchant: &merchant,
        sequence,
        previous,
        occurred_at,
        order: text("order_id"),
        hold,
        currency: text("currency"),
        data: "{}",
        traceparent: None,
    };
    let data = data_of(payload, &line)?;
    let of_hold = hold.is_some_and(|hold| hold.to_string() == subject);
    Some(Published {
        event_id,
        sequence,
        previous,
        event: kind.number(),
        occurred_at,
        order_id: text("order_id").map(str::to_owned),
        hold_id: hold,
        currency: text("currency").map(str::to_owned),
        subject: (!of_hold).then(|| subject.to_owned()),
        data,
        traceparent: record.header("traceparent").map(str::to_owned),
        merchant_id: merchant,
        contradiction: None,
        taken: false,
    })
}
