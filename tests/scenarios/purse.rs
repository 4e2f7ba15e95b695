//! The merchant's money apart from orders: deposits and debts.

use holdback::rules::adjustment::{self, Adjustment};
use holdback::rules::deposit::{self, DepositFact};
use holdback::rules::fact::ContentHash;
use holdback::rules::ids::{AdjustmentId, MerchantId, OrderId, TransactionId};
use holdback::rules::money::{Amount, Currency};
use holdback::rules::order::Order;
use holdback::rules::recovery::{Debt, Purse};
use holdback::rules::write_off::write_off;

use super::ledger::Ledger;
use super::setup::{instant, word};

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
        let others = withdrawals.map(|it| {
            let order = self.names.get(&it.id).cloned();
            (it.opened_at, it.id, order, it.left)
        });
        let mut all: Vec<_> = orders.chain(others).collect();
        all.retain(|(.., left)| !left.is_zero());
        all.sort_unstable_by_key(|(at, id, ..)| (*at, *id));
        let debts = all.into_iter();
        let debts = debts.map(|(opened_at, id, order, left)| Debt {
            id,
            order,
            opened_at,
            left,
        });
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

    /// `adjusted A1 credit 50.00 CNY [O1]`
    pub fn adjust(&mut self, at: &str, words: &[&str]) -> Result<(), String> {
        let [id, direction, amount, currency, order @ ..] = words else {
            return Err("an adjustment has an id, a direction and an amount".to_owned());
        };
        let currency = Currency::from_code(currency).ok_or("unknown currency")?;
        let order = order.first().map(|id| OrderId::parse(id).unwrap());
        let fact = Adjustment {
            merchant: MerchantId::parse("M1").unwrap(),
            adjustment: AdjustmentId::parse(id).unwrap(),
            currency,
            amount: Amount::parse(amount, currency).map_err(|error| error.to_string())?,
            direction: word(direction)?,
            order: order.clone(),
            reason: "looked".to_owned(),
            actor: "Ann".to_owned(),
            at: instant(at, &self.zone(), "12:00")?,
            content: ContentHash([0; 16]),
            traceparent: None,
        };
        let mut purse = self.purse();
        let effect = adjustment::apply(&mut purse, &fact);
        self.step.extend(effect.entries);
        if let Some(debt) = effect.debt {
            self.names
                .extend(order.clone().map(|order| (debt.id, order)));
            self.withdrawals.push(debt);
        }
        self.keep(purse);
        match order {
            Some(id) => {
                let stub = || Order::stub(fact.merchant.clone(), id.clone());
                let order = self.orders.entry(id.to_string()).or_insert_with(stub);
                order.credits.extend(effect.credit);
            }
            None => self.credits.extend(effect.credit),
        }
        Ok(())
    }

    /// `wrote_off R1 20.00`: so much of what that cause left owing.
    pub fn write_off(&mut self, at: &str, cause: &str, amount: &str) -> Result<(), String> {
        let names = &self.names;
        let own = self.orders.values_mut().flat_map(|order| {
            let id = order.id.clone();
            let receivables = order.receivables.iter_mut();
            receivables.map(move |it| (Some(id.clone()), it))
        });
        let others = self.withdrawals.iter_mut();
        let others = others.map(|it| (names.get(&it.id).cloned(), it));
        let mut all = own.chain(others);
        let (order, receivable) = all
            .find(|(_, it)| it.cause.1 == cause)
            .ok_or("nobody owes because of it")?;
        let amount = Amount::parse(amount, receivable.currency);
        let amount = amount.map_err(|error| error.to_string())?;
        let cause = format!("operation:{at}");
        let entry = write_off(receivable, order, amount, cause);
        self.step.extend(entry.map_err(|error| error.to_string())?);
        Ok(())
    }

    /// What has grown pays what is open.
    pub fn pay_debts(&mut self) {
        let mut purse = self.purse();
        self.step.extend(deposit::pay_debts(&mut purse));
        self.keep(purse);
    }
}
