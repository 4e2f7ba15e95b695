//! What stops a partition until a person has looked: too many dead letters in a row, or, where that is
//! wanted, one about money whose order can't be read.
//!
//! Guarantees that every message counts that is refused as it comes, whoever refuses it, and that the
//! count goes on where the last transaction left it: it is kept with the position. A message that is
//! applied, known or kept until its order comes ends a row.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Rules;
use crate::kafka::Partition;
use crate::message::Record;

/// Per partition, the offset that is not applied any more, and why.
pub type Stops = BTreeMap<Partition, (i64, &'static str)>;

/// Dead letters in a row, by partition.
pub(super) type Rows = BTreeMap<Partition, u32>;

/// What of a batch was refused as it came, by place; true: it may be about money, and its order
/// can't be read.
pub(super) type Refused = BTreeMap<usize, bool>;

/// Counts on from `before`: the rows by the end of the batch, unless partitions must stop.
pub(super) fn count(
    records: &[Record],
    refused: &Refused,
    before: &Rows,
    rules: &Rules,
) -> Result<Rows, Stops> {
    let mut rows = before.clone();
    let mut stops = Stops::new();
    for (place, record) in records.iter().enumerate() {
        let key = (Arc::clone(&record.topic), record.partition);
        let row = rows.entry(key.clone()).or_default();
        let Some(unreadable) = refused.get(&place) else {
            *row = 0;
            continue;
        };
        *row = row.saturating_add(1);
        let why = if rules.halt_unreadable && *unreadable {
            "a message about money names no order that can be read"
        } else if *row >= rules.breaker {
            "too many bad messages in a row"
        } else {
            continue;
        };
        stops.entry(key).or_insert((record.offset, why));
    }
    if stops.is_empty() {
        Ok(rows)
    } else {
        Err(stops)
    }
}

/// Whether a record lies before its partition's stop.
pub(super) fn is_before(stops: &Stops, record: &Record) -> bool {
    let key = (Arc::clone(&record.topic), record.partition);
    stops
        .get(&key)
        .is_none_or(|(offset, _)| record.offset < *offset)
}
