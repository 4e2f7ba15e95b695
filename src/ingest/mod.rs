//! Messages in, effects in the database: one transaction per batch, its positions included.
//!
//! Guarantees that every message of a batch takes effect once, is
//! known again, waits where a person can see it, or becomes a dead letter with its own bytes; and
//! that one bad message costs the others nothing.
//!
//! [`Ingest::apply_once`] is the bounded step that the worker and the tests call.

mod adjustments;
pub(crate) mod answers;
mod assignment;
mod backoff;
mod batch;
mod blocks;
mod breaker;
pub(crate) mod catalogue;
pub(crate) mod deposits;
pub(crate) mod fold;
pub mod followup;
pub mod freshness;
mod fullness;
pub(crate) mod indirect;
pub(crate) mod replay;
pub(crate) mod reviews;
mod stuck;
pub(crate) mod work;
pub mod worker;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::SignedDuration;

use crate::config::{Config, OnUnreadable};
use crate::message::Record;
use crate::message::incoming::Limits;
use crate::planted::{Bug, is_planted};
use crate::rules::order::Order;
use crate::rules::review::Approval;
use crate::store::agreements::Catalogue;
use crate::store::cases::{Cases, OrderKey, SourceTopic};
use crate::store::positions::Advance;
use crate::store::{Store, StoreError, Tx};
use crate::telemetry::{self, Outcome};

pub use batch::Batch;
pub use breaker::Stops;
pub(crate) use fold::reparse_with;

/// Where each partition stands, by its topic's actual name.
pub type Positions = HashMap<(Arc<str>, i32), i64>;

/// What an ingest step needs to know of the configuration.
#[derive(Debug, Clone)]
pub struct Rules {
    topics: HashMap<String, SourceTopic>,
    limits: Limits,
    /// A message about money whose order can't be read stops its partition.
    pub halt_unreadable: bool,
    /// Bad messages in a row that stop a partition.
    pub breaker: u32,
    /// Facts and blocks that one order may have.
    facts_per_order: usize,
    /// What a message may decide of reviews.
    pub approval: Approval,
}

impl Rules {
    /// Out of the configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let names = config.topics.inputs().map(str::to_owned);
        let hours = |hours: u32| SignedDuration::from_hours(i64::from(hours));
        Self {
            topics: names.into_iter().zip(SourceTopic::ALL).collect(),
            limits: Limits {
                ahead: hours(config.ingest.time_ahead_hours),
                behind: hours(config.ingest.time_behind_days.saturating_mul(24)),
                horizon: hours(config.ingest.horizon_days.saturating_mul(24)),
                ..Limits::default()
            },
            halt_unreadable: config.ingest.on_unreadable == OnUnreadable::Halt,
            breaker: config.ingest.breaker_consecutive,
            facts_per_order: usize::try_from(config.ingest.facts_per_order).unwrap_or(usize::MAX),
            approval: Approval {
                above: config.approval.above.clone(),
                trust_events: config.reviews.trust_events,
            },
        }
    }

    /// Which input topic this is.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<SourceTopic> {
        self.topics.get(name).copied()
    }

    /// What a value without an envelope is taken for.
    fn default_type(&self, name: &str) -> Option<&'static str> {
        match self.topic(name)? {
            SourceTopic::OrderCompleted => Some("order.completed.v1"),
            SourceTopic::Refund => Some("refund.succeeded.v1"),
            SourceTopic::Dispute | SourceTopic::Merchant | SourceTopic::PayoutResult => None,
        }
    }
}

/// The ingest step with what it remembers between batches.
#[derive(Debug)]
pub struct Ingest {
    store: Store,
    rules: Arc<Rules>,
    catalogue: Catalogue,
}

/// What a batch came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Applied {
    pub records: usize,
    /// Journal lines written.
    pub lines: usize,
    /// Partitions that were applied up to a message that stops them.
    pub stops: Stops,
    /// Messages by type and what became of them; dead letters by reason.
    outcomes: BTreeMap<(&'static str, Outcome), u64>,
}

impl Applied {
    fn note(&mut self, kind: &'static str, outcome: Outcome) {
        *self.outcomes.entry((kind, outcome)).or_default() += 1;
    }

    /// How many messages came to this.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> u64 {
        let counts = self.outcomes.iter();
        counts
            .filter(|((_, known), _)| *known == outcome)
            .map(|(_, count)| count)
            .sum()
    }

    /// Shows the counts, once the batch is committed.
    fn show(&self) {
        for ((kind, outcome), count) in &self.outcomes {
            match outcome {
                Outcome::DeadLetter => telemetry::dead_letters(kind, *count),
                _ => telemetry::events(kind, *outcome, *count),
            }
        }
    }
}

impl std::ops::AddAssign for Applied {
    fn add_assign(&mut self, other: Self) {
        self.records += other.records;
        self.lines += other.lines;
        self.stops.extend(other.stops);
        for (key, count) in other.outcomes {
            *self.outcomes.entry(key).or_default() += count;
        }
    }
}

impl Ingest {
    /// A step over this store.
    #[must_use]
    pub fn new(store: Store, rules: Arc<Rules>) -> Self {
        Self {
            store,
            rules,
            catalogue: Catalogue::default(),
        }
    }

