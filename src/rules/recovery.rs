//! Debts and credits of a merchant meet what is released: open receivables are paid first, oldest
//! first, and what was taken from the merchant and is theirs again goes out as a release.
//!
//! Guarantees that a release pays no more than it has, and no debt more than is open.

use super::agreement::DepositTerms;
use super::entry::{
    Account, DepositChanged, Direction, Entry, Event, ReceivableRecovered, ReleaseIssued,
    ReleaseReason, Transfer,
};
use super::ids::{AdjustmentId, CreditId, OrderId, ReceivableId, ReleaseId};
use super::money::{Amount, Currency, less};
use super::time::Instant;

/// An open receivable, as far as a recovery goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debt {
    pub id: ReceivableId,
    /// The order whose refund or dispute opened it, or that its adjustment names.
    pub order: Option<OrderId>,
    pub opened_at: Instant,
    pub left: Amount,
}

/// Money of the merchant's that belongs to no hold: it is released as soon as the gate lets it.
/// Until then it stands in the account `held`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credit {
    pub id: CreditId,
    pub order: Option<OrderId>,
    pub currency: Currency,
    pub amount: Amount,
    /// When it became the merchant's, by the fact; never released before.
    pub opened_at: Instant,
    pub traceparent: Option<String>,
}

/// One debt paid, in whole or in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recovery {
    receivable: ReceivableId,
    order: Option<OrderId>,
    pub(super) amount: Amount,
    left: Amount,
}

/// What pays debts, and out of which it is said.
#[derive(Debug, Clone, Copy)]
pub(super) enum Payer<'a> {
    Release(ReleaseId),
    Deposit,
    Adjustment(&'a AdjustmentId),
}

/// A merchant's money in one currency, as far as it lies in no hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purse {
    pub currency: Currency,
    pub deposit: Amount,
    /// Open receivables, oldest first, as many as somebody may pay.
    pub debts: Vec<Debt>,
    /// What let the deposit grow last, unless its debts were paid since.
    pub grown_by: Option<String>,
}

impl Purse {
    /// Without deposit or debts.
    #[must_use]
    pub fn empty(currency: Currency) -> Self {
        Self {
            currency,
            deposit: Amount::zero(currency),
            debts: Vec::new(),
            grown_by: None,
        }
    }

    /// Adds an open receivable to the debts, at its place by age.
    pub fn owe(&mut self, debt: Debt) {
        let age = |debt: &Debt| (debt.opened_at, debt.id);
        let place = self.debts.partition_point(|it| age(it) < age(&debt));
        self.debts.insert(place, debt);
    }

    /// Pays the debts out of at most `amount`; answers what was paid, oldest first.
    pub(super) fn pay(&mut self, amount: Amount) -> Vec<Recovery> {
        let mut rest = amount;
        let mut recoveries = Vec::new();
        for debt in &mut self.debts {
            let paid = rest.min(debt.left);
            if paid.is_zero() {
                continue;
            }
            debt.left = less(debt.left, paid);
            rest = less(rest, paid);
            recoveries.push(Recovery {
                receivable: debt.id,
                order: debt.order.clone(),
                amount: paid,
                left: debt.left,
            });
        }
        recoveries
    }

    /// Pays debts and tops the deposit up out of a release's gross.
    pub(super) fn cut(&mut self, gross: Amount, terms: Option<&DepositTerms>) -> Cuts {
        let recoveries = self.pay(gross);
        let rest = recoveries
            .iter()
            .fold(gross, |rest, it| less(rest, it.amount));
        let zero = Amount::zero(self.currency);
        let wanted = terms.map_or(zero, |terms| {
            let required = Amount::from_plain(terms.required, self.currency);
            let share = gross.share_bps(terms.top_up_bps);
            match (required, share) {
                (Ok(required), Ok(share)) => share.min(less(required, self.deposit)),
                // No such sum exists: nothing is taken.
                _ => zero,
            }
        });
        let to_deposit = wanted.min(rest);
        // At most `required`, which is a sum.
        self.deposit = self.deposit.plus(to_deposit).unwrap_or(self.deposit);
        Cuts {
            recovered: less(gross, rest),
            to_deposit,
            amount: less(rest, to_deposit),
            deposit: self.deposit,
            recoveries,
        }
    }
}

