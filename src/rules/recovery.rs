//! Debts and credits of a merchant meet what is released: open receivables are paid first, oldest
//! first, and what was taken from the merchant and is theirs again goes out as a release.
//!
//! Guarantees that a release pays no more than it has, and no debt more than is open.

use super::entry::{
    Account, Entry, Event, ReceivableRecovered, ReleaseIssued, ReleaseReason, Transfer,
};
use super::ids::{CreditId, OrderId, ReceivableId, ReleaseId};
use super::money::{Amount, Currency, less};
use super::time::Instant;

/// An open receivable, as far as a recovery goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debt {
    pub id: ReceivableId,
    pub order: Option<OrderId>,
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
    pub traceparent: Option<String>,
}

/// One debt paid, in whole or in part.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Recovery {
    receivable: ReceivableId,
    order: Option<OrderId>,
    amount: Amount,
    left: Amount,
}

/// What a release takes out of its gross before the merchant gets the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cuts {
    pub(super) recovered: Amount,
    /// Gross less what was recovered.
    pub(super) amount: Amount,
    recoveries: Vec<Recovery>,
}

impl Cuts {
    /// Pays the debts of the release's merchant and currency out of `gross`, in the order in which
    /// they are given.
    pub(super) fn of(gross: Amount, debts: &mut [Debt]) -> Self {
        let mut amount = gross;
        let mut recoveries = Vec::new();
        for debt in debts {
            let paid = amount.min(debt.left);
            if paid.is_zero() {
                continue;
            }
            debt.left = less(debt.left, paid);
            amount = less(amount, paid);
            recoveries.push(Recovery {
                receivable: debt.id,
                order: debt.order.clone(),
                amount: paid,
                left: debt.left,
            });
        }
        Self {
            recovered: less(gross, amount),
            amount,
            recoveries,
        }
    }

    /// Says each debt that was paid: `receivable.recovered`, payable → receivable.
    pub(super) fn entries(
        self,
        release: ReleaseId,
        currency: Currency,
        traceparent: Option<&String>,
    ) -> impl Iterator<Item = Entry> {
        self.recoveries.into_iter().map(move |it| Entry {
            event: Event::ReceivableRecovered(ReceivableRecovered {
                receivable_id: it.receivable,
                amount: it.amount,
                left: it.left,
                by: "release",
                release_id: Some(release),
            }),
            order: it.order,
            hold: None,
            currency: Some(currency),
            transfer: Some(Transfer {
                debit: Account::Payable,
                credit: Account::Receivable,
                amount: it.amount,
            }),
            cause: format!("release:{release}"),
            traceparent: traceparent.cloned(),
        })
    }
}

/// Releases a credit: `release.issued` of reason `adjustment`, outside of any settlement, and the
/// debts that it pays.
#[must_use]
pub fn issue_credit(credit: &Credit, debts: &mut [Debt], now: Instant) -> Vec<Entry> {
    let release_id = ReleaseId::of_credit(credit.id);
    let cuts = Cuts::of(credit.amount, debts);
    let attempt = 1;
    let event = Event::ReleaseIssued(ReleaseIssued {
        release_id,
        attempt,
        gross: credit.amount,
        recovered: cuts.recovered,
        to_deposit: Amount::zero(credit.currency),
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
