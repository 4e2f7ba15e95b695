//! One batch: parsed without a database, then applied in one transaction whose number of
//! statements does not depend on how many messages there are.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::{Applied, Rules};
use crate::message::incoming::{self, Limits, Parsed};
use crate::message::{About, Reason, Record, Rejection};
use crate::rules::agreement::Agreement;
use crate::rules::calendar::Calendar;
use crate::rules::decide::{self, Outcome, Refusal, Verdict, World};
use crate::rules::entry::{AgreementAccepted, Entry, Event};
use crate::rules::fact::{ContentHash, Fact, FactKind, OrderEvent, OrderFact, PayoutResult};
use crate::rules::ids::{MerchantId, OrderId};
use crate::rules::order::{Block, BlockKind};
use crate::rules::payout;
use crate::rules::time::Instant;
use crate::store::agreements::{Accepted, Catalogue};
use crate::store::cases::{Case, Cases, OrderKey, Source};
use crate::store::dead_letters::DeadLetter;
use crate::store::journal::Lines;
use crate::store::payouts::result_key;
use crate::store::positions::Advance;
use crate::store::{StoreError, Tx};
use crate::telemetry::{self, Outcome as Counted};

/// Parsed messages, each with its place among the batch's records.
#[derive(Debug, Default)]
pub struct Batch {
    records: Vec<Record>,
    orders: Vec<(usize, OrderFact)>,
    agreements: Vec<(usize, Agreement, ContentHash)>,
    calendars: Vec<(usize, Calendar, ContentHash)>,
    payouts: Vec<(usize, PayoutResult)>,
    rejected: Vec<(usize, Rejection)>,
    tombstones: usize,
    off_time: usize,
}