/// What a release takes out of its gross before the merchant gets the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cuts {
    pub(super) recovered: Amount,
    pub(super) to_deposit: Amount,
    /// Gross less what was recovered and what went to the deposit.
    pub(super) amount: Amount,
    deposit: Amount,
    recoveries: Vec<Recovery>,
}

impl Cuts {
    /// Says each debt that was paid (`receivable.recovered`, payable → receivable) and what went to
    /// the deposit (`deposit.changed`, payable → deposit).
    pub(super) fn entries(
        self,
        release: ReleaseId,
        currency: Currency,
        traceparent: Option<&String>,
    ) -> Vec<Entry> {
        let cause = format!("release:{release}");
        let to_deposit = self.to_deposit;
        let mut entries: Vec<Entry> = self
            .recoveries
            .into_iter()
            .map(|it| it.entry(Payer::Release(release), Account::Payable, currency, &cause))
            .collect();
        if !to_deposit.is_zero() {
            let event = Event::DepositChanged(DepositChanged {
                release_id: Some(release),
                ..DepositChanged::new(to_deposit, Direction::Credit, self.deposit, "top_up")
            });
            let moved = Transfer {
                debit: Account::Payable,
                credit: Account::Deposit,
                amount: to_deposit,
            };
            entries.push(of_purse(event, currency, Some(moved), cause));
        }
        for entry in &mut entries {
            entry.traceparent = traceparent.cloned();
        }
        entries
    }
}

impl Recovery {
    /// `receivable.recovered`, out of that account.
    pub(super) fn entry(
        self,
        payer: Payer<'_>,
        debit: Account,
        currency: Currency,
        cause: &str,
    ) -> Entry {
        let (by, release_id, adjustment_id) = match payer {
            Payer::Release(id) => ("release", Some(id), None),
            Payer::Deposit => ("deposit", None, None),
            Payer::Adjustment(id) => ("adjustment", None, Some(id.clone())),
        };
        let event = Event::ReceivableRecovered(ReceivableRecovered {
            receivable_id: self.receivable,
            amount: self.amount,
            left: self.left,
            by,
            release_id,
            adjustment_id,
        });
        let moved = Transfer {
            debit,
            credit: Account::Receivable,
            amount: self.amount,
        };
        Entry {
            order: self.order,
            ..of_purse(event, currency, Some(moved), cause.to_owned())
        }
    }
}

/// An entry about a merchant's money in one currency, of no order.
pub(super) fn of_purse(
    event: Event,
    currency: Currency,
    transfer: Option<Transfer>,
    cause: String,
) -> Entry {
    Entry {
        event,
        order: None,
        hold: None,
        currency: Some(currency),
        transfer,
        cause,
        traceparent: None,
    }
}

/// Releases a credit: `release.issued` of reason `adjustment`, outside of any settlement, and the
/// debts that it pays.
#[must_use]
pub fn issue_credit(credit: &Credit, purse: &mut Purse, now: Instant) -> Vec<Entry> {
    let release_id = ReleaseId::of_credit(credit.id);
    let cuts = purse.cut(credit.amount, None);
    let attempt = 1;
    let event = Event::ReleaseIssued(ReleaseIssued {
        release_id,
        attempt,
        gross: credit.amount,
        recovered: cuts.recovered,
        to_deposit: cuts.to_deposit,
        amount: cuts.amount,
        settlement_id: None,
        settlement_part: None,
        settlement_date: None,
        reason: ReleaseReason::Adjustment,
        issued_at: now,
    });
    let mut entries = vec![Entry {
        event,
        order: credit.order.clone(),
        hold: None,
        currency: Some(credit.currency),
        transfer: Some(Transfer {
            debit: Account::Held,
            credit: Account::Payable,
            amount: credit.amount,
        }),
        cause: attempt.to_string(),
        traceparent: credit.traceparent.clone(),
    }];
    entries.extend(cuts.entries(release_id, credit.currency, credit.traceparent.as_ref()));
    entries
}
