//! Deposits of a batch: what is paid in and out, and the debts that a deposit pays once it grows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::work::Work;
use crate::message::{Reason, Rejection};
use crate::rules::deposit::{self, DepositFact};
use crate::rules::fact::{OrderEvent, OrderFact};
use crate::rules::money::{Amount, Currency, MoneyError};
use crate::rules::order::Order;
use crate::store::cases::{Cases, OrderKey};
use crate::store::deposits::transaction_key;
use crate::store::journal::Lines;
use crate::store::recovery::{PurseKey, Purses};
use crate::store::{StoreError, Tx};
use crate::telemetry::Outcome as Counted;

impl Work<'_> {
    pub(super) async fn settle_deposits(
        &mut self,
        tx: &mut Tx,
        facts: &[(usize, DepositFact)],
    ) -> Result<(), StoreError> {
        if facts.is_empty() {
            return Ok(());
        }
        let all: Vec<DepositFact> = facts.iter().map(|(_, fact)| fact.clone()).collect();
        let keys = all
            .iter()
            .map(|fact| (fact.merchant.clone(), fact.currency));
        let keys: BTreeSet<PurseKey> = keys.collect();
        tx.make_merchants(&keys).await?;
        tx.lock_purses(&mut self.purses, &keys).await?;
        let mut known = tx.known_transactions(&all).await?;
        let (mut fresh, mut debts) = (Vec::new(), Vec::new());
        for (place, fact) in facts {
            let key = transaction_key(fact);
            if let Some(first) = known.get(&key) {
                if *first == fact.content {
                    self.applied.note(fact.kind(), Counted::Duplicate);
                } else {
                    self.reject(*place, &conflict("transaction"));
                }
                continue;
            }
            let purse = self.purses.of(&(fact.merchant.clone(), fact.currency));
            match deposit::apply(purse, fact) {
                Ok(effect) => {
                    self.lines
                        .add(&fact.merchant, effect.entries, self.source(*place));
                    if let Some(debt) = effect.debt {
                        tracing::warn!(alarm = "withdrawal_exceeds_deposit", merchant = %fact.merchant, transaction = %fact.transaction, "a merchant withdrew more than the deposit, and owes the rest");
                        debts.push((fact.merchant.clone(), None, debt));
                    }
                }
                Err(error) => {
                    self.reject(*place, &refused(&error));
                    continue;
                }
            }
            self.applied.note(fact.kind(), Counted::Applied);
            known.insert(key, fact.content);
            fresh.push(fact.clone());
        }
        tx.save_transactions(&fresh).await?;
        tx.open_receivables(&debts).await
    }
}

/// The purses of the orders among these whose facts may take from a deposit or give back to it,
/// locked: those that a refund, a dispute or a cancellation is about, or that such a fact waits for.
pub(super) async fn purses_of(
    tx: &mut Tx,
    purses: &mut Purses,
    cases: &Cases,
    facts: &[(usize, OrderFact)],
) -> Result<(), StoreError> {
    let parked = cases
        .iter()
        .filter(|(_, case)| !case.order.parked.is_empty());
    let mut charging: BTreeSet<OrderKey> = parked.map(|(key, _)| key.clone()).collect();
    let mut currencies: HashMap<OrderKey, Currency> = HashMap::new();
    for (_, fact) in facts {
        let key = (fact.merchant.clone(), fact.order.clone());
        match &fact.what {
            OrderEvent::Completed(sale) => drop(currencies.insert(key, sale.currency)),
            OrderEvent::Confirmed { .. } | OrderEvent::Delivered { .. } => {}
            _ => drop(charging.insert(key)),
        }
    }
    let keys = charging.into_iter().filter_map(|key| {
        let currency = cases.get(&key).and_then(|case| case.order.currency());
        let currency = currency.or_else(|| currencies.get(&key).copied())?;
        Some((key.0, currency))
    });
    let keys: BTreeSet<PurseKey> = keys.collect();
    if keys.is_empty() {
        return Ok(());
    }
    tx.make_merchants(&keys).await?;
    tx.lock_purses(purses, &keys).await
}

/// The purse that a fact about this order may need: of its money's currency, or of the sale's that
/// the fact brings.
pub(super) fn purse_of(order: &Order, fact: Option<&OrderFact>) -> Option<PurseKey> {
    let brought = fact.and_then(brought);
    Some((order.merchant.clone(), order.currency().or(brought)?))
}

/// The currency of the sale that a fact brings.
pub(crate) fn brought(fact: &OrderFact) -> Option<Currency> {
    match &fact.what {
        OrderEvent::Completed(sale) => Some(sale.currency),
        _ => None,
    }
}

/// What has grown pays what is open; then all is written.
pub(crate) async fn settle(
    tx: &mut Tx,
    purses: &mut Purses,
    lines: &mut Lines,
) -> Result<(), StoreError> {
    let grown: BTreeMap<PurseKey, Amount> = purses.grown();
    tx.load_debts(purses, &grown).await?;
    for key in grown.keys() {
        let entries = deposit::pay_debts(purses.of(key));
        lines.add(&key.0, entries, None);
    }
    tx.save_purses(purses).await
}

/// A transaction or an adjustment that is known with other content.
pub(crate) fn conflict(what: &str) -> Rejection {
    let detail = format!("this {what} is known with other content");
    rejection(Reason::Conflict, detail)
}

/// A sum beyond all range.
pub(crate) fn refused(error: &MoneyError) -> Rejection {
    rejection(Reason::Money, error.to_string())
}

fn rejection(reason: Reason, detail: String) -> Rejection {
    Rejection {
        reason,
        detail,
        moves_money: false,
        about: None,
    }
}