/// What happens inside the transaction.
struct Work<'a> {
    records: &'a [Record],
    rules: &'a Rules,
    lines: Lines,
    letters: Vec<DeadLetter>,
    /// Orders whose money must wait until a person has looked, with the block to put there.
    distrusted: Vec<(OrderKey, Block)>,
    /// Blocks, by reference, whose reason has turned out to be none.
    trusted: Vec<(OrderKey, String)>,
    applied: Applied,
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
                        Fact::Payout(result) => batch.payouts.push((place, result)),
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

    /// Its records as dead letters, because the database can't take them.
    #[must_use]
    pub fn refused(&self, detail: &str) -> Self {
        let rejection = Rejection {
            reason: Reason::Value,
            detail: detail.to_owned(),
            moves_money: false,
            about: None,
        };
        Self {
            rejected: (0..self.records.len())
                .map(|place| (place, rejection.clone()))
                .collect(),
            records: self.records.clone(),
            ..Self::default()
        }
    }

    /// The first record of each partition that must stop it: `in_a_row` tells how many bad
    /// messages in a row came before this batch, per partition, and is brought up to date.
    #[must_use]
    pub fn stops(
        &self,
        rules: &Rules,
        in_a_row: &mut HashMap<(Arc<str>, i32), u32>,
    ) -> HashMap<(Arc<str>, i32), (i64, &'static str)> {
        let bad: HashMap<usize, &Rejection> = self
            .rejected
            .iter()
            .map(|(place, rejection)| (*place, rejection))
            .collect();
        let mut stops = HashMap::new();
        for (place, record) in self.records.iter().enumerate() {
            let key = (Arc::clone(&record.topic), record.partition);
            let count = in_a_row.entry(key.clone()).or_default();
            let Some(rejection) = bad.get(&place) else {
                *count = 0;
                continue;
            };
            *count = count.saturating_add(1);
            let unreadable =
                rules.halt_unreadable && rejection.moves_money && rejection.about.is_none();
            if unreadable {
                stops.entry(key).or_insert((
                    record.offset,
                    "a message about money names no order that can be read",
                ));
            } else if *count >= rules.breaker {
                stops
                    .entry(key)
                    .or_insert((record.offset, "too many bad messages in a row"));
            }
        }
        stops
    }

    /// Applies the batch inside the transaction.
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
        tx.advance(steps).await?;
        let mut work = Work {
            records: &self.records,
            rules,
            lines: Lines::default(),
            letters: Vec::new(),
            distrusted: Vec::new(),
            trusted: Vec::new(),
            applied: Applied {
                records: self.records.len(),
                ..Applied::default()
            },
        };
        for (place, rejection) in &self.rejected {
            work.reject(*place, rejection.clone());
        }
        let merchants: Vec<MerchantId> = self.merchants();
        let exclusive = !self.agreements.is_empty() || !self.calendars.is_empty();
        tx.open_catalogue(catalogue, &merchants, exclusive).await?;
        if exclusive {
            work.accept_catalogue(tx, catalogue, self).await?;
            tx.open_catalogue(catalogue, &merchants, exclusive).await?;
        }
        work.fold_orders(tx, catalogue, &self.orders).await?;
        work.settle_payouts(tx, &self.payouts).await?;
        tx.refuse(&work.letters).await?;
        if !work.lines.is_empty() {
            let numbers = tx.number_lines(&work.lines).await?;
            tx.append(&work.lines, &numbers).await?;
        }
        work.applied.lines = work.lines.len();
        work.applied.dead_letters = work.letters.len();
        Ok(work.applied)
    }

    fn merchants(&self) -> Vec<MerchantId> {
        let orders = self.orders.iter().map(|(_, fact)| &fact.merchant);
        let distrusted = self
            .rejected
            .iter()
            .filter_map(|(_, rejection)| rejection.about.as_ref())
            .map(|about| &about.merchant);
        let all: BTreeSet<&MerchantId> = orders.chain(distrusted).collect();
        all.into_iter().cloned().collect()
    }

    /// Counts what was committed.
    pub fn count(&self, applied: &Applied) {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        telemetry::events("all", Counted::Applied, count(applied.applied));
        telemetry::events("all", Counted::Kept, count(applied.kept));
        telemetry::events("all", Counted::Duplicate, count(applied.duplicates));
        telemetry::events("all", Counted::DeadLetter, count(applied.dead_letters));
        telemetry::events("all", Counted::Tombstone, count(self.tombstones));
        for (_, rejection) in &self.rejected {
            telemetry::dead_letter(rejection.reason.as_str());
        }
        if self.off_time > 0 {
            tracing::warn!(
                alarm = "off_time",
                messages = self.off_time,
                "applied messages whose business time is far from their Kafka timestamp"
            );
        }
    }
}

