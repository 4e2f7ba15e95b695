//! Merchants' money apart from holds in a run: deposits, what they owe, and credits that wait.
//!
//! What an order's merchant owes because of it stands with the order; here is which of them are open,
//! oldest first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::RandomState;

use super::Simulation;
use super::books::Sink;
use super::orders::{Case, Orders};
use crate::ingest::deposits;
use crate::rules::adjustment::{self, Adjustment};
use crate::rules::deposit::{self, DepositFact};
use crate::rules::fact::ContentHash;
use crate::rules::ids::{MerchantId, OrderId, ReceivableId};
use crate::rules::money::{Amount, Currency};
use crate::rules::order::{Order, Receivable};
use crate::rules::recovery::{self, Credit, Debt, Purse};
use crate::rules::time::Instant;
use crate::store::adjustments::{AdjustmentKey, adjustment_key};
use crate::store::deposits::{TransactionKey, transaction_key};
use crate::store::recovery::PurseKey;

/// What every merchant has and owes.
#[derive(Default)]
pub(super) struct Purses {
    rows: HashMap<PurseKey, Row, RandomState>,
    known: HashMap<TransactionKey, ContentHash>,
    adjusted: HashMap<AdjustmentKey, ContentHash>,
    /// Credits of no order, which the clock releases.
    credits: Vec<(MerchantId, Credit)>,
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
    /// By itself, with the order that an adjustment names.
    Alone(Amount, Option<OrderId>),
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
        let debts = row.debts.iter().filter_map(|((at, id), owed)| match owed {
            Owed::Alone(left, order) => Some(Debt {
                id: *id,
                order: order.clone(),
                opened_at: *at,
                left: *left,
            }),
            Owed::Order(place) => {
                let order = &orders.at(*place)?.order;
                let owed = order.receivables.iter().find(|it| it.id == *id)?;
                Some(Debt {
                    id: *id,
                    order: Some(order.id.clone()),
                    opened_at: *at,
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
                    Owed::Alone(amount, _) => *amount = left,
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

    fn owe(&mut self, merchant: &MerchantId, order: Option<OrderId>, debt: &Receivable) {
        let row = self.row(&(merchant.clone(), debt.currency));
        let age = (debt.opened_at, debt.id);
        row.debts.insert(age, Owed::Alone(debt.left, order));
    }
}

impl<S: Sink> Simulation<S> {
    /// Money comes into a deposit or leaves it.
    pub(super) fn deposit(&mut self, line: u64, fact: &DepositFact) -> anyhow::Result<()> {
        let transaction = transaction_key(fact);
        if let Some(first) = self.purses.known.get(&transaction) {
            if *first != fact.content {
                let rejection = deposits::conflict("transaction");
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
            self.purses.owe(&key.0, None, debt);
        }
        self.say_all(&key.0, &effect.entries)
    }

    /// The platform's staff correct what a merchant has.
    pub(super) fn adjust(&mut self, line: u64, fact: &Adjustment) -> anyhow::Result<()> {
        let adjustment = adjustment_key(fact);
        if let Some(first) = self.purses.adjusted.get(&adjustment) {
            if *first != fact.content {
                self.reject(line, &deposits::conflict("adjustment"))?;
            }
            return Ok(());
        }
        self.purses.adjusted.insert(adjustment, fact.content);
        let key = (fact.merchant.clone(), fact.currency);
        let mut purse = self.purses.whole(&key, &self.orders);
        let effect = adjustment::apply(&mut purse, fact);
        if let Some(debt) = &effect.debt {
            self.purses.owe(&key.0, fact.order.clone(), debt);
        }
        self.purses.settle(&key.0, purse, &mut self.orders);
        self.say_all(&key.0, &effect.entries)?;
        let Some(credit) = effect.credit else {
            return Ok(());
        };
        let Some(order) = &fact.order else {
            self.agenda.pay_others(self.now());
            self.purses.credits.push((key.0, credit));
            return Ok(());
        };
        let place = self.orders.find_or_make(&(key.0, order.clone()));
        let looks = self.orders.at(place).map(Case::looks);
        self.orders.at_mut(place).order.credits.push(credit);
        self.changed(place, &looks.unwrap_or_default());
        Ok(())
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

    /// Releases the credits of no order, and those of these orders that nothing keeps back.
    pub(super) fn release_credits(&mut self, places: &BTreeSet<usize>) -> anyhow::Result<()> {
        let now = self.now();
        for (merchant, credit) in std::mem::take(&mut self.purses.credits) {
            self.release_credit(&merchant, &credit, now)?;
        }
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
