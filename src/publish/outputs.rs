//! The output topics' partitions, and from where they are read back.
//!
//! Guarantees that reading back leaves nothing out: it begins where it ended, and a partition that
//! ends before that is a fault.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::Topics;
use crate::kafka::{self, Admin, Partition};

/// Why reading back can't begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    #[error(
        "{topic}/{partition} was read back to {next} and ends at {end}: it was truncated or made anew"
    )]
    Cut {
        topic: Arc<str>,
        partition: i32,
        next: i64,
        end: i64,
    },
}

/// The partitions of the output topics.
///
/// # Errors
/// When the brokers don't answer, or a topic is missing.
pub(crate) fn partitions(admin: &Admin, topics: &Topics) -> Result<Vec<Partition>, kafka::Error> {
    let names = topics.outputs();
    let counts = admin.partition_counts(&names)?;
    let mut partitions = Vec::new();
    for name in names {
        let count = counts.get(name).copied().flatten();
        let count = count.ok_or_else(|| {
            kafka::Error::Retry(format!(
                "the topic {name} is missing; `holdback topics` creates it"
            ))
        })?;
        let topic: Arc<str> = Arc::from(name);
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        partitions.extend((0..count).map(|partition| (Arc::clone(&topic), partition)));
    }
    Ok(partitions)
}

/// Where reading back begins: at the offset that `known` says, or at what is left of the topic.
///
/// # Errors
/// When the brokers don't answer, or a partition was cut short.
pub(crate) fn starts(
    admin: &Admin,
    partitions: &[Partition],
    known: &HashMap<(String, i32), i64>,
) -> Result<Vec<(Partition, i64)>, OutputError> {
    let lows = admin.lows(partitions)?;
    let ends = admin.ends(partitions)?;
    let mut starts = Vec::with_capacity(partitions.len());
    for it in partitions {
        let low = lows.get(it).copied().unwrap_or_default();
        let end = ends.get(it).copied().unwrap_or_default();
        let next = known.get(&(it.0.to_string(), it.1)).copied();
        let next = next.unwrap_or(low);
        if next > end {
            return Err(OutputError::Cut {
                topic: Arc::clone(&it.0),
                partition: it.1,
                next,
                end,
            });
        }
        starts.push((it.clone(), next.max(low)));
    }
    Ok(starts)
}
