//! What a worker owns: where each partition stands, whether it is the topic that was read before,
//! and whether the merchant topic has been read far enough for orders to be applied.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Rules;
use super::freshness::{Asker, ask};
use crate::config::IngestStart;
use crate::kafka::{self, Partition};
use crate::message::Record;
use crate::planted::{Bug, is_planted};
use crate::rules::time::Instant;
use crate::store::cases::SourceTopic;
use crate::store::positions::{self, Position};
use crate::store::{Store, StoreError};

/// What recognises a record: the first 16 bytes of SHA-256 over key, value and timestamp.
#[must_use]
pub fn digest(record: &Record) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in [&record.key, &record.value] {
        let bytes = part.as_deref().unwrap_or_default();
        hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(bytes);
    }
    let micros = record
        .timestamp
        .map_or(0, |at| at.timestamp().as_microsecond());
    hash.update(micros.to_be_bytes());
    hash.finalize().iter().take(16).copied().collect()
}

/// One partition that this worker reads.
#[derive(Debug, Clone)]
pub(super) struct Owned {
    /// Where the database says it stands.
    pub next: i64,
    /// Where reading starts: at the last applied record if it is still there, to recognise it.
    pub start: i64,
    /// The last applied record, until it was recognised.
    pub fingerprint: Option<(i64, Vec<u8>)>,
}

/// Everything that this worker reads.
#[derive(Debug, Default)]
pub(super) struct Assignment {
    pub partitions: HashMap<Partition, Owned>,
}

/// Why an assignment could not be taken up.
#[derive(Debug, thiserror::Error)]
pub(super) enum TakeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
}

/// What a record is to its partition's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// To be applied.
    New,
    /// Applied before.
    Old,
    /// The place of the last applied record holds another one: the topic was made anew.
    Foreign,
    /// Of a partition that is not ours.
    Stray,
}

impl Assignment {
    /// Looks up where these partitions stand, decides where to read the ones that were never read,
    /// and halts those whose position lies outside of their log.
    pub(super) async fn take(
        store: &Store,
        asker: Asker<'_>,
        given: &[Partition],
        start: Option<&IngestStart>,
    ) -> Result<Self, TakeError> {
        let keys: Vec<positions::Partition> = given
            .iter()
            .map(|(topic, partition)| (topic.to_string(), *partition))
            .collect();
        store.note_partitions(&keys).await?;
        let wanted = given.to_vec();
        let (lows, ends) = ask(asker, move |admin| {
            Ok((admin.lows(&wanted)?, admin.ends(&wanted)?))
        })
        .await?;
        let known = store.positions(&keys).await?;
        let fresh: Vec<Partition> = given
            .iter()
            .filter(|partition| next(&known, partition).is_none())
            .cloned()
            .collect();
        if !fresh.is_empty() {
            let starts = first_offsets(asker, &fresh, start, &lows, &ends).await?;
            store.begin_positions(&starts).await?;
        }
        let known = store.positions(&keys).await?;
        let mut assignment = Self::default();
        for partition in given {
            let key = (partition.0.to_string(), partition.1);
            let Some(position) = known.get(&key) else {
                continue;
            };
            let (Some(next), None) = (position.next_offset, &position.halted) else {
                continue;
            };
            let low = lows.get(partition).copied().unwrap_or(next);
            let end = ends.get(partition).copied().unwrap_or(next);
            if let Some(why) = outside(next, low, end) {
                tracing::error!(alarm = "input_lost", topic = %key.0, partition = key.1, why, "this partition is halted; see the README, \"When the input was lost\"");
                store.halt(&key, &why).await?;
                continue;
            }
            assignment
                .partitions
                .insert(partition.clone(), owned(position, next, low));
        }
        Ok(assignment)
    }

    /// The starts for the consumer: all partitions, or only those of the merchant topic while
    /// orders must wait for agreements.
    pub(super) fn starts(&self, rules: &Rules, merchant_only: bool) -> Vec<(Partition, i64)> {
        self.partitions
            .iter()
            .filter(|((topic, _), _)| {
                !merchant_only || rules.topic(topic) == Some(SourceTopic::Merchant)
            })
            .map(|(partition, owned)| (partition.clone(), owned.start))
            .collect()
    }

    /// Compares a record with its partition's position.
    pub(super) fn fit(&mut self, record: &Record) -> Fit {
        let key = (Arc::clone(&record.topic), record.partition);
        let Some(owned) = self.partitions.get_mut(&key) else {
            return Fit::Stray;
        };
        if let Some((offset, expected)) = owned.fingerprint.take() {
            let foreign = record.offset == offset && digest(record) != expected;
            if foreign && !is_planted(Bug::TrustInput) {
                return Fit::Foreign;
            }
            if record.offset != offset {
                tracing::info!(topic = %record.topic, partition = record.partition, "the last applied record is gone by retention; the position is inside the log");
            }
        }
        if record.offset < owned.next {
            Fit::Old
        } else {
            Fit::New
        }
    }
}

fn next(known: &HashMap<positions::Partition, Position>, partition: &Partition) -> Option<i64> {
    known
        .get(&(partition.0.to_string(), partition.1))
        .and_then(|position| position.next_offset)
}

fn owned(position: &Position, next: i64, low: i64) -> Owned {
    let fingerprint = position.last.clone().filter(|(offset, _)| *offset >= low);
    Owned {
        next,
        start: fingerprint.as_ref().map_or(next, |(offset, _)| *offset),
        fingerprint,
    }
}

/// Why a position lies outside of the log, if it does.
fn outside(next: i64, low: i64, end: i64) -> Option<String> {
    if is_planted(Bug::TrustInput) {
        return None;
    }
    if next < low {
        return Some(format!(
            "offsets {next} to {} are gone and were not applied",
            low - 1
        ));
    }
    (next > end).then(|| format!("the position {next} lies beyond the log's end {end}"))
}

/// Where partitions begin that were never read: by `ingest.start` on the deployment's first start,
/// else at their beginning, since a partition that is new to a known topic holds new messages.
async fn first_offsets(
    asker: Asker<'_>,
    fresh: &[Partition],
    start: Option<&IngestStart>,
    lows: &HashMap<Partition, i64>,
    ends: &HashMap<Partition, i64>,
) -> Result<Vec<(positions::Partition, i64)>, kafka::Error> {
    let at: HashMap<Partition, i64> = match start {
        None | Some(IngestStart::Earliest) => lows.clone(),
        Some(IngestStart::Latest) => ends.clone(),
        Some(IngestStart::At(instant)) => {
            let millis = instant.timestamp().as_millisecond();
            let wanted = fresh.to_vec();
            ask(asker, move |admin| admin.offsets_at(&wanted, millis))
                .await?
                .into_iter()
                .filter_map(|(partition, offset)| {
                    let offset = offset.or_else(|| ends.get(&partition).copied())?;
                    Some((partition, offset))
                })
                .collect()
        }
    };
    Ok(fresh
        .iter()
        .filter_map(|partition| {
            let offset = at.get(partition)?;
            Some(((partition.0.to_string(), partition.1), *offset))
        })
        .collect())
}

/// Orders may be applied once everything that the merchant topic held at `since` is applied.
pub(super) async fn merchants_read(
    store: &Store,
    merchant_topic: &str,
    since: Instant,
) -> Result<bool, StoreError> {
    let moment = store.applied_until(&[merchant_topic.to_owned()]).await?;
    Ok(moment.is_some_and(|moment| moment >= since))
}
