//! Merchants' money apart from holds in a run: deposits, what they owe, and credits that wait.
//!
//! What an order's merchant owes because of it stands with the order; here is which of them are open,
//! oldest first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Simulation;
use super::books::Sink;
use super::orders::Orders;
use crate::ingest::deposits;
use crate::rules::deposit::{self, DepositFact};
use crate::rules::fact::ContentHash;
use crate::rules::ids::{MerchantId, ReceivableId};
use crate::rules::money::{Amount, Currency};
use crate::rules::order::{Order, Receivable};
use crate::rules::recovery::{self, Credit, Debt, Purse};
use crate::rules::time::Instant;
use crate::store::deposits::{TransactionKey, transaction_key};
use crate::store::recovery::PurseKey;

/// What every merchant has and owes.
#[derive(Default)]
pub(super) struct Purses {
    rows: HashMap<PurseKey, Row>,
    known: HashMap<TransactionKey, ContentHash>,
    /// Purses that may pay debts once the message is applied.
    grown: BTreeSet<PurseKey>,
}

struct Row {
    deposit: Amount,
    grown_by: Option<String>,
    /// Open receivables, oldest first.
    debts: BTreeMap<(Instant, ReceivableId), Owed>,
}

/// Where an open receivable stands.
enum Owed {
    /// With the order at this place.
    Order(usize),
    /// With no order.
    Alone(Amount),
}

impl Row {
    fn empty(currency: Currency) -> Self {
        Self {
            deposit: Amount::zero(currency),
            grown_by: None,
            debts: BTreeMap::new(),
        }
    }
}

/// The purse of an order that is sold, or of the one that `currency` names.
fn key(order: &Order, currency: Option<Currency>) -> Option<PurseKey> {
    let sold = order.sale.as_ref().map(|sale| sale.value.currency);
    Some((order.merchant.clone(), sold.or(currency)?))
}

impl Purses {
    /// A purse without its debts.
    pub(super) fn lend(&self, order: &Order, brought: Option<Currency>) -> Option<Purse> {
        let key = key(order, brought)?;
        let row = self.rows.get(&key);
        Some(Purse {
            deposit: row.map_or_else(|| Amount::zero(key.1), |row| row.deposit),
            grown_by: row.and_then(|row| row.grown_by.clone()),
            ..Purse::empty(key.1)
        })
    }

    /// Takes an order's purse back, and notes what its merchant owes because of it now.
    pub(super) fn take_back(&mut self, order: &mut Order, place: usize) {
        let Some(purse) = order.purse.take() else {
            return;
        };
        if !order.receivables.is_empty() {
            let row = self.row(&(order.merchant.clone(), purse.currency));
            for it in &order.receivables {
                let key = (it.opened_at, it.id);
                if it.left.is_zero() {
                    row.debts.remove(&key);
                } else {
                    row.debts.insert(key, Owed::Order(place));
                }
            }
        }
        self.keep(&order.merchant, purse);
    }

    fn row(&mut self, key: &PurseKey) -> &mut Row {
        let row = self.rows.entry(key.clone());
        row.or_insert_with(|| Row::empty(key.1))
    }

    fn keep(&mut self, merchant: &MerchantId, purse: Purse) {
        let key = (merchant.clone(), purse.currency);
        if !self.rows.contains_key(&key) && purse.deposit.is_zero() {
            return;
        }
        if purse.grown_by.is_some() {
            self.grown.insert(key.clone());
        }
        let row = self.row(&key);
        row.deposit = purse.deposit;
        row.grown_by = purse.grown_by;
    }

    /// A purse with its debts.
    pub(super) fn whole(&self, key: &PurseKey, orders: &Orders) -> Purse {
        let Some(row) = self.rows.get(key) else {
            return Purse::empty(key.1);
        };
        let debts = row.debts.iter().filter_map(|((_, id), owed)| match owed {
            Owed::Alone(left) => Some(Debt {
                id: *id,
                order: None,
                left: *left,
            }),
            Owed::Order(place) => {
                let order = &orders.at(*place)?.order;
                let owed = order.receivables.iter().find(|it| it.id == *id)?;
                Some(Debt {
                    id: *id,
                    order: Some(order.id.clone()),
                    left: owed.left,
                })
            }
        });
        Purse {
            currency: key.1,
            deposit: row.deposit,
            debts: debts.collect(),
            grown_by: row.grown_by.clone(),
        }
    }