impl Work<'_> {
    /// Makes a dead letter, and distrusts the order if it may be about money.
    fn reject(&mut self, place: usize, rejection: Rejection) {
        let record = &self.records[place];
        self.refuse_record(record.clone(), &rejection);
    }

    fn refuse_record(&mut self, record: Record, rejection: &Rejection) {
        let place = format!("{}/{}/{}", record.topic, record.partition, record.offset);
        if rejection.moves_money {
            match &rejection.about {
                Some(about) => self.distrust(about, &place, rejection.reason.as_str()),
                None => tracing::error!(
                    alarm = "unreadable_money_message",
                    message = place,
                    reason = rejection.reason.as_str(),
                    "a refused message may be about money, and its order can't be read"
                ),
            }
        }
        self.letters.push(DeadLetter {
            record,
            reason: rejection.reason.as_str(),
            detail: rejection.detail.clone(),
            about: rejection
                .about
                .as_ref()
                .map(|about| (about.merchant.clone(), about.order.clone())),
        });
    }

    fn distrust(&mut self, about: &About, place: &str, reason: &str) {
        let block = Block {
            reference: place.to_owned(),
            kind: BlockKind::Review,
            reason: format!("a message about this order was refused: {reason}"),
            opened_at: Instant::new(jiff::Timestamp::UNIX_EPOCH),
            cleared_at: None,
        };
        self.distrusted
            .push(((about.merchant.clone(), about.order.clone()), block));
    }

    fn source(&self, place: usize) -> Option<Source> {
        let record = self.records.get(place)?;
        Some(Source {
            topic: self.rules.topic(&record.topic)?,
            partition: record.partition,
            offset: record.offset,
        })
    }

    async fn accept_catalogue(
        &mut self,
        tx: &mut Tx,
        catalogue: &mut Catalogue,
        batch: &Batch,
    ) -> Result<(), StoreError> {
        let agreements: Vec<(&Agreement, ContentHash)> = batch
            .agreements
            .iter()
            .map(|(_, agreement, hash)| (agreement, *hash))
            .collect();
        if !agreements.is_empty() {
            let answers = tx.accept_agreements(catalogue, &agreements).await?;
            for ((place, agreement, _), answer) in batch.agreements.iter().zip(answers) {
                let what = format!(
                    "agreement {} version {}",
                    agreement.agreement_id, agreement.version
                );
                if let Some(late_for) = self.answered(*place, answer, &what) {
                    self.lines.add(
                        &agreement.merchant_id,
                        [accepted(agreement, late_for)],
                        self.source(*place),
                    );
                }
            }
        }
        let calendars: Vec<(&Calendar, ContentHash)> = batch
            .calendars
            .iter()
            .map(|(_, calendar, hash)| (calendar, *hash))
            .collect();
        if !calendars.is_empty() {
            let answers = tx.accept_calendars(catalogue, &calendars).await?;
            for ((place, calendar, _), answer) in batch.calendars.iter().zip(answers) {
                let what = format!(
                    "calendar {} version {}",
                    calendar.calendar, calendar.version
                );
                self.answered(*place, answer, &what);
            }
        }
        Ok(())
    }

    /// Counts an answer; `Some` when it is new.
    fn answered(&mut self, place: usize, answer: Accepted, what: &str) -> Option<u64> {
        let reason = match answer {
            Accepted::New { late_for } => {
                self.applied.applied += 1;
                return Some(late_for);
            }
            Accepted::Duplicate => {
                self.applied.duplicates += 1;
                return None;
            }
            Accepted::Conflict => (
                Reason::Conflict,
                format!("{what} is known with other content"),
            ),
            Accepted::Foreign => (
                Reason::Mismatch,
                format!("{what} belongs to another merchant"),
            ),
        };
        self.reject(
            place,
            Rejection {
                reason: reason.0,
                detail: reason.1,
                moves_money: false,
                about: None,
            },
        );
        None
    }

    /// Folds the order facts, each into its order, in the order in which they came.
    async fn fold_orders(
        &mut self,
        tx: &mut Tx,
        catalogue: &mut Catalogue,
        facts: &[(usize, OrderFact)],
    ) -> Result<(), StoreError> {
        let keys: BTreeSet<OrderKey> = facts
            .iter()
            .map(|(_, fact)| (fact.merchant.clone(), fact.order.clone()))
            .chain(self.distrusted.iter().map(|(key, _)| key.clone()))
            .collect();
        if keys.is_empty() {
            return Ok(());
        }
        let keys: Vec<OrderKey> = keys.into_iter().collect();
        let mut homes = tx.orders_of(&identified(facts)).await?;
        let rules = self.rules;
        let reparse = |record: &Record| reparse(record, rules);
        let mut cases = tx.load_orders(&keys, catalogue, &reparse).await?;
        let calendars = catalogue.calendars();
        let now = tx.now;
        for (place, fact) in facts {
            let agreements = catalogue.of(&fact.merchant);
            let world = World {
                agreements: &agreements,
                calendars: &calendars,
                now,
            };
            let id = own_id(fact);
            let home = id.as_ref().and_then(|id| homes.get(id)).cloned();
            let accepted = self.fold_one(*place, fact, home, &mut cases, world)?;
            // Known from now on, but only what was accepted: a refused one may come right yet.
            if let Some(id) = id.filter(|(_, kind, _)| accepted && *kind == fact.key().kind) {
                homes.entry(id).or_insert_with(|| fact.order.clone());
            }
        }
        self.find_strangers(tx, catalogue, facts, &mut cases)
            .await?;
        self.block(catalogue, &mut cases, now);
        tx.save_orders(&cases, catalogue).await
    }

    /// Lifts the blocks that have lost their reason and puts up the new ones.
    fn block(&mut self, catalogue: &Catalogue, cases: &mut Cases, now: Instant) {
        let calendars = catalogue.calendars();
        let lifted = std::mem::take(&mut self.trusted).into_iter();
        let put_up = std::mem::take(&mut self.distrusted).into_iter();
        let changes = lifted
            .map(|(key, reference)| (key, Err(reference)))
            .chain(put_up.map(|(key, block)| (key, Ok(block))));
        for (key, change) in changes {
            let Some(case) = cases.get_mut(&key) else {
                continue;
            };
            let agreements = catalogue.of(&key.0);
            let world = World {
                agreements: &agreements,
                calendars: &calendars,
                now,
            };
            let entries = match change {
                Ok(mut block) => {
                    block.opened_at = now;
                    decide::block(&mut case.order, block, world)
                }
                Err(reference) => decide::unblock(&mut case.order, &reference, now, world),
            };
            self.lines.add(&key.0, entries, None);
        }
    }

    /// Folds one fact; true when it was accepted.
    fn fold_one(
        &mut self,
        place: usize,
        fact: &OrderFact,
        home: Option<OrderId>,
        cases: &mut Cases,
        world: World<'_>,
    ) -> Result<bool, StoreError> {
        let key = (fact.merchant.clone(), fact.order.clone());
        let case = cases.get_mut(&key).ok_or_else(|| {
            StoreError::Unreadable(format!("order {} was not loaded", fact.order))
        })?;
        let elsewhere = home.filter(|home| *home != fact.order);
        let answer = match elsewhere {
            Some(home) => Err(misplaced(fact, &home)),
            None => decide::apply(&mut case.order, fact.clone(), world),
        };
        match answer {
            Ok(outcome) => {
                let source = self.source(place);
                if outcome.verdict == Verdict::Kept {
                    case.messages
                        .insert(fact.key(), self.records[place].clone());
                }
                if matches!(fact.what, OrderEvent::Completed(_)) && case.source.is_none() {
                    case.source = source;
                }
                self.take(&key, outcome, source, &mut case.messages);
                Ok(true)
            }
            Err(refusal) => {
                let moves_money = moves_money(fact, &refusal);
                let rejection = Rejection {
                    reason: Reason::from(&refusal),
                    detail: refusal.to_string(),
                    moves_money,
                    about: moves_money.then(|| About {
                        merchant: key.0.clone(),
                        order: key.1.clone(),
                    }),
                };
                self.reject(place, rejection);
                Ok(false)
            }
        }
    }

    /// Books an outcome: its lines, its counts, and the parked facts that it refused.
    fn take(
        &mut self,
        key: &OrderKey,
        outcome: Outcome,
        source: Option<Source>,
        messages: &mut HashMap<crate::rules::fact::FactKey, Record>,
    ) {
        match outcome.verdict {
            Verdict::Applied => self.applied.applied += 1,
            Verdict::Kept => self.applied.kept += 1,
            Verdict::Duplicate => self.applied.duplicates += 1,
        }
        self.lines.add(&key.0, outcome.entries, source);
        for alarm in outcome.alarms {
            tracing::warn!(alarm, merchant = %key.0, order = %key.1, "someone should look at this order");
        }
        for (parked, refusal) in outcome.refused {
            if let Some(record) = messages.remove(&parked) {
                let rejection = Rejection {
                    reason: Reason::from(&refusal),
                    detail: refusal.to_string(),
                    moves_money: true,
                    about: Some(About {
                        merchant: key.0.clone(),
                        order: key.1.clone(),
                    }),
                };
                self.refuse_record(record, &rejection);
            }
        }
    }

    /// A kept fact whose order is known under another merchant may be about that order's money:
    /// whichever of the two comes second finds the other (contract, section 10). When the fact's
    /// own order comes after all, the other is let go.
    async fn find_strangers(
        &mut self,
        tx: &mut Tx,
        catalogue: &mut Catalogue,
        facts: &[(usize, OrderFact)],
        cases: &mut Cases,
    ) -> Result<(), StoreError> {
        let touched: BTreeSet<OrderKey> = facts
            .iter()
            .map(|(_, fact)| (fact.merchant.clone(), fact.order.clone()))
            .collect();
        let (sold, unsold): (Vec<OrderKey>, Vec<OrderKey>) = touched
            .into_iter()
            .partition(|key| cases.get(key).is_some_and(|case| case.order.sale.is_some()));
        let mut found: BTreeSet<(OrderKey, MerchantId)> = BTreeSet::new();
        for (key, other) in tx.under_other_merchants(&unsold).await? {
            found.insert(((other, key.1), key.0));
        }
        for (key, other) in tx.waited_for_elsewhere(&sold).await? {
            found.insert((key, other));
        }
        let sold_late: Vec<OrderKey> = sold
            .iter()
            .filter(|key| cases.get(*key).is_some_and(Case::is_sold_late))
            .cloned()
            .collect();
        let unfounded = tx.suspected_for(&sold_late).await?;
        let missing: BTreeSet<OrderKey> = found
            .iter()
            .chain(&unfounded)
            .map(|(key, _)| key.clone())
            .filter(|key| !cases.contains_key(key))
            .collect();
        let missing: Vec<OrderKey> = missing.into_iter().collect();
        if !missing.is_empty() {
            let merchants: Vec<MerchantId> = missing
                .iter()
                .map(|(merchant, _)| merchant.clone())
                .collect();
            tx.open_catalogue(catalogue, &merchants, false).await?;
            let rules = self.rules;
            let more = tx
                .load_orders(&missing, catalogue, &|record| reparse(record, rules))
                .await?;
            cases.extend(more);
        }
        for (key, other) in unfounded {
            self.trusted.push((key, stranger(&other)));
        }
        for (key, other) in found {
            tracing::error!(alarm = "order_under_other_merchant", order = %key.1, merchant = %key.0, %other, "a fact names this order under another merchant");
            let block = Block {
                reference: stranger(&other),
                kind: BlockKind::Review,
                reason: "a fact names this order under another merchant".to_owned(),
                opened_at: tx.now,
                cleared_at: None,
            };
            self.distrusted.push((key, block));
        }
        Ok(())
    }

    async fn settle_payouts(
        &mut self,
        tx: &mut Tx,
        results: &[(usize, PayoutResult)],
    ) -> Result<(), StoreError> {
        if results.is_empty() {
            return Ok(());
        }
        let all: Vec<PayoutResult> = results.iter().map(|(_, result)| result.clone()).collect();
        let mut known = tx.known_results(&all).await?;
        let mut payouts = tx.lock_payouts(&all).await?;
        let mut fresh = Vec::new();
        for (place, result) in results {
            let key = result_key(result);
            if let Some(first) = known.get(&key) {
                if *first == result.content {
                    self.applied.duplicates += 1;
                    continue;
                }
                let rejection = Rejection {
                    reason: Reason::Conflict,
                    detail: "this payout result is known with other content".to_owned(),
                    moves_money: false,
                    about: None,
                };
                self.reject(*place, rejection);
                continue;
            }
            let releases = payouts.behind(&key.0, key.1);
            if releases.is_empty() {
                tracing::warn!(alarm = "payout_of_unknown_release", merchant = %key.0, subject = %key.1, "a payout result names no release of ours");
                self.applied.kept += 1;
            } else {
                self.applied.applied += 1;
            }
            for release in &releases {
                if let Some(payout) = payouts.get_mut(&key.0, *release) {
                    let entries = payout::apply(payout, result);
                    self.lines
                        .add(&result.merchant, entries, self.source(*place));
                }
            }
            known.insert(key, result.content);
            fresh.push((result.clone(), !releases.is_empty()));
        }
        tx.save_payouts(&payouts, &fresh).await
    }
}

