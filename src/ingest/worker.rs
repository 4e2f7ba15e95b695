//! One ingest worker: a thread with a consumer of its own that owns whole partitions.
//!
//! It polls,
//! applies what it polled, and only then polls again, so nothing is in flight when the group takes
//! partitions away.

use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::assignment::{Assignment, Fit, TakeError, merchants_read};
use super::backoff::Backoff;
use super::freshness::{Ends, Fresh};
use super::{Batch, Ingest, Positions, Rules};
use crate::config::IngestStart;
use crate::http::{Heartbeat, Readiness};
use crate::kafka::{Admin, Error, Input, KafkaSettings, Limits, Partition, Polled};
use crate::message::Record;
use crate::planted::{self, Bug, Point, is_planted};
use crate::rules::time::Instant;
use crate::store::{Store, StoreError};
use crate::telemetry;

/// Bytes of a batch, but for its last message. Parsed, decided and written they are several times as
/// much; a batch of messages of usual size is full by their number first.
const BATCH_MAX_BYTES: usize = 4 << 20;
/// How long an idle poll waits: as often the freshness is looked after.
const POLL: Duration = Duration::from_millis(50);

/// A partition to be stopped, and why.
type Halt = (Partition, String);

/// What a worker is made of.
#[derive(Debug, Clone)]
pub struct Setup {
    pub store: Store,
    pub rules: Arc<Rules>,
    pub kafka: KafkaSettings,
    pub admin: Arc<Admin>,
    pub topics: Vec<String>,
    pub merchant_topic: String,
    /// On the deployment's first start only.
    pub start: Option<IngestStart>,
    pub batch_max: usize,
    pub linger: Duration,
    pub ends: watch::Receiver<Option<Ends>>,
    pub readiness: Arc<Readiness>,
    pub heartbeat: Heartbeat,
    pub stop: CancellationToken,
    /// How long leaving the group may take.
    pub close_deadline: Duration,
}

/// A worker at work.
struct Worker {
    setup: Setup,
    handle: Handle,
    ingest: Ingest,
    assignment: Assignment,
    /// Since when orders wait for the merchant topic; `None`: they don't.
    merchants_since: Option<Instant>,
    fresh: Fresh,
    backoff: Backoff,
}

/// Runs a worker on this thread until it is stopped. A consumer that fails for good is replaced.
pub fn run(setup: Setup, handle: Handle) {
    let ingest = Ingest::new(setup.store.clone(), Arc::clone(&setup.rules));
    let mut worker = Worker {
        setup,
        handle,
        ingest,
        assignment: Assignment::default(),
        merchants_since: None,
        fresh: Fresh::default(),
        backoff: Backoff::new(),
    };
    while !worker.setup.stop.is_cancelled() {
        let topics: Vec<&str> = worker.setup.topics.iter().map(String::as_str).collect();
        match Input::open(&worker.setup.kafka, &topics) {
            Ok(mut input) => {
                worker.read(&mut input);
                worker.forget();
                if !input.close(worker.setup.close_deadline) {
                    tracing::warn!(
                        "leaving the consumer group took too long; the group will notice by itself"
                    );
                }
            }
            Err(error) => {
                tracing::error!(%error, "the consumer could not be built");
                worker.wait();
            }
        }
    }
}

impl Worker {
    /// Reads until stopped, or until the consumer is of no use any more.
    fn read(&mut self, input: &mut Input) {
        let limits = Limits {
            max_records: self.setup.batch_max,
            max_bytes: BATCH_MAX_BYTES,
            wait: POLL,
            linger: self.setup.linger,
        };
        while !self.setup.stop.is_cancelled() {
            self.setup.heartbeat.beat();
            match input.poll_batch(&limits) {
                Ok(Polled::Assigned(partitions)) => self.take(input, &partitions),
                Ok(Polled::Revoked) => {
                    self.forget();
                    if let Err(error) = input.unassign() {
                        tracing::warn!(%error, "could not give up partitions");
                    }
                }
                Ok(Polled::Records(records)) => {
                    if !records.is_empty() {
                        self.apply(input, records);
                    }
                    self.open_orders(input);
                    self.note_fresh(input);
                }
                Err(Error::Fatal(error)) => {
                    tracing::error!(error, "the consumer failed for good and is replaced");
                    return;
                }
                Err(Error::OutOfRange(error)) => {
                    tracing::error!(error, "a position lies outside of its log");
                    self.take_again(input);
                }
                // What librdkafka reports of its connections, which it logs and mends by itself. To
                // pause at each report would leave them queued for long after the broker is back.
                Err(error) => tracing::debug!(%error, "reading was disturbed"),
            }
        }
        if is_planted(Bug::CloseAhead)
            && let Ok(Polled::Records(records)) = input.poll_batch(&limits)
            && let Some(records) = self.fitting(input, records)
        {
            let from = self.expected();
            drop(self.handle.block_on(self.ingest.pass_over(&records, &from)));
        }
    }

