//! A credit of which another sum was released than it has: what was released stands as it was, and the
//! difference stays between merchant and platform.
//!
//! Guarantees that the merchant's net position is what it would be had the credit's own sum been released.

use super::debt_events::{CreditOpened, ReceivableOpened};
use super::entry::{Account, Entry, Event, ReleaseIssued, Transfer};
use super::ids::{CreditId, MerchantId, OrderId, ReceivableId};
use super::money::{Amount, Currency, less};
use super::order::Receivable;
use super::recovery::{Credit, of_purse};
use super::time::Instant;

/// What released more, or less, than a credit has.
#[derive(Debug, Clone)]
pub struct Released {
    pub merchant: MerchantId,
    pub order: Option<OrderId>,
    pub currency: Currency,
    pub release: ReleaseIssued,
}

/// What makes up for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MadeUp {
    pub entries: Vec<Entry>,
    /// What was released too much.
    pub debt: Option<Receivable>,
    /// What was released too little.
    pub rest: Option<Credit>,
}

/// Of a credit that is there, or of none, this was released.
#[must_use]
pub fn make_up(credit: Option<&Credit>, of: &Released, now: Instant) -> MadeUp {
    let nothing = Amount::zero(of.currency);
    let there = credit.map_or(nothing, |credit| credit.amount);
    let gross = of.release.gross;
    let (owed, kept) = (less(gross, there), less(there, gross));
    let mut made_up = MadeUp::default();
    if !owed.is_zero() {
        owe(&mut made_up, of, owed, now);
    }
    if !kept.is_zero() {
        keep(&mut made_up, of, kept, now);
    }
    made_up
}

/// The kind of cause of a debt that was released too much.
const RECONCILED: &str = "reconcile";

fn owe(made_up: &mut MadeUp, of: &Released, amount: Amount, now: Instant) {
    let cause = of.release.release_id.to_string();
    let id = ReceivableId::of(&of.merchant, RECONCILED, &cause);
    let event = Event::ReceivableOpened(ReceivableOpened {
        receivable_id: id,
        amount,
        refund_id: None,
        dispute_id: None,
        transaction_id: None,
        adjustment_id: None,
    });
    let moved = Transfer {
        debit: Account::Receivable,
        credit: Account::Held,
        amount,
    };
    made_up.entries.push(of.entry(event, Some(moved)));
    made_up.debt = Some(Receivable {
        id,
        currency: of.currency,
        original: amount,
        left: amount,
        written_off: less(amount, amount),
        opened_at: now,
        cause: (RECONCILED, cause),
    });
}

/// The money is held already.
fn keep(made_up: &mut MadeUp, of: &Released, amount: Amount, now: Instant) {
    let id = CreditId::of(&of.merchant, &of.cause());
    let event = Event::CreditOpened(CreditOpened {
        credit_id: id,
        amount,
        by: RECONCILED,
        adjustment_id: None,
    });
    made_up.entries.push(of.entry(event, None));
    made_up.rest = Some(Credit {
        id,
        order: of.order.clone(),
        currency: of.currency,
        amount,
        opened_at: now,
        traceparent: None,
    });
}

impl Released {
    fn cause(&self) -> String {
        format!("{RECONCILED}:{}", self.release.release_id)
    }

    fn entry(&self, event: Event, moved: Option<Transfer>) -> Entry {
        Entry {
            order: self.order.clone(),
            ..of_purse(event, self.currency, moved, self.cause())
        }
    }
}
