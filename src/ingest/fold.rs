//! Facts about orders folded into their orders, in the order in which they came.

use std::collections::{BTreeSet, HashMap};

use super::Rules;
use super::deposits::{self, purse_of};
use super::fullness::no_room;
use super::indirect::Placed;
use super::reviews::give_waited;
use super::work::Work;
use crate::message::incoming::{self, Limits, Parsed};
use crate::message::{About, Reason, Record, Rejection};
use crate::planted::{Bug, is_planted};
use crate::rules::decide::{self, Outcome, Refusal, Verdict, World};
use crate::rules::fact::{Fact, FactKey, FactKind, OrderEvent, OrderFact};
use crate::rules::ids::{MerchantId, OrderId};
use crate::rules::order::{Block, BlockKind, Order};
use crate::rules::time::Instant;
use crate::store::agreements::Catalogue;
use crate::store::cases::{Case, Cases, OrderKey, Source};
use crate::store::{StoreError, Tx};
use crate::telemetry::Outcome as Counted;

impl Work<'_> {
    /// Folds the order facts, each into its order, in the order in which they came.
    pub(super) async fn fold_orders(
        &mut self,
        tx: &mut Tx,
        catalogue: &mut Catalogue,
        placed: Placed<'_>,
    ) -> Result<(), StoreError> {
        let facts = &*placed.facts;
        let keys: BTreeSet<OrderKey> = facts
            .iter()
            .map(|(_, fact)| (fact.merchant.clone(), fact.order.clone()))
            .chain(self.distrusted.iter().map(|(key, _)| key.clone()))
            .chain(self.trusted.iter().map(|(key, _)| key.clone()))
            .collect();
        if keys.is_empty() {
            return Ok(());
        }
        let keys: Vec<OrderKey> = keys.into_iter().collect();
        let mut homes = tx.orders_of(&identified(facts)).await?;
        for ((merchant, review), order) in &placed.orders {
            let id = review.as_str().to_owned();
            homes.insert(
                (merchant.clone(), FactKind::ReviewRequested, id),
                order.clone(),
            );
        }
        let rules = self.rules;
        let reparse = reparse_with(rules);
        let mut cases = tx.load_orders(&keys, catalogue, &reparse).await?;
        give_waited(placed.waited, &placed.orders, &mut cases, rules)?;
        for (key, case) in &mut cases {
            let gone = decide::issue_foretold(&mut case.order);
            self.lines.add(&key.0, gone, case.source);
        }
        deposits::purses_of(tx, &mut self.purses, &cases, facts).await?;
        let calendars = catalogue.calendars();
        let now = tx.now;
        for (place, fact) in facts {
            let agreements = catalogue.of(&fact.merchant);
            let world = World {
                agreements: &agreements,
                calendars: &calendars,
                now,
                approval: &rules.approval,
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
        if let Some(rejection) = no_room(case, fact, &self.records[place], self.rules) {
            self.reject(place, &rejection);
            return Ok(false);
        }
        let purse = purse_of(&case.order, Some(fact));
        case.order.purse = purse.as_ref().and_then(|key| self.purses.lend(key));
        let answer = fold(&mut case.order, fact, home, world);
        self.purses.take_back(purse, case.order.purse.take());
        match answer {
            Ok(outcome) => {
                let source = self.source(place);
                if outcome.verdict == Verdict::Kept && is_planted(Bug::ForgetWaiting) {
                    case.order.parked.clear();
                } else if outcome.verdict == Verdict::Kept {
                    case.messages
                        .insert(fact.key(), self.records[place].clone());
                }
                if matches!(fact.what, OrderEvent::Completed(_)) && case.source.is_none() {
                    case.source = source;
                }
                self.applied
                    .note(fact.key().kind.name(), counted(outcome.verdict));
                self.take(&key, outcome, source, &mut case.messages);
                Ok(true)
            }
            Err(rejection) => {
                self.reject(place, &rejection);
                Ok(false)
            }
        }
    }

    /// Books an outcome: its lines and the parked facts that it refused.
    pub(super) fn take(
        &mut self,
        key: &OrderKey,
        outcome: Outcome,
        source: Option<Source>,
        messages: &mut HashMap<FactKey, Record>,
    ) {
        self.lines.add(&key.0, outcome.entries, source);
        for alarm in outcome.alarms {
            tracing::warn!(alarm, merchant = %key.0, order = %key.1, "someone should look at this order");
        }
        for (parked, refusal) in outcome.refused {
            if let Some(record) = messages.remove(&parked) {
                let moves_money = !is_indirect(parked.kind);
                self.refuse_record(record, &rejection(&refusal, moves_money, &key.0, &key.1));
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
            tx.widen_catalogue(catalogue, &merchants).await?;
            let rules = self.rules;
            let more = tx
                .load_orders(&missing, catalogue, &reparse_with(rules))
                .await?;
            cases.extend(more);
        }
        for (key, other) in unfounded {
            self.trusted.push((key, stranger(&other)));
        }
        for (key, other) in found {
            tracing::error!(alarm = "order_under_other_merchant", order = %key.1, merchant = %key.0, %other, "a fact names this order under another merchant");
            self.distrusted.push((key, suspicion(&other, tx.now)));
        }
        Ok(())
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
pub(crate) type OwnId = (MerchantId, FactKind, String);

/// The id of the refund or dispute that the fact is about; `None` when it is about the order alone.
pub(crate) fn own_id(fact: &OrderFact) -> Option<OwnId> {
    let (kind, id, _) = fact.key_parts();
    let kind = match kind {
        FactKind::Refunded | FactKind::RefundReversed => FactKind::Refunded,
        FactKind::DisputeOpened | FactKind::DisputeUpdated | FactKind::DisputeClosed => {
            FactKind::DisputeOpened
        }
        FactKind::ReviewRequested | FactKind::ReviewAnswered | FactKind::ReviewDecided => {
            FactKind::ReviewRequested
        }
        FactKind::Completed | FactKind::Confirmed | FactKind::Delivered | FactKind::Cancelled => {
            return None;
        }
    };
    Some((fact.merchant.clone(), kind, id.to_owned()))
}

/// Whether it names something of an order's: it leaves the money where it is when it is refused.
pub(crate) fn is_indirect(kind: FactKind) -> bool {
    use FactKind as K;
    matches!(
        kind,
        K::ReviewAnswered | K::ReviewDecided | K::RefundReversed
    )
}

fn counted(verdict: Verdict) -> Counted {
    match verdict {
        Verdict::Applied => Counted::Applied,
        Verdict::Kept => Counted::Kept,
        Verdict::Duplicate => Counted::Duplicate,
    }
}

/// The reference of the block that keeps an order because of another merchant's fact.
pub(crate) fn stranger(other: &MerchantId) -> String {
    format!("merchant/{other}")
}

/// That block.
pub(crate) fn suspicion(other: &MerchantId, opened_at: Instant) -> Block {
    Block {
        reference: stranger(other),
        kind: BlockKind::Review,
        reason: Block::OF_ANOTHER.to_owned(),
        hold: None,
        amount: None,
        opened_at,
        cleared_at: None,
    }
}

/// Applies a fact to its order, unless the refund or dispute that it is about has its home
/// elsewhere.
pub(crate) fn fold(
    order: &mut Order,
    fact: &OrderFact,
    home: Option<OrderId>,
    world: World<'_>,
) -> Result<Outcome, Rejection> {
    let answer = match home.filter(|home| *home != fact.order) {
        Some(home) => Err(misplaced(fact, &home)),
        None => decide::apply(order, fact.clone(), world),
    };
    answer.map_err(|refusal| {
        let moves_money = moves_money(fact, &refusal);
        rejection(&refusal, moves_money, &fact.merchant, &fact.order)
    })
}

/// A refusal by the rules as a dead letter's.
pub(crate) fn rejection(
    refusal: &Refusal,
    moves_money: bool,
    merchant: &MerchantId,
    order: &OrderId,
) -> Rejection {
    Rejection {
        reason: Reason::from(refusal),
        detail: refusal.to_string(),
        moves_money,
        about: moves_money.then(|| About {
            merchant: merchant.clone(),
            order: order.clone(),
        }),
    }
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
        _ => may_take_money(fact),
    }
}

/// Whether the order's money may have to stay because of it, now or by what follows.
pub(crate) fn may_take_money(fact: &OrderFact) -> bool {
    match fact.what {
        OrderEvent::Completed(_)
        | OrderEvent::Confirmed { .. }
        | OrderEvent::Delivered { .. }
        | OrderEvent::RefundReversed(_)
        | OrderEvent::ReviewAnswered(_)
        | OrderEvent::ReviewDecided(_) => false,
        OrderEvent::Cancelled { .. }
        | OrderEvent::Refunded(_)
        | OrderEvent::DisputeOpened(_)
        | OrderEvent::DisputeUpdated(_)
        | OrderEvent::DisputeClosed(_)
        | OrderEvent::ReviewRequested(_) => true,
    }
}

/// Reads a parked message of this order again. Its time was judged when it came.
pub(super) fn reparse(record: &Record, order: &OrderId, rules: &Rules) -> Option<OrderFact> {
    let limits = Limits {
        max_bytes: usize::MAX,
        ..rules.limits
    };
    let timeless = Record {
        timestamp: None,
        ..record.clone()
    };
    let mut fact =
        match incoming::parse(&timeless, rules.default_type(&record.topic), &limits).ok()? {
            Parsed::Fact(accepted) => match accepted.fact {
                Fact::Order(fact) => fact,
                Fact::Indirect(fact) => fact.about(order.clone()),
                Fact::Agreement(_)
                | Fact::Calendar(_)
                | Fact::Deposit(_)
                | Fact::Adjustment(_)
                | Fact::Payout(_) => return None,
            },
            Parsed::Tombstone => return None,
        };
    fact.recorded_at = record.timestamp;
    Some(fact)
}

/// The reparsing that other loops share.
pub(crate) fn reparse_with(
    rules: &Rules,
) -> impl Fn(&Record, &OrderId) -> Option<OrderFact> + Sync + '_ {
    move |record, order| reparse(record, order, rules)
}
