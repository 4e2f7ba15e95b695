//! A merchant's deposit: money placed with the platform, which pays what the holds can't.
//!
//! Guarantees that a deposit is never below zero, and that as soon as one grows it pays the open
//! receivables, oldest first: no merchant has both for long.

use super::debt_events::ReceivableOpened;
use super::entry::{Account, DepositChanged, Direction, Entry, Event, Transfer};
use super::fact::ContentHash;
use super::ids::{MerchantId, ReceivableId, TransactionId};
use super::money::{Amount, Currency, MoneyError, less};
use super::order::Receivable;
use super::recovery::{Payer, Purse, of_purse};
use super::time::Instant;

/// `deposit.credited` or `deposit.withdrawn`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepositFact {
    pub merchant: MerchantId,
    pub transaction: TransactionId,
    pub withdrawn: bool,
    /// Above zero.
    pub amount: Amount,
    pub currency: Currency,
    pub at: Instant,
    pub content: ContentHash,
    pub traceparent: Option<String>,
}

impl DepositFact {
    /// Its type without the version, as metrics and keys name it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        if self.withdrawn {
            "deposit.withdrawn"
        } else {
            "deposit.credited"
        }
    }
}

/// What a deposit fact came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    pub entries: Vec<Entry>,
    /// What the merchant owes because they took more than there was: somebody should look.
    pub debt: Option<Receivable>,
}

/// Applies one fact.
///
/// # Errors
/// [`MoneyError::Overflow`]; the purse is then as it was.
pub fn apply(purse: &mut Purse, fact: &DepositFact) -> Result<Effect, MoneyError> {
    let cause = format!("{}:{}", fact.kind(), fact.transaction);
    let mut effect = if fact.withdrawn {
        withdraw(purse, fact, &cause)
    } else {
        purse.deposit = purse.deposit.plus(fact.amount)?;
        purse.grown_by = Some(cause.clone());
        Effect {
            entries: vec![changed(purse, fact, fact.amount, &cause)],
            debt: None,
        }
    };
    for entry in &mut effect.entries {
        entry.traceparent.clone_from(&fact.traceparent);
    }
    Ok(effect)
}

fn withdraw(purse: &mut Purse, fact: &DepositFact, cause: &str) -> Effect {
    let there = fact.amount.min(purse.deposit);
    let missing = less(fact.amount, there);
    purse.deposit = less(purse.deposit, there);
    let mut effect = Effect {
        entries: Vec::new(),
        debt: None,
    };
    if !there.is_zero() {
        effect.entries.push(changed(purse, fact, there, cause));
    }
    if !missing.is_zero() {
        let id = ReceivableId::of(&fact.merchant, "withdrawal", fact.transaction.as_str());
        let event = Event::ReceivableOpened(ReceivableOpened {
            receivable_id: id,
            amount: missing,
            refund_id: None,
            dispute_id: None,
            transaction_id: Some(fact.transaction.clone()),
            adjustment_id: None,
        });
        let moved = Transfer {
            debit: Account::Receivable,
            credit: Account::Platform,
            amount: missing,
        };
        let entry = of_purse(event, purse.currency, Some(moved), cause.to_owned());
        effect.entries.push(entry);
        effect.debt = Some(Receivable {
            id,
            currency: purse.currency,
            original: missing,
            left: missing,
            written_off: Amount::zero(purse.currency),
            opened_at: fact.at,
            cause: ("withdrawal", fact.transaction.to_string()),
        });
    }
    effect
}

fn changed(purse: &Purse, fact: &DepositFact, amount: Amount, cause: &str) -> Entry {
    let (direction, by, debit, credit) = if fact.withdrawn {
        let accounts = (Account::Deposit, Account::Platform);
        (Direction::Debit, "withdrawn", accounts.0, accounts.1)
    } else {
        let accounts = (Account::Platform, Account::Deposit);
        (Direction::Credit, "credited", accounts.0, accounts.1)
    };
    let event = Event::DepositChanged(DepositChanged {
        transaction_id: Some(fact.transaction.clone()),
        ..DepositChanged::new(amount, direction, purse.deposit, by)
    });
    let moved = Transfer {
        debit,
        credit,
        amount,
    };
    of_purse(event, purse.currency, Some(moved), cause.to_owned())
}

/// After a deposit grew: pays the merchant's open receivables out of it. The transfers stand with
/// the receivables; one `deposit.changed` says what is left.
#[must_use]
pub fn pay_debts(purse: &mut Purse) -> Vec<Entry> {
    let Some(grown_by) = purse.grown_by.take() else {
        return Vec::new();
    };
    let recoveries = purse.pay(purse.deposit);
    let before = purse.deposit;
    let after = recoveries
        .iter()
        .fold(before, |rest, it| less(rest, it.amount));
    purse.deposit = after;
    let cause = format!("deposit:{grown_by}");
    let currency = purse.currency;
    let mut entries: Vec<Entry> = recoveries
        .into_iter()
        .map(|it| it.entry(Payer::Deposit, Account::Deposit, currency, &cause))
        .collect();
    if !entries.is_empty() {
        let paid = less(before, after);
        let changed = DepositChanged::new(paid, Direction::Debit, after, "recovery");
        let event = Event::DepositChanged(changed);
        entries.push(of_purse(event, currency, None, cause));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_payment_is_told_under_its_kind_with_its_transaction() {
        for (withdrawn, kind) in [(false, "deposit.credited"), (true, "deposit.withdrawn")] {
            let currency: Currency = Currency::from_code("EUR").unwrap();
            let fact = DepositFact {
                merchant: MerchantId::parse("M-1").unwrap(),
                transaction: TransactionId::parse("T-1").unwrap(),
                withdrawn,
                amount: Amount::from_plain(5.into(), currency).unwrap(),
                currency,
                at: Instant::MAX,
                content: ContentHash([0; 16]),
                traceparent: None,
            };
            let mut purse = Purse {
                deposit: Amount::from_plain(7.into(), currency).unwrap(),
                ..Purse::empty(currency)
            };
            let effect = apply(&mut purse, &fact).unwrap();
            let [entry] = &effect.entries[..] else {
                panic!("{:?}", effect.entries);
            };
            assert_eq!(entry.cause, format!("{kind}:T-1"));
            let Event::DepositChanged(changed) = &entry.event else {
                panic!("{entry:?}");
            };
            assert_eq!(changed.transaction_id, Some(fact.transaction));
        }
    }
}
