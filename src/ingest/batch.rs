//! One batch: parsed without a database, then applied in one transaction whose number of
//! statements does not depend on how many messages there are.

use std::collections::{BTreeSet, HashMap};

use super::breaker::{self, Stops};
use super::fold::may_take_money;
use super::work::Work;
use super::{Applied, Rules};
use crate::message::incoming::{self, Parsed};
use crate::message::{About, Reason, Record, Rejection};
use crate::rules::adjustment::Adjustment;
use crate::rules::agreement::Agreement;
use crate::rules::calendar::Calendar;
use crate::rules::deposit::DepositFact;
use crate::rules::fact::{ContentHash, Fact, IndirectFact, OrderFact, PayoutResult};
use crate::rules::ids::MerchantId;
use crate::store::agreements::Catalogue;
use crate::store::positions::Advance;
use crate::store::{StoreError, Tx};
use crate::telemetry::Outcome;

/// Parsed messages, each with its place among the batch's records.
#[derive(Debug, Default)]
pub struct Batch {
    records: Vec<Record>,
    orders: Vec<(usize, OrderFact)>,
    pub(super) agreements: Vec<(usize, Agreement, ContentHash)>,
    pub(super) calendars: Vec<(usize, Calendar, ContentHash)>,
    deposits: Vec<(usize, DepositFact)>,
    adjustments: Vec<(usize, Adjustment)>,
    payouts: Vec<(usize, PayoutResult)>,
    indirect: Vec<(usize, IndirectFact)>,
    rejected: Vec<(usize, Rejection)>,
    tombstones: usize,
    off_time: usize,
}

impl Batch {
    /// Parses every record; nothing here can fail but the message itself.
    #[must_use]
    pub fn read(records: Vec<Record>, rules: &Rules) -> Self {
        let mut batch = Self::default();
        for (place, record) in records.iter().enumerate() {
            match incoming::parse(record, rules.default_type(&record.topic), &rules.limits) {
                Ok(Parsed::Tombstone) => batch.tombstones += 1,
                Ok(Parsed::Fact(accepted)) => {
                    batch.off_time += usize::from(accepted.off_time);
                    match accepted.fact {
                        Fact::Order(fact) => batch.orders.push((place, fact)),
                        Fact::Agreement(agreement) => {
                            batch.agreements.push((place, *agreement, accepted.content));
                        }
                        Fact::Calendar(calendar) => {
                            batch.calendars.push((place, *calendar, accepted.content));
                        }
                        Fact::Deposit(fact) => batch.deposits.push((place, fact)),
                        Fact::Adjustment(fact) => batch.adjustments.push((place, *fact)),
                        Fact::Payout(result) => batch.payouts.push((place, result)),
                        Fact::Indirect(fact) => batch.indirect.push((place, fact)),
                    }
                }
                Err(rejection) => batch.rejected.push((place, rejection)),
            }
        }
        batch.records = records;
        batch
    }

    /// The records that were read.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The records given back.
    #[must_use]
    pub fn into_records(self) -> Vec<Record> {
        self.records
    }

    /// The batch in two; `None` when it is one record.
    #[must_use]
    pub fn halves(&self, rules: &Rules) -> Option<(Self, Self)> {
        let (first, second) = self.records.split_at(self.records.len() / 2);
        (!first.is_empty()).then(|| {
            (
                Self::read(first.to_vec(), rules),
                Self::read(second.to_vec(), rules),
            )
        })
    }

    /// Its records as dead letters, because the database can't take them. The orders whose money they
    /// are about are blocked, unless `blocks` is false: then the database can't take that either.
    #[must_use]
    pub fn refused(&self, detail: &str, blocks: bool) -> Self {
        let orders: HashMap<usize, &OrderFact> = self
            .orders
            .iter()
            .map(|(place, fact)| (*place, fact))
            .collect();
        let rejected = (0..self.records.len()).map(|place| {
            let about = orders.get(&place).filter(|fact| may_take_money(fact));
            let rejection = Rejection {
                reason: Reason::Value,
                detail: detail.to_owned(),
                moves_money: about.is_some(),
                about: about.filter(|_| blocks).map(|fact| About {
                    merchant: fact.merchant.clone(),
                    order: fact.order.clone(),
                }),
            };
            (place, rejection)
        });
        Self {
            rejected: rejected.collect(),
            records: self.records.clone(),
            ..Self::default()
        }
    }

    /// What lies before these stops.
    #[must_use]
    pub(super) fn before(&self, stops: &Stops, rules: &Rules) -> Self {
        let records = self.records.iter();
        let before = records.filter(|record| breaker::is_before(stops, record));
        Self::read(before.cloned().collect(), rules)
    }

    /// Applies the batch inside the transaction, which must be rolled back when a partition stops.
    ///
    /// # Errors
    /// See [`StoreError`]; the transaction must then be rolled back.
    pub async fn apply(
        &self,
        tx: &mut Tx,
        steps: &[Advance],
        catalogue: &mut Catalogue,
        rules: &Rules,
    ) -> Result<Applied, StoreError> {
        let before = tx.advance(steps).await?;
        let mut work = Work::on(&self.records, rules);
        self.work(&mut work, tx, catalogue).await?;
        match breaker::count(&self.records, &work.refused, &before, rules) {
            Err(stops) => Ok(Applied {
                stops,
                ..Applied::default()
            }),
            Ok(mut rows) => {
                rows.retain(|partition, row| before.get(partition).is_some_and(|it| it != row));
                tx.note_bad(&rows).await?;
                work.finish(tx).await
            }
        }
    }

    /// Everything that the records come to, but for the positions and for what is appended.
    pub(super) async fn work(
        &self,
        work: &mut Work<'_>,
        tx: &mut Tx,
        catalogue: &mut Catalogue,
    ) -> Result<(), StoreError> {
        for (place, rejection) in &self.rejected {
            work.reject(*place, rejection);
        }
        for _ in 0..self.tombstones {
            work.applied.note("tombstone", Outcome::Tombstone);
        }
        if self.off_time > 0 {
            tracing::warn!(
                alarm = "off_time",
                messages = self.off_time,
                "applied messages whose business time is far from their Kafka timestamp"
            );
        }
        let mut merchants: Vec<MerchantId> = self.merchants();
        merchants.extend(
            work.trusted
                .iter()
                .map(|((merchant, _), _)| merchant.clone()),
        );
        let exclusive = !self.agreements.is_empty() || !self.calendars.is_empty();
        tx.open_catalogue(catalogue, &merchants, exclusive).await?;
        if exclusive {
            work.accept_catalogue(tx, catalogue, self).await?;
            tx.open_catalogue(catalogue, &merchants, exclusive).await?;
        }
        let placed = work
            .place(tx, catalogue, &self.orders, &self.indirect)
            .await?;
        work.fold_orders(tx, catalogue, placed).await?;
        work.settle_payouts(tx, &self.payouts).await?;
        work.settle_deposits(tx, &self.deposits).await?;
        work.settle_adjustments(tx, &self.adjustments).await
    }

    fn merchants(&self) -> Vec<MerchantId> {
        let orders = self.orders.iter().map(|(_, fact)| &fact.merchant);
        let distrusted = self
            .rejected
            .iter()
            .filter_map(|(_, rejection)| rejection.about.as_ref())
            .map(|about| &about.merchant);
        let indirect = self.indirect.iter().map(|(_, fact)| &fact.merchant);
        let all: BTreeSet<&MerchantId> = orders.chain(indirect).chain(distrusted).collect();
        all.into_iter().cloned().collect()
    }
}