    /// Applies a batch, whose records lie next to each other in their partitions, in one
    /// transaction and moves the positions from `expected`. When one record is too much for the
    /// database, the batch is halved until that record stands alone and becomes a dead letter;
    /// `expected` says how far it came when an error ends it. Of a partition that must stop, what
    /// lies before its stop is applied.
    ///
    /// # Errors
    /// [`StoreError::passes`] tells whether to try again; [`StoreError::LostPartition`] when
    /// somebody else has moved a position.
    pub async fn apply_once(
        &mut self,
        batch: &Batch,
        expected: &mut Positions,
    ) -> Result<Applied, StoreError> {
        match self.commit(batch, expected).await {
            Err(StoreError::Data { what, source }) => {
                self.bisect(
                    batch,
                    expected,
                    &format!("the database refused to {what}: {source}"),
                )
                .await
            }
            answer => answer,
        }
    }

    async fn bisect(
        &mut self,
        batch: &Batch,
        expected: &mut Positions,
        detail: &str,
    ) -> Result<Applied, StoreError> {
        telemetry::ingest_retry("bisect");
        let messages = batch.records().len();
        tracing::warn!(
            messages,
            detail,
            "the database refuses a batch, which is halved to find out why"
        );
        let halves = batch.halves(&self.rules);
        let Some((first, second)) = halves.filter(|_| !is_planted(Bug::BuryBatch)) else {
            return match self.commit(&batch.refused(detail, true), expected).await {
                Err(StoreError::Data { .. }) => {
                    self.commit(&batch.refused(detail, false), expected).await
                }
                answer => answer,
            };
        };
        let mut total = Box::pin(self.apply_once(&first, expected)).await?;
        let second = second.before(&total.stops, &self.rules);
        total += Box::pin(self.apply_once(&second, expected)).await?;
        Ok(total)
    }

    /// Commits the batch, or what of it lies before the messages that stop their partitions.
    async fn commit(
        &mut self,
        batch: &Batch,
        expected: &mut Positions,
    ) -> Result<Applied, StoreError> {
        let mut stops = Stops::new();
        let mut applied = self.try_commit(batch, expected).await?;
        let mut rest = Batch::default();
        while !applied.stops.is_empty() {
            let whole = if stops.is_empty() { batch } else { &rest };
            rest = whole.before(&applied.stops, &self.rules);
            stops.extend(applied.stops);
            applied = self.try_commit(&rest, expected).await?;
        }
        applied.stops = stops;
        Ok(applied)
    }

    /// Commits the batch, unless a partition must stop in it: then only says so.
    async fn try_commit(
        &mut self,
        batch: &Batch,
        expected: &mut Positions,
    ) -> Result<Applied, StoreError> {
        if batch.records().is_empty() {
            return Ok(Applied::default());
        }
        let steps = steps(batch.records(), expected);
        let mut together = &steps[..];
        if is_planted(Bug::PositionFirst) {
            self.pass_over(batch.records(), expected).await?;
            together = &[];
        }
        let mut tx = self.store.begin().await?;
        match batch
            .apply(&mut tx, together, &mut self.catalogue, &self.rules)
            .await
        {
            Ok(stopped) if !stopped.stops.is_empty() => {
                self.undo(tx).await;
                Ok(stopped)
            }
            Ok(applied) => {
                tx.commit().await?;
                applied.show();
                for step in steps {
                    expected.insert((Arc::from(step.topic), step.partition), step.next);
                }
                Ok(applied)
            }
            Err(error) => {
                self.undo(tx).await;
                Err(error)
            }
        }
    }

    /// Moves the positions and nothing else, as only a planted bug does.
    async fn pass_over(&self, records: &[Record], from: &Positions) -> Result<(), StoreError> {
        let mut tx = self.store.begin().await?;
        tx.advance(&steps(records, from)).await?;
        tx.commit().await
    }

    async fn undo(&mut self, tx: Tx) {
        // What was remembered may stem from the transaction that is now undone.
        self.catalogue = Catalogue::default();
        if let Err(error) = tx.rollback().await {
            tracing::info!(%error, "rollback failed; the server does it by itself");
        }
    }
}

/// How far these records move each partition, sorted.
fn steps(records: &[Record], expected: &Positions) -> Vec<Advance> {
    let mut last: HashMap<(Arc<str>, i32), &Record> = HashMap::new();
    for record in records {
        last.insert((Arc::clone(&record.topic), record.partition), record);
    }
    let mut steps: Vec<Advance> = last
        .into_iter()
        .map(|(key, record)| Advance {
            topic: key.0.to_string(),
            partition: key.1,
            expected: expected.get(&key).copied().unwrap_or(record.offset),
            next: record.offset + 1,
            last_offset: record.offset,
            last_digest: assignment::digest(record),
        })
        .collect();
    steps.sort_by(|one, other| (&one.topic, one.partition).cmp(&(&other.topic, other.partition)));
    steps
}

/// Everything known about one order, for people; it is not changed.
///
/// # Errors
/// When the database fails.
pub async fn look_up(store: &Store, rules: &Rules, key: OrderKey) -> Result<Order, StoreError> {
    let mut tx = store.begin().await?;
    let mut cases = load(&mut tx, &mut Catalogue::default(), rules, &key).await?;
    tx.rollback().await?;
    let case = cases.remove(&key);
    Ok(case.map_or_else(|| Order::stub(key.0, key.1), |case| case.order))
}

/// Locks one order and loads everything known about it.
///
/// # Errors
/// When the database fails.
pub async fn load(
    tx: &mut Tx,
    catalogue: &mut Catalogue,
    rules: &Rules,
    key: &OrderKey,
) -> Result<Cases, StoreError> {
    let reparse = fold::reparse_with(rules);
    tx.load_orders(std::slice::from_ref(key), catalogue, &reparse)
        .await
}
