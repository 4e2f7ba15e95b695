//! What an agreement or a calendar sets in motion after it was accepted, and a refund whose reversal
//! came first.
//!
//! Sales that waited for an agreement are applied, holds that follow a calendar get new dates. Bounded steps, each in its
//! own transaction, repeated until nothing is left; harmless to run anywhere and any number of
//! times.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use tokio_util::sync::CancellationToken;

use super::Rules;
use super::deposits::{self, purse_of};
use super::fold::{reparse, reparse_with};
use super::indirect::Placed;
use super::reviews::before_resuming;
use super::work::Work;
use crate::http::Heartbeat;
use crate::rules::decide::{self, Outcome, World};
use crate::rules::fact::PayoutResult;
use crate::rules::ids::MerchantId;
use crate::rules::order::Order;
use crate::store::agreements::Catalogue;
use crate::store::cases::OrderKey;
use crate::store::{Store, StoreError};

/// Orders per step.
const STEP: i64 = 1_000;
/// How long to wait before looking for a new revision.
const PAUSE: Duration = Duration::from_millis(500);

/// After how long holds with outdated dates are looked for again though no calendar has come: one
/// that was empty may have got money back.
const DATES: Duration = Duration::from_secs(30);

/// Follows up on agreements and calendars.
#[derive(Debug)]
pub struct FollowUp {
    store: Store,
    rules: Arc<Rules>,
    /// The input topics.
    topics: Vec<String>,
    catalogue: Catalogue,
    /// The revision for which every waiting sale has been looked at.
    seen: Option<i64>,
    /// The present pass over waiting sales: the revision at which it began, and how far it has come.
    pass: Option<(i64, Option<OrderKey>)>,
    /// The revision at which no hold's dates were outdated, and when that was.
    dated: Option<(i64, Moment)>,
}

impl FollowUp {
    /// Starts with a pass over everything.
    #[must_use]
    pub fn new(store: Store, rules: Arc<Rules>, topics: Vec<String>) -> Self {
        Self {
            store,
            rules,
            topics,
            catalogue: Catalogue::default(),
            seen: None,
            pass: None,
            dated: None,
        }
    }

    /// One bounded step; true while there may be more to do.
    ///
    /// # Errors
    /// When the database fails; the step has then had no effect.
    pub async fn follow_once(&mut self) -> Result<bool, StoreError> {
        if self.reconcile().await? {
            return Ok(true);
        }
        let revision = self.store.revision().await?;
        if self.seen != Some(revision) {
            // An agreement that comes during a pass may be for a sale that the pass has left behind.
            let (began_at, after) = self.pass.take().unwrap_or((revision, None));
            let waiting = self.store.waiting_sales(after.as_ref(), STEP).await?;
            if waiting.is_empty() {
                self.seen = Some(began_at);
            } else {
                self.work_on(&waiting, |order, world| {
                    decide::resume(order, world).unwrap_or_else(|refusal| {
                        tracing::error!(alarm = "sale_can_not_be_held", merchant = %order.merchant, order = %order.id, %refusal, "this sale waits for another agreement");
                        Outcome::told(Vec::new())
                    })
                })
                .await?;
                self.pass = Some((began_at, waiting.last().cloned()));
            }
            return Ok(true);
        }
        if self
            .dated
            .is_some_and(|(at, when)| at == revision && when.elapsed() < DATES)
        {
            return self.take_up_reversals().await;
        }
        let outdated = self.store.outdated_holds(STEP).await?;
        if outdated.is_empty() {
            self.dated = Some((revision, Moment::now()));
            return self.take_up_reversals().await;
        }
        let recompute =
            |order: &mut Order, world: World<'_>| Outcome::told(decide::recompute(order, world));
        self.work_on(&outdated, recompute).await?;
        Ok(true)
    }

