//! The clock meets the reviews: reminders, deadlines and what silence brings, in bounded batches,
//! each once. What people decide of them is in [`crate::operator`].
//!
//! Any number of processes may do it. Guarantees that no answer or decision that lies unread in
//! Kafka is overtaken by a deadline (the freshness gate holds for reviews as for releases), and
//! that a deadline which passed in an outage comes to what it would have come to without.
//!
//! [`Reviews::watch_once`] is the bounded step that the loop and the tests call.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::http::Heartbeat;
use crate::ingest::{Rules, reparse_with};
use crate::release::passage;
use crate::rules::decide::{self, Outcome, World};
use crate::store::agreements::Catalogue;
use crate::store::cases::{Cases, OrderKey};
use crate::store::journal::Lines;
use crate::store::{Store, StoreError, Tx};
use crate::telemetry;

/// How long the loop rests when nothing is due.
const PAUSE: Duration = Duration::from_millis(500);

/// The review step with what it remembers between batches.
#[derive(Debug)]
pub struct Reviews {
    store: Store,
    config: Arc<Config>,
    rules: Rules,
    catalogue: Catalogue,
}

impl Reviews {
    /// A step over this store.
    #[must_use]
    pub fn new(store: Store, config: Arc<Config>) -> Self {
        Self {
            rules: Rules::of(&config),
            store,
            config,
            catalogue: Catalogue::default(),
        }
    }

    /// Looks at a batch of orders whose reviews have come to a moment; answers how many hints that
    /// consumed.
    ///
    /// # Errors
    /// When the database fails; the step has then had no effect.
    pub async fn watch_once(&mut self) -> Result<usize, StoreError> {
        let answer = self.try_once().await;
        if answer.is_err() {
            self.catalogue = Catalogue::default();
        }
        answer
    }

    async fn try_once(&mut self) -> Result<usize, StoreError> {
        let mut tx = self.store.begin().await?;
        let topics = self.config.topics.inputs().map(str::to_owned);
        let gate = tx.gate(&topics).await?;
        let Some(until) = passage(tx.now, gate, &self.config.release).until else {
            tx.rollback().await?;
            return Ok(0);
        };
        tx.open_catalogue(&mut self.catalogue, &[], false).await?;
        let limit = i64::from(self.config.release.batch_max);
        let (claimed, keys) = tx.claim_reviews(until, limit).await?;
        if claimed == 0 {
            tx.rollback().await?;
            return Ok(0);
        }
        let mut cases = self.load(&mut tx, &keys).await?;
        let calendars = self.catalogue.calendars();
        let mut lines = Lines::default();
        for (key, case) in &mut cases {
            let world = World {
                agreements: &[],
                calendars: &calendars,
                now: tx.now,
                approval: &self.rules.approval,
            };
            let outcome = decide::watch(&mut case.order, until, world);
            note(&mut lines, key, outcome);
        }
        self.save(tx, &cases, &lines).await?;
        Ok(claimed)
    }

    async fn load(&mut self, tx: &mut Tx, keys: &[OrderKey]) -> Result<Cases, StoreError> {
        let reparse = reparse_with(&self.rules);
        tx.load_orders(keys, &mut self.catalogue, &reparse).await
    }

    async fn save(&self, mut tx: Tx, cases: &Cases, lines: &Lines) -> Result<(), StoreError> {
        tx.save_orders(cases, &self.catalogue).await?;
        tx.write(lines).await?;
        tx.commit().await
    }
}

fn note(lines: &mut Lines, (merchant, order): &OrderKey, outcome: Outcome) {
    lines.add(merchant, outcome.entries, None);
    for alarm in outcome.alarms {
        tracing::warn!(alarm, %merchant, %order, "someone should look at this order");
    }
}

/// Watches until stopped.
pub async fn run(mut reviews: Reviews, heartbeat: Heartbeat, stop: CancellationToken) {
    while !stop.is_cancelled() {
        heartbeat.beat();
        match reviews.watch_once().await {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => tracing::warn!(
                error = telemetry::chain(&error),
                "a review step failed and is tried again"
            ),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}
