//! Partitions that are not read on although there is more in them: are they still what was read before?
//!
//! librdkafka 2.12 keeps the greatest leader epoch that it has heard of. When a topic is deleted and
//! made anew under it, of which the brokers know the first epoch only, it asks for the old one for ever
//! and reads nothing. The gate is closed by that; here it gets its name: a client that has heard of
//! nothing yet reads the record again that was applied last, and where another one lies there the
//! partition is halted. Whatever else keeps a partition back (an upstream transaction, much to do)
//! finds the same record there, and nothing happens.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::assignment::digest;
use super::freshness::{AskError, Ends, blocking};
use crate::kafka::{self, KafkaSettings, Partition, ReadBack};
use crate::message::Record;
use crate::store::Store;
use crate::store::positions::{self, Position};

/// How long a partition is not read on before it is looked after, and between two looks.
const AFTER: Duration = Duration::from_secs(10);
/// How long reading one record may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Since when partitions have stood where they stand, with more behind it.
#[derive(Debug, Default)]
pub(super) struct Stuck(HashMap<Partition, (i64, Instant)>);

impl Stuck {
    /// Looks after the partition that has stood still for the longest, if one has for long enough: one at a
    /// time, so that the ends are asked for meanwhile.
    ///
    /// # Errors
    /// When the brokers or the database do not answer.
    pub(super) async fn look(
        &mut self,
        store: &Store,
        kafka: &KafkaSettings,
        (positions, latest): (&[(positions::Partition, Position)], &Ends),
        stop: &CancellationToken,
    ) -> Result<(), AskError> {
        let mut standing = HashMap::new();
        let mut last = HashMap::new();
        for ((topic, partition), position) in positions {
            let key: Partition = (Arc::from(topic.as_str()), *partition);
            let (Some(next), None) = (position.next_offset, &position.halted) else {
                continue;
            };
            if latest.ends.get(&key).is_some_and(|end| next < *end) {
                last.insert(key.clone(), position.last.clone());
                standing.insert(key, next);
            }
        }
        let Some(partition) = self.longest(standing, Instant::now()) else {
            return Ok(());
        };
        let Some((offset, applied)) = last.remove(&partition).flatten() else {
            return Ok(());
        };
        let (settings, wanted) = (kafka.clone(), partition.clone());
        let found = blocking(stop, move || record_at(&settings, &wanted, offset)).await?;
        let Some(found) = found.filter(|it| it.offset == offset && digest(it) != applied) else {
            return Ok(());
        };
        let why = format!(
            "offset {} holds another record than the one that was applied: the topic was made anew",
            found.offset
        );
        tracing::error!(alarm = "partition_halted", topic = %partition.0, partition = partition.1, why, "this partition is halted; see the README, \"When the input was lost\"");
        let key = (partition.0.to_string(), partition.1);
        store.halt(&key, &why).await?;
        Ok(())
    }

    /// Of the partitions that stand there with more behind it, the one that has for the longest, once it is
    /// [`AFTER`]; it counts anew from then on.
    fn longest(&mut self, standing: HashMap<Partition, i64>, now: Instant) -> Option<Partition> {
        self.0
            .retain(|key, (next, _)| standing.get(key) == Some(next));
        for (key, next) in standing {
            self.0.entry(key).or_insert((next, now));
        }
        let still = |since: Instant| now.saturating_duration_since(since) >= AFTER;
        let all = self.0.iter_mut();
        let (key, (_, since)) = all
            .filter(|(_, (_, since))| still(*since))
            .min_by_key(|(_, (_, since))| *since)?;
        *since = now;
        Some(key.clone())
    }
}

/// The record that lies there, by a client of its own; the first after it where it is gone.
fn record_at(
    kafka: &KafkaSettings,
    partition: &Partition,
    offset: i64,
) -> Result<Option<Record>, kafka::Error> {
    let mut reader = ReadBack::open(kafka, &[(partition.clone(), offset)])?;
    let until = HashMap::from([(partition.clone(), offset + 1)]);
    let mut found = None;
    reader.read_until(&until, PATIENCE, |record| {
        found.get_or_insert(record);
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_that_stands_longest_is_looked_after_and_one_that_moves_is_not() {
        let key = |topic: &str| (Arc::from(topic), 0);
        let at = |one: i64, other: i64| HashMap::from([(key("one"), one), (key("other"), other)]);
        let begin = Instant::now();
        let mut stuck = Stuck::default();
        assert_eq!(stuck.longest(at(1, 1), begin), None);
        assert_eq!(stuck.longest(at(1, 2), begin + AFTER / 2), None);
        let then = begin + AFTER;
        assert_eq!(stuck.longest(at(1, 2), then), Some(key("one")));
        assert_eq!(stuck.longest(at(1, 2), then), None);
        let later = begin + AFTER * 2;
        assert_eq!(stuck.longest(at(1, 2), later), Some(key("other")));
        assert_eq!(stuck.longest(at(1, 2), later), Some(key("one")));
        // It has nothing more behind it.
        let one = HashMap::from([(key("one"), 1)]);
        assert_eq!(stuck.longest(one, later + AFTER), Some(key("one")));
        assert_eq!(stuck.longest(at(1, 2), later + AFTER), None);
    }
}
