//! A correction of what a merchant has, posted by the platform's staff: a debit takes the deposit and
//! then is owed; a credit pays what is owed and then is released.
//!
//! Guarantees that a credit pays the oldest debts first and in full before anything of it is the
//! merchant's to have.

use super::debt_events::{CreditOpened, ReceivableOpened};
use super::entry::{Account, DepositChanged, Direction, Entry, Event, Transfer};
use super::fact::ContentHash;
use super::ids::{AdjustmentId, CreditId, MerchantId, OrderId, ReceivableId};
use super::money::{Amount, Currency, less};
use super::order::Receivable;
use super::recovery::{Credit, Debt, Payer, Purse, of_purse};
use super::time::Instant;

/// `adjustment.posted`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjustment {
    pub merchant: MerchantId,
    pub adjustment: AdjustmentId,
    pub currency: Currency,
    /// Above zero.
    pub amount: Amount,
    /// Of the merchant: a credit is for them.
    pub direction: Direction,
    /// The order that it is about, for people and books. Its holds have no part in it.
    pub order: Option<OrderId>,
    pub reason: String,
    pub actor: String,
    pub at: Instant,
    pub content: ContentHash,
    pub traceparent: Option<String>,
}

impl Adjustment {
    /// Its type without the version, as metrics and keys name it.
    pub const KIND: &str = "adjustment.posted";
}

/// What an adjustment came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    pub entries: Vec<Entry>,
    /// What the deposit could not pay. It is among the purse's debts.
    pub debt: Option<Receivable>,
    /// What is left when the debts are paid.
    pub credit: Option<Credit>,
}

/// Applies one adjustment to a purse with as many debts as its amount can pay.
#[must_use]
pub fn apply(purse: &mut Purse, fact: &Adjustment) -> Effect {
    let mut effect = match fact.direction {
        Direction::Debit => debit(purse, fact),
        Direction::Credit => credit(purse, fact),
    };
    for entry in &mut effect.entries {
        entry.traceparent.clone_from(&fact.traceparent);
    }
    effect
}

fn cause(fact: &Adjustment) -> String {
    format!("{}:{}", Adjustment::KIND, fact.adjustment)
}

fn entry(
    fact: &Adjustment,
    event: Event,
    debit: Account,
    credit: Account,
    amount: Amount,
) -> Entry {
    let moved = Transfer {
        debit,
        credit,
        amount,
    };
    Entry {
        order: fact.order.clone(),
        ..of_purse(event, fact.currency, Some(moved), cause(fact))
    }
}

fn debit(purse: &mut Purse, fact: &Adjustment) -> Effect {
    let there = fact.amount.min(purse.deposit);
    let missing = less(fact.amount, there);
    purse.deposit = less(purse.deposit, there);
    let mut entries = Vec::new();
    if !there.is_zero() {
        let event = Event::DepositChanged(DepositChanged {
            adjustment_id: Some(fact.adjustment.clone()),
            ..DepositChanged::new(there, Direction::Debit, purse.deposit, "adjustment")
        });
        let (from, to) = (Account::Deposit, Account::Platform);
        entries.push(entry(fact, event, from, to, there));
    }
    let debt = (!missing.is_zero()).then(|| {
        let id = ReceivableId::of(&fact.merchant, "adjustment", fact.adjustment.as_str());
        let event = Event::ReceivableOpened(ReceivableOpened {
            receivable_id: id,
            amount: missing,
            refund_id: None,
            dispute_id: None,
            transaction_id: None,
            adjustment_id: Some(fact.adjustment.clone()),
        });
        let (from, to) = (Account::Receivable, Account::Platform);
        entries.push(entry(fact, event, from, to, missing));
        purse.owe(Debt {
            id,
            order: fact.order.clone(),
            opened_at: fact.at,
            left: missing,
        });
        Receivable {
            id,
            currency: fact.currency,
            original: missing,
            left: missing,
            written_off: Amount::zero(fact.currency),
            opened_at: fact.at,
            cause: ("adjustment", fact.adjustment.to_string()),
        }
    });
    Effect {
        entries,
        debt,
        credit: None,
    }
}

fn credit(purse: &mut Purse, fact: &Adjustment) -> Effect {
    let recoveries = purse.pay(fact.amount);
    let paid = recoveries.iter();
    let rest = paid.fold(fact.amount, |rest, it| less(rest, it.amount));
    let payer = Payer::Adjustment(&fact.adjustment);
    let cause = cause(fact);
    let recoveries = recoveries.into_iter();
    let mut entries: Vec<Entry> = recoveries
        .map(|it| it.entry(payer, Account::Platform, fact.currency, &cause))
        .collect();
    let credit = (!rest.is_zero()).then(|| {
        let id = CreditId::of(&fact.merchant, &cause);
        let event = Event::CreditOpened(CreditOpened {
            credit_id: id,
            amount: rest,
            by: "adjustment",
            adjustment_id: Some(fact.adjustment.clone()),
        });
        let (from, to) = (Account::Platform, Account::Held);
        entries.push(entry(fact, event, from, to, rest));
        Credit {
            id,
            order: fact.order.clone(),
            currency: fact.currency,
            amount: rest,
            opened_at: fact.at,
            traceparent: fact.traceparent.clone(),
        }
    });
    Effect {
        entries,
        debt: None,
        credit,
    }
}
