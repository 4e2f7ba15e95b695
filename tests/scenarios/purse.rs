//! The merchant's money apart from orders: deposits and debts.

use holdback::rules::deposit::{self, DepositFact};
use holdback::rules::fact::ContentHash;
use holdback::rules::ids::{MerchantId, TransactionId};
use holdback::rules::money::{Amount, Currency};
use holdback::rules::order::Order;
use holdback::rules::recovery::{Debt, Purse};

use super::ledger::Ledger;
use super::setup::instant;

impl Ledger {
    /// The merchant's purse with every open receivable, oldest first.
    pub fn purse(&self) -> Purse {
        let cny = Currency::from_code("CNY").unwrap();
        let purse = self.purse.clone().unwrap_or_else(|| Purse::empty(cny));
        let orders = self.orders.values().flat_map(|order| {
            let receivables = order.receivables.iter();
            receivables.map(|it| (it.opened_at, it.id, Some(order.id.clone()), it.left))
        });
        let withdrawals = self.withdrawals.iter();
        let others = withdrawals.map(|it| (it.opened_at, it.id, None, it.left));
        let mut all: Vec<_> = orders.chain(others).collect();
        all.retain(|(.., left)| !left.is_zero());
        all.sort_unstable_by_key(|(at, id, ..)| (*at, *id));
        let debts = all.into_iter();
        let debts = debts.map(|(_, id, order, left)| Debt { id, order, left });
        Purse {
            debts: debts.collect(),
            ..purse
        }
    }

    /// The same for an order of its currency.
    pub fn purse_of(&self, order: &Order) -> Option<Purse> {
        let purse = self.purse();
        let sale = order.sale.as_ref()?;
        (sale.value.currency == purse.currency).then_some(purse)
    }

    pub fn keep(&mut self, purse: Purse) {
        let receivables = self.orders.values_mut().flat_map(|it| &mut it.receivables);
        for receivable in receivables.chain(&mut self.withdrawals) {
            let debt = purse.debts.iter().find(|debt| debt.id == receivable.id);
            receivable.left = debt.map_or(receivable.left, |debt| debt.left);
        }
        self.purse = Some(purse);
    }

    pub fn deposit(
        &mut self,
        at: &str,
        withdrawn: bool,
        id: &str,
        (amount, currency): (&str, &str),
    ) -> Result<(), String> {
        let at = instant(at, &self.zone(), "12:00")?;
        let currency = Currency::from_code(currency).ok_or("unknown currency")?;
        let fact = DepositFact {
            merchant: MerchantId::parse("M1").unwrap(),
            transaction: TransactionId::parse(id).unwrap(),
            withdrawn,
            amount: Amount::parse(amount, currency).map_err(|error| error.to_string())?,
            currency,
            at,
            content: ContentHash([0; 16]),
            traceparent: None,
        };
        let mut purse = self.purse();
        let effect = deposit::apply(&mut purse, &fact).map_err(|error| error.to_string())?;
        self.step.extend(effect.entries);
        self.keep(purse);
        self.withdrawals.extend(effect.debt);
        self.pay_debts();
        Ok(())
    }

    /// What has grown pays what is open.
    pub fn pay_debts(&mut self) {
        let mut purse = self.purse();
        self.step.extend(deposit::pay_debts(&mut purse));
        self.keep(purse);
    }
}
