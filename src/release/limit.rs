//! Holds whose limit lets blocked money go: each with its order locked, so that the blocks lie on
//! the order's other holds before anything of those is looked at again.
//!
//! Guarantees that release and blocks move in one transaction, and that it locks as others do:
//! orders before their holds.

use std::collections::{BTreeMap, BTreeSet};

use super::booking::book;
use super::{Release, Step};
use crate::ingest::fold::reparse_with;
use crate::rules::decide::{self, World};
use crate::rules::limit::{self, Overrun};
use crate::rules::pause::Pauses;
use crate::rules::release::{self, Claim, Clock, Judgement};
use crate::store::cases::OrderKey;
use crate::store::due::DueHold;
use crate::store::journal::Lines;
use crate::store::{StoreError, Tx};

/// Orders with the limit that has its turn.
pub(super) type Overruns = BTreeMap<OrderKey, Overrun>;

impl Release {
    /// The orders of these holds of which a limit lets blocked money go, of these or other holds.
    pub(super) async fn overruns(
        &mut self,
        tx: &mut Tx,
        holds: &[DueHold],
        clock: Clock,
    ) -> Result<Overruns, StoreError> {
        let claims = holds.iter().map(|due| &due.claim);
        let may = claims.filter(|claim| limit::may_overrun(&claim.agreement));
        let orders: BTreeSet<OrderKey> = may.map(order_key).collect();
        if orders.is_empty() {
            return Ok(Overruns::new());
        }
        let orders: Vec<OrderKey> = orders.into_iter().collect();
        let past = tx
            .blocked_past_limit(&orders, clock.now, &mut self.catalogue)
            .await?;
        let mut overruns = Overruns::new();
        for claim in past.iter().filter(|claim| !self.is_outdated(claim)) {
            if let Some(overrun) = limit::overrun([claim], clock) {
                let first = overruns.entry(order_key(claim)).or_insert(overrun);
                *first = overrun.min(*first);
            }
        }
        Ok(overruns)
    }

    /// Releases what the limits let go of the orders that are known to come to that, and lays their
    /// blocks on what is left.
    pub(super) async fn overrun_once(
        &mut self,
        tx: &mut Tx,
        pauses: &Pauses,
        clock: Clock,
    ) -> Result<Step, StoreError> {
        let orders: Vec<OrderKey> = std::mem::take(&mut self.overrun).into_iter().collect();
        let rules = self.rules.clone();
        let reparse = reparse_with(&rules);
        let cases = tx
            .load_orders(&orders, &mut self.catalogue, &reparse)
            .await?;
        let mut keys = Vec::new();
        for (key, case) in &cases {
            let claims = limit::claims(&case.order);
            let paused = |claim: &Claim| pauses.over(&key.0, claim.currency).is_some();
            if claims.iter().any(paused) {
                continue;
            }
            if let Some(overrun) = limit::overrun(&claims, clock) {
                let (merchant, order) = (key.0.as_str().to_owned(), key.1.as_str().to_owned());
                let term_no = i16::try_from(overrun.term_no).unwrap_or(i16::MAX);
                keys.push((merchant, order, term_no));
            }
        }
        let holds = tx.lock_due(&keys, &mut self.catalogue).await?;
        let gone: Vec<_> = holds
            .iter()
            .map(|due| (order_key(&due.claim), due.claim.hold.id))
            .collect();
        let releases = self.release(tx, holds, &Overruns::new(), clock).await?;
        // Again, as the release has left them.
        let mut cases = tx
            .load_orders(&orders, &mut self.catalogue, &reparse)
            .await?;
        let calendars = self.catalogue.calendars();
        let mut lines = Lines::default();
        for (key, hold) in &gone {
            let world = World {
                agreements: &[],
                calendars: &calendars,
                now: clock.now,
                approval: &rules.approval,
            };
            if let Some(case) = cases.get_mut(key) {
                let entries = decide::move_blocks(&mut case.order, *hold, world);
                lines.add(&key.0, entries, None);
            }
        }
        tx.save_orders(&cases, &self.catalogue).await?;
        book(tx, &mut lines, &std::collections::HashMap::new()).await?;
        Ok(Step {
            claimed: gone.len(),
            releases,
            closed: 0,
        })
    }
}

/// Judges a hold, without what must wait for the limit of its order that has its turn.
pub(super) fn judge(claim: &Claim, overruns: &Overruns, clock: Clock) -> Judgement {
    let mut judgement = release::judge(claim, clock);
    if let Some(overrun) = overruns.get(&order_key(claim)) {
        limit::put_off(claim, &mut judgement, *overrun);
    }
    judgement
}

fn order_key(claim: &Claim) -> OrderKey {
    (claim.merchant.clone(), claim.order.clone())
}