    /// Takes back a purse that was lent whole.
    pub(super) fn settle(&mut self, merchant: &MerchantId, purse: Purse, orders: &mut Orders) {
        if !purse.debts.is_empty() {
            let row = self.row(&(merchant.clone(), purse.currency));
            let mut left: HashMap<ReceivableId, Amount> = purse
                .debts
                .iter()
                .map(|debt| (debt.id, debt.left))
                .collect();
            row.debts.retain(|(_, id), owed| {
                let Some(left) = left.remove(id) else {
                    return true;
                };
                match owed {
                    Owed::Alone(amount) => *amount = left,
                    Owed::Order(place) => {
                        let order = &mut orders.at_mut(*place).order;
                        let receivables = &mut order.receivables;
                        if let Some(it) = receivables.iter_mut().find(|it| it.id == *id) {
                            it.left = left;
                        }
                    }
                }
                !left.is_zero()
            });
        }
        self.keep(merchant, purse);
    }

    fn owe(&mut self, merchant: &MerchantId, debt: &Receivable) {
        let row = self.row(&(merchant.clone(), debt.currency));
        row.debts
            .insert((debt.opened_at, debt.id), Owed::Alone(debt.left));
    }
}

impl<S: Sink> Simulation<S> {
    /// Money comes into a deposit or leaves it.
    pub(super) fn deposit(&mut self, line: u64, fact: &DepositFact) -> anyhow::Result<()> {
        let transaction = transaction_key(fact);
        if let Some(first) = self.purses.known.get(&transaction) {
            if *first != fact.content {
                let rejection = deposits::conflict();
                self.reject(line, &rejection)?;
            }
            return Ok(());
        }
        let key = (fact.merchant.clone(), fact.currency);
        let mut purse = self.purses.whole(&key, &self.orders);
        let effect = match deposit::apply(&mut purse, fact) {
            Ok(effect) => effect,
            Err(error) => {
                return self.reject(line, &deposits::refused(&error));
            }
        };
        self.purses.known.insert(transaction, fact.content);
        self.purses.settle(&key.0, purse, &mut self.orders);
        if let Some(debt) = &effect.debt {
            self.purses.owe(&key.0, debt);
        }
        self.say_all(&key.0, &effect.entries)
    }

    /// What has grown pays what is open.
    pub(super) fn pay_debts(&mut self) -> anyhow::Result<()> {
        for key in std::mem::take(&mut self.purses.grown) {
            let mut purse = self.purses.whole(&key, &self.orders);
            let entries = deposit::pay_debts(&mut purse);
            self.purses.settle(&key.0, purse, &mut self.orders);
            self.say_all(&key.0, &entries)?;
        }
        Ok(())
    }

    /// Releases the credits of these orders that nothing keeps back.
    pub(super) fn release_credits(&mut self, places: &BTreeSet<usize>) -> anyhow::Result<()> {
        let now = self.now();
        for place in places {
            let Some(order) = self.orders.at(*place).map(|case| &case.order) else {
                continue;
            };
            if is_kept(order) {
                continue;
            }
            let order = &mut self.orders.at_mut(*place).order;
            let merchant = order.merchant.clone();
            for credit in std::mem::take(&mut order.credits) {
                self.release_credit(&merchant, &credit, now)?;
            }
            self.orders.touched(*place, now);
        }
        Ok(())
    }

    fn release_credit(
        &mut self,
        merchant: &MerchantId,
        credit: &Credit,
        now: Instant,
    ) -> anyhow::Result<()> {
        let key = (merchant.clone(), credit.currency);
        let mut purse = self.purses.whole(&key, &self.orders);
        let entries = recovery::issue_credit(credit, &mut purse, now);
        self.purses.settle(merchant, purse, &mut self.orders);
        for entry in &entries {
            self.payouts.issued(merchant, entry);
        }
        self.say_all(merchant, &entries)
    }
}

/// Whether a review, a person or a bad message keeps the order's credits.
pub(super) fn is_kept(order: &Order) -> bool {
    order.blocks.iter().any(|it| it.cleared_at.is_none())
}