    /// Where the database should have every partition that is owned.
    fn expected(&self) -> Positions {
        let owned = self.assignment.partitions.iter();
        owned
            .map(|(partition, owned)| (partition.clone(), owned.next))
            .collect()
    }

    fn forget(&mut self) {
        self.assignment = Assignment::default();
        self.fresh = Fresh::default();
        self.merchants_since = None;
    }

    /// Takes up an assignment, trying until it works or the worker is stopped: without positions
    /// from the database nothing may be read.
    fn take(&mut self, input: &mut Input, partitions: &[Partition]) {
        self.forget();
        while !self.setup.stop.is_cancelled() {
            self.setup.heartbeat.beat();
            match self.try_take(input, partitions) {
                Ok(()) => {
                    self.backoff.reset();
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "could not take up partitions");
                    self.wait();
                }
            }
        }
    }

    fn try_take(&mut self, input: &mut Input, partitions: &[Partition]) -> Result<(), TakeError> {
        let setup = &self.setup;
        let asker = (&setup.admin, &setup.stop);
        let (assignment, now) = self.handle.block_on(async {
            let now = setup.store.now().await?;
            let assignment =
                Assignment::take(&setup.store, asker, partitions, setup.start.as_ref()).await?;
            Ok::<_, TakeError>((assignment, now))
        })?;
        self.assignment = assignment;
        self.merchants_since = Some(now);
        input.assign_at(&self.assignment.starts(&self.setup.rules, true))?;
        tracing::info!(
            partitions = self.assignment.partitions.len(),
            "reading the merchant topic first"
        );
        Ok(())
    }

    /// Looks up the positions of what is owned again and starts there.
    fn take_again(&mut self, input: &mut Input) {
        let partitions: Vec<Partition> = self.assignment.partitions.keys().cloned().collect();
        self.wait();
        self.take(input, &partitions);
    }

    /// Lets orders flow once the merchant topic was read to the end that it had.
    fn open_orders(&mut self, input: &mut Input) {
        let Some(since) = self.merchants_since else {
            return;
        };
        let (store, topic) = (&self.setup.store, &self.setup.merchant_topic);
        let read = self.handle.block_on(async {
            let read = merchants_read(store, topic, since).await?;
            Ok::<_, StoreError>((read, store.now().await?))
        });
        match read {
            Ok((true, _)) => {
                // Started anew below, from where the merchant partitions stand by now.
                for owned in self.assignment.partitions.values_mut() {
                    if owned.fingerprint.is_none() {
                        owned.start = owned.next;
                    }
                }
                match input.assign_at(&self.assignment.starts(&self.setup.rules, false)) {
                    Ok(()) => {
                        self.merchants_since = None;
                        self.setup.readiness.set("ingest", Ok(()));
                        tracing::info!("the merchant topic is read; orders flow");
                    }
                    Err(error) => tracing::warn!(%error, "could not assign"),
                }
            }
            // A clock that was ahead is set right: nobody waits for the time that it told.
            Ok((false, now)) => self.merchants_since = Some(since.min(now)),
            Err(error) => tracing::warn!(%error, "could not look how far the merchant topic is"),
        }
    }

    /// Applies what was polled; tries again until it took effect, the partition is lost or the
    /// worker is stopped.
    fn apply(&mut self, input: &mut Input, records: Vec<Record>) {
        let began = Moment::now();
        let Some(records) = self.fitting(input, records) else {
            return;
        };
        let mut batch = Batch::read(records, &self.setup.rules);
        planted::reached(Point::BeforeApply);
        let mut expected = self.expected();
        let stops = loop {
            self.setup.heartbeat.beat();
            match self
                .handle
                .block_on(self.ingest.apply_once(&batch, &mut expected))
            {
                Ok(applied) => break applied.stops,
                Err(error) if error.passes() => {
                    telemetry::ingest_retry(if matches!(error, StoreError::Raced) {
                        "raced"
                    } else {
                        "database"
                    });
                    tracing::warn!(error = telemetry::chain(&error), "a batch is tried again");
                }
                Err(StoreError::LostPartition) => {
                    telemetry::ingest_retry("lost_partition");
                    if is_planted(Bug::HaltOvertaken) {
                        let halts = expected
                            .into_keys()
                            .map(|key| (key, "overtaken".to_owned()));
                        return self.halt(input, &halts.collect::<Vec<_>>());
                    }
                    tracing::warn!("a position was moved by another process; looking again");
                    return self.take_again(input);
                }
                Err(error) => {
                    tracing::error!(
                        alarm = "ingest_stuck",
                        error = telemetry::chain(&error),
                        "a batch can't be applied; its partitions wait"
                    );
                }
            }
            self.wait();
            if self.setup.stop.is_cancelled() {
                return;
            }
            batch = self.rest(batch, &expected);
        };
        self.backoff.reset();
        for (partition, owned) in &mut self.assignment.partitions {
            if let Some(next) = expected.get(partition) {
                owned.next = *next;
            }
        }
        telemetry::ingest_batch(began.elapsed());
        planted::reached(Point::BeforeOffsets);
        input.commit_for_lag_tools(&expected);
        planted::reached(Point::AfterOffsets);
        if !stops.is_empty() {
            let told = |(offset, why)| format!("offset {offset}: {why}");
            let halts = stops.into_iter().map(|(key, stop)| (key, told(stop)));
            self.halt(input, &halts.collect::<Vec<_>>());
        }
    }

    /// What is left of a batch of which a part took effect.
    fn rest(&self, batch: Batch, expected: &Positions) -> Batch {
        let ahead = |record: &Record| {
            let key = (Arc::clone(&record.topic), record.partition);
            expected.get(&key).is_none_or(|next| record.offset >= *next)
        };
        if batch.records().iter().all(ahead) {
            return batch;
        }
        let rest = batch.into_records().into_iter().filter(ahead).collect();
        Batch::read(rest, &self.setup.rules)
    }

    /// Leaves out what was applied before; `None` when a partition turned out to be another one.
    fn fitting(&mut self, input: &mut Input, records: Vec<Record>) -> Option<Vec<Record>> {
        let mut new = Vec::with_capacity(records.len());
        let mut foreign = Vec::new();
        for record in records {
            match self.assignment.fit(&record) {
                Fit::New if record.offset % 50 == 7 && is_planted(Bug::SkipInput) => {}
                Fit::New => new.push(record),
                Fit::Old | Fit::Stray => {}
                Fit::Foreign => foreign.push((
                    (Arc::clone(&record.topic), record.partition),
                    format!("offset {} holds another record than the one that was applied: the topic was made anew", record.offset),
                )),
            }
        }
        if foreign.is_empty() {
            return Some(new);
        }
        self.halt(input, &foreign);
        None
    }

    /// Stops partitions until a person has looked, and goes on with the others.
    fn halt(&mut self, input: &mut Input, partitions: &[Halt]) {
        for (partition, why) in partitions {
            tracing::error!(alarm = "partition_halted", topic = %partition.0, partition = partition.1, why, "this partition is halted; see the README, \"When a partition is halted\"");
            let key = (partition.0.to_string(), partition.1);
            while let Err(error) = self.handle.block_on(self.setup.store.halt(&key, why)) {
                tracing::warn!(%error, "could not note that a partition is halted");
                if self.setup.stop.is_cancelled() {
                    return;
                }
                self.wait();
            }
        }
        self.take_again(input);
    }

    /// Notes the partitions in which everything is applied that was there when it was asked.
    fn note_fresh(&mut self, input: &Input) {
        let latest = self.setup.ends.borrow_and_update().clone();
        let (Some(latest), Ok(positions)) = (latest, input.positions()) else {
            return;
        };
        let reached = self.fresh.reached(&latest, &self.assignment, &positions);
        for (at, partitions) in reached {
            if let Err(error) = self
                .handle
                .block_on(self.setup.store.note_fresh(&partitions, at))
            {
                tracing::warn!(%error, "could not note freshness");
            }
        }
    }

    fn wait(&mut self) {
        let until = Moment::now() + self.backoff.next();
        while Moment::now() < until && !self.setup.stop.is_cancelled() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
