//! Reads topics back at chosen offsets, outside of any group.
//!
//! Guarantees: only committed records are returned, each once, in order per partition, from the
//! offset that the caller named; nothing is committed or reset.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, DefaultConsumerContext};

use super::fetch::{Limits, Names, collect, positions, start_list};
use super::{Error, KafkaSettings, Partition};
use crate::message::Record;

/// A reader of chosen partitions.
pub struct ReadBack {
    consumer: BaseConsumer<DefaultConsumerContext>,
    names: Names,
    starts: HashMap<Partition, i64>,
    failed: Option<Error>,
}

impl ReadBack {
    /// A reader that starts at these offsets.
    ///
    /// # Errors
    /// [`Error::Setting`] for a refused configuration.
    pub fn open(settings: &KafkaSettings, starts: &[(Partition, i64)]) -> Result<Self, Error> {
        let mut reader = Self {
            consumer: settings.reader().create()?,
            names: Names::default(),
            starts: HashMap::new(),
            failed: None,
        };
        reader.assign_at(starts)?;
        Ok(reader)
    }

    /// Starts anew, with these partitions at these offsets.
    ///
    /// # Errors
    /// When librdkafka refuses the assignment.
    pub fn assign_at(&mut self, starts: &[(Partition, i64)]) -> Result<(), Error> {
        self.consumer.assign(&start_list(starts)?)?;
        self.starts = starts.iter().cloned().collect();
        self.failed = None;
        Ok(())
    }

    /// Waits for records; none when none came in time.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn poll_batch(&mut self, limits: &Limits) -> Result<Vec<Record>, Error> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let (records, error) = collect(&self.consumer, &mut self.names, limits, || false);
        match error.map(Error::from) {
            Some(error) if records.is_empty() => Err(error),
            later => {
                self.failed = later;
                Ok(records)
            }
        }
    }

    /// Hands every record to `each` until all targets (next offsets, as [`super::Admin::ends`]
    /// gives them) are reached; true when they were within the deadline. Passing errors are waited
    /// out.
    ///
    /// # Errors
    /// Anything but [`Error::Retry`].
    pub fn read_until(
        &mut self,
        targets: &HashMap<Partition, i64>,
        deadline: Duration,
        mut each: impl FnMut(Record),
    ) -> Result<bool, Error> {
        let until = Instant::now() + deadline;
        loop {
            let positions = self.positions()?;
            let reached = |(key, target): (&Partition, &i64)| {
                positions
                    .get(key)
                    .is_some_and(|position| position >= target)
            };
            if targets.iter().all(reached) {
                return Ok(true);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            // A transaction marker moves the position without a record, so wait briefly.
            let limits = Limits {
                max_records: 1000,
                max_bytes: 4 << 20,
                wait: left.min(Duration::from_millis(20)),
                linger: Duration::ZERO,
            };
            match self.poll_batch(&limits) {
                Ok(records) => records.into_iter().for_each(&mut each),
                Err(Error::Retry(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Per partition, the offset below which everything committed has been returned.
    ///
    /// # Errors
    /// When librdkafka can't tell.
    pub fn positions(&self) -> Result<HashMap<Partition, i64>, Error> {
        positions(&self.consumer, &self.starts)
    }
}

impl std::fmt::Debug for ReadBack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadBack")
            .field("starts", &self.starts)
            .finish_non_exhaustive()
    }
}