    /// Decides again what was published while this database did not know of it, as far as no message
    /// does so; true when something was.
    async fn reconcile(&mut self) -> Result<bool, StoreError> {
        let before = self.store.count_still_published().await?;
        if before == 0 {
            return Ok(false);
        }
        let foretold = self.store.foretold_orders(STEP).await?;
        if !foretold.is_empty() {
            // They are issued as soon as their order is loaded.
            self.work_on(&foretold, |order, _| {
                Outcome::told(decide::issue_foretold(order))
            })
            .await?;
        }
        let mut tx = self.store.begin().await?;
        tx.book_published(STEP).await?;
        let answered = tx.unpark_payouts(STEP).await?;
        let answered: Vec<(usize, PayoutResult)> = answered.into_iter().enumerate().collect();
        let mut work = Work::on(&[], &self.rules);
        work.settle_payouts(&mut tx, &answered).await?;
        work.finish(&mut tx).await?;
        tx.let_stand(&self.topics).await?;
        tx.commit().await?;
        Ok(self.store.count_still_published().await? < before)
    }

    /// Applies reversals that have waited for refunds that are there now; false when there are none.
    async fn take_up_reversals(&mut self) -> Result<bool, StoreError> {
        let mut tx = self.store.begin().await?;
        tx.open_catalogue(&mut self.catalogue, &[], false).await?;
        let waited = tx.unpark_reversals(STEP).await?;
        if waited.is_empty() {
            tx.rollback().await?;
            return Ok(false);
        }
        let mut facts = Vec::with_capacity(waited.len());
        let mut records = Vec::with_capacity(waited.len());
        for (place, ((_, order), record)) in waited.into_iter().enumerate() {
            let fact = reparse(&record, &order, &self.rules);
            let fact = fact.ok_or_else(|| StoreError::Unreadable("a reversal".to_owned()))?;
            facts.push((place, fact));
            records.push(record);
        }
        let merchants: BTreeSet<MerchantId> = facts
            .iter()
            .map(|(_, fact)| fact.merchant.clone())
            .collect();
        let merchants: Vec<MerchantId> = merchants.into_iter().collect();
        tx.open_catalogue(&mut self.catalogue, &merchants, false)
            .await?;
        let mut work = Work::on(&records, &self.rules);
        let placed = Placed {
            facts: Cow::Owned(facts),
            orders: HashMap::new(),
            waited: Vec::new(),
        };
        work.fold_orders(&mut tx, &mut self.catalogue, placed)
            .await?;
        work.finish(&mut tx).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn work_on(
        &mut self,
        keys: &[OrderKey],
        decide: impl Fn(&mut Order, World<'_>) -> Outcome,
    ) -> Result<(), StoreError> {
        let mut merchants: Vec<MerchantId> =
            keys.iter().map(|(merchant, _)| merchant.clone()).collect();
        merchants.dedup();
        let mut tx = self.store.begin().await?;
        tx.open_catalogue(&mut self.catalogue, &merchants, false)
            .await?;
        let reparse = reparse_with(&self.rules);
        let mut cases = tx.load_orders(keys, &mut self.catalogue, &reparse).await?;
        before_resuming(&mut tx, &self.catalogue, &mut cases, &self.rules).await?;
        let calendars = self.catalogue.calendars();
        let rules = Arc::clone(&self.rules);
        let mut work = Work::on(&[], &rules);
        deposits::purses_of(&mut tx, &mut work.purses, &cases, &[]).await?;
        for (key, case) in &mut cases {
            let agreements = self.catalogue.of(&key.0);
            let world = World {
                agreements: &agreements,
                calendars: &calendars,
                now: tx.now,
                approval: &self.rules.approval,
            };
            let purse = purse_of(&case.order, None);
            case.order.purse = purse.as_ref().and_then(|key| work.purses.lend(key));
            let outcome = decide(&mut case.order, world);
            work.purses.take_back(purse, case.order.purse.take());
            work.take(key, outcome, case.source, &mut case.messages);
        }
        work.block(&self.catalogue, &mut cases, tx.now);
        tx.save_orders(&cases, &self.catalogue).await?;
        work.finish(&mut tx).await?;
        tx.commit().await
    }
}

/// Follows up until stopped.
pub async fn run(mut follow: FollowUp, heartbeat: Heartbeat, stop: CancellationToken) {
    while !stop.is_cancelled() {
        heartbeat.beat();
        match follow.follow_once().await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "could not follow up on agreements and calendars");
                follow.catalogue = Catalogue::default();
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}