/// The refunds and disputes among these facts, by the ids that are theirs alone.
fn identified(facts: &[(usize, OrderFact)]) -> Vec<OwnId> {
    let mut ids: Vec<_> = facts.iter().filter_map(|(_, fact)| own_id(fact)).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// A refund's or dispute's own id, which is unique per merchant.
type OwnId = (MerchantId, FactKind, String);

/// The id of the refund or dispute that the fact is about; `None` when it is about the order alone.
fn own_id(fact: &OrderFact) -> Option<OwnId> {
    let key = fact.key();
    let kind = match key.kind {
        FactKind::Refunded => FactKind::Refunded,
        FactKind::DisputeOpened | FactKind::DisputeUpdated | FactKind::DisputeClosed => {
            FactKind::DisputeOpened
        }
        FactKind::Completed | FactKind::Confirmed | FactKind::Delivered | FactKind::Cancelled => {
            return None;
        }
    };
    Some((fact.merchant.clone(), kind, key.id))
}

/// The reference of the block that keeps an order because of another merchant's fact.
fn stranger(other: &MerchantId) -> String {
    format!("merchant/{other}")
}

fn misplaced(fact: &OrderFact, home: &OrderId) -> Refusal {
    let text = format!("{} belongs to order {home}", fact.key().id);
    match fact.key().kind {
        FactKind::DisputeUpdated | FactKind::DisputeClosed => Refusal::Mismatch(text),
        _ => Refusal::Conflict(text),
    }
}

/// Whether a refused fact is about money that is about to leave (contract, section 10).
fn moves_money(fact: &OrderFact, refusal: &Refusal) -> bool {
    match fact.what {
        OrderEvent::Completed(_) => matches!(refusal, Refusal::Conflict(_)),
        OrderEvent::Confirmed { .. } | OrderEvent::Delivered { .. } => false,
        OrderEvent::Cancelled { .. }
        | OrderEvent::Refunded(_)
        | OrderEvent::DisputeOpened(_)
        | OrderEvent::DisputeUpdated(_)
        | OrderEvent::DisputeClosed(_) => true,
    }
}

/// Reads a parked message again. Its time was judged when it came.
fn reparse(record: &Record, rules: &Rules) -> Option<OrderFact> {
    let limits = Limits {
        max_bytes: usize::MAX,
        ..rules.limits
    };
    let timeless = Record {
        timestamp: None,
        ..record.clone()
    };
    match incoming::parse(&timeless, rules.default_type(&record.topic), &limits).ok()? {
        Parsed::Fact(accepted) => match accepted.fact {
            Fact::Order(fact) => Some(fact),
            Fact::Agreement(_) | Fact::Calendar(_) | Fact::Payout(_) => None,
        },
        Parsed::Tombstone => None,
    }
}

fn accepted(agreement: &Agreement, late_for: u64) -> Entry {
    if late_for > 0 {
        tracing::warn!(
            alarm = "agreement_late",
            agreement = %agreement.agreement_id,
            version = agreement.version,
            late_for,
            "an agreement came after orders that it would have covered"
        );
    }
    Entry {
        event: Event::AgreementAccepted(AgreementAccepted {
            agreement_id: agreement.agreement_id.clone(),
            agreement_version: agreement.version,
            effective_from: agreement.effective_from,
            late_for,
        }),
        order: None,
        hold: None,
        currency: None,
        transfer: None,
        cause: format!("version:{}", agreement.version),
        traceparent: None,
    }
}

/// The reparsing that [`super::followup`] shares.
pub(super) fn reparse_with(rules: &Rules) -> impl Fn(&Record) -> Option<OrderFact> + Sync + '_ {
    move |record| reparse(record, rules)
}
