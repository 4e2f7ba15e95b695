//! The input consumer: one group member on its caller's thread.
//!
//! Guarantees: nothing is assigned or given up behind the caller's back, no offset is committed or
//! reset by itself, records that came before a rebalance are returned before it, and closing takes
//! no longer than its deadline.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::topic_partition_list::Offset;
use rdkafka::types::RDKafkaRespErr;
use tracing::{info, warn};

use super::fetch::{Limits, Names, collect, positions, start_list};
use super::{Error, KafkaSettings, Partition};
use crate::message::Record;

/// What one call of [`Input::poll_batch`] brought.
#[derive(Debug)]
pub enum Polled {
    /// Records, in order per partition; none when none came in time.
    Records(Vec<Record>),
    /// The group gave these partitions to this member, in place of all it had. Nothing is read
    /// until the caller answers with [`Input::assign_at`]; the group waits for that.
    Assigned(Vec<Partition>),
    /// The group wants all partitions back. The caller ends its transaction and answers with
    /// [`Input::unassign`]; the group waits for that, at most `max.poll.interval.ms`.
    Revoked,
}

enum Rebalance {
    Assigned(Vec<(String, i32)>),
    Revoked,
}

/// Notes what the group wants instead of doing it: positions come from Postgres, and the caller's
/// thread is the only one that may ask for them.
#[derive(Default)]
struct Group {
    wanted: Mutex<VecDeque<Rebalance>>,
    closing: AtomicBool,
}

impl ClientContext for Group {}

impl ConsumerContext for Group {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        if self.closing.load(Ordering::Acquire) {
            // Without an answer the group would never let go of a closing consumer.
            if let Err(error) = consumer.unassign() {
                warn!(%error, "a closing consumer could not give up its partitions");
            }
            return;
        }
        let event = if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let partitions = list.elements();
            Rebalance::Assigned(
                partitions
                    .iter()
                    .map(|element| (element.topic().to_owned(), element.partition()))
                    .collect(),
            )
        } else {
            Rebalance::Revoked
        };
        self.wanted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(event);
    }
}

impl Group {
    fn next(&self) -> Option<Rebalance> {
        self.wanted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }

    fn is_waiting(&self) -> bool {
        !self
            .wanted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }
}

/// A member of the input group.
pub struct Input {
    consumer: BaseConsumer<Group>,
    names: Names,
    /// Where each assigned partition was started.
    starts: HashMap<Partition, i64>,
    /// An error that came after records of the same batch.
    failed: Option<Error>,
    /// A wish of the group was handed to the caller, who has not answered yet.
    asked: bool,
}

impl Input {
    /// Builds the consumer and subscribes; joining happens inside [`Input::poll_batch`].
    ///
    /// # Errors
    /// [`Error::Setting`] for a configuration that librdkafka refuses.
    pub fn open(settings: &KafkaSettings, topics: &[&str]) -> Result<Self, Error> {
        let consumer: BaseConsumer<Group> =
            settings.input().create_with_context(Group::default())?;
        consumer.subscribe(topics)?;
        Ok(Self {
            consumer,
            names: Names::default(),
            starts: HashMap::new(),
            failed: None,
            asked: false,
        })
    }

    /// Waits for records or for a wish of the group. Must be called at least every
    /// `max.poll.interval.ms` (5 minutes), or the group takes the partitions away.
    ///
    /// # Errors
    /// See [`Error`]; after [`Error::Retry`] and [`Error::OutOfRange`] the other partitions go on.
    pub fn poll_batch(&mut self, limits: &Limits) -> Result<Polled, Error> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if let Some(event) = self.consumer.context().next() {
            return Ok(self.wanted(event));
        }
        let group = Arc::clone(self.consumer.context());
        let (records, error) = collect(&self.consumer, &mut self.names, limits, || {
            group.is_waiting()
        });
        match error.map(Error::from) {
            Some(error) if records.is_empty() => return Err(error),
            later => self.failed = later,
        }
        if records.is_empty()
            && let Some(event) = group.next()
        {
            return Ok(self.wanted(event));
        }
        Ok(Polled::Records(records))
    }

    /// Reads these partitions from these offsets on, and no others. Answers [`Polled::Assigned`];
    /// called again it starts anew at the given offsets, forgetting what was fetched but not
    /// returned.
    ///
    /// # Errors
    /// When librdkafka refuses the assignment.
    pub fn assign_at(&mut self, starts: &[(Partition, i64)]) -> Result<(), Error> {
        self.consumer.assign(&start_list(starts)?)?;
        self.asked = false;
        self.starts = starts.iter().cloned().collect();
        Ok(())
    }

    /// Stops reading. Answers [`Polled::Revoked`].
    ///
    /// # Errors
    /// When librdkafka refuses.
    pub fn unassign(&mut self) -> Result<(), Error> {
        self.starts.clear();
        self.failed = None;
        self.consumer.unassign()?;
        self.asked = false;
        Ok(())
    }

    /// Per assigned partition, the offset below which nothing is left to read: all of it has been
    /// returned by [`Input::poll_batch`], is a transaction marker or was aborted. An open upstream
    /// transaction keeps it back.
    ///
    /// # Errors
    /// When librdkafka can't tell.
    pub fn positions(&self) -> Result<HashMap<Partition, i64>, Error> {
        positions(&self.consumer, &self.starts)
    }

    /// Tells the group how far this member is, for lag tools only: nothing reads it back, and a
    /// failure is of no consequence.
    pub fn commit_for_lag_tools(&self, offsets: &HashMap<Partition, i64>) {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for ((topic, partition), offset) in offsets {
            if let Err(error) =
                list.add_partition_offset(topic, *partition, Offset::Offset(*offset))
            {
                warn!(%error, topic = &**topic, partition, "offset left out of the advisory commit");
            }
        }
        if let Err(error) = self.consumer.commit(&list, CommitMode::Async) {
            info!(%error, "advisory commit failed");
        }
    }

    /// Leaves the group. Gives up waiting after the deadline; true when it was in time. To be called
    /// last. librdkafka can hang without a broker, and a broker answers to leaving only after it has
    /// answered to joining, which waits for all other members: then both are under way.
    #[must_use]
    pub fn close(self, deadline: Duration) -> bool {
        let (done, closed) = mpsc::channel();
        std::thread::spawn(move || {
            drop(self);
            if done.send(()).is_err() {
                info!("a consumer closed after its deadline");
            }
        });
        closed.recv_timeout(deadline).is_ok()
    }

    fn wanted(&mut self, event: Rebalance) -> Polled {
        self.asked = true;
        match event {
            Rebalance::Assigned(partitions) => Polled::Assigned(
                partitions
                    .into_iter()
                    .map(|(topic, partition)| (self.names.get(&topic), partition))
                    .collect(),
            ),
            Rebalance::Revoked => Polled::Revoked,
        }
    }
}

/// Blocks until the group has let go; prefer [`Input::close`], which has a deadline.
impl Drop for Input {
    fn drop(&mut self) {
        let group = self.consumer.context();
        group.closing.store(true, Ordering::Release);
        // Wishes that were noted or handed out and never answered: the group would wait for the answer
        // for ever.
        if (self.asked || group.is_waiting())
            && let Err(error) = self.consumer.unassign()
        {
            warn!(%error, "a closing consumer could not give up its partitions");
        }
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input")
            .field("starts", &self.starts)
            .finish_non_exhaustive()
    }
}
