//! Payout results: what the payout system says of a release.

use super::entry::{Account, Entry, Event, PayoutSettled, Transfer};
use super::fact::PayoutResult;
use super::ids::{HoldId, MerchantId, OrderId, ReleaseId};
use super::money::{Amount, Currency};
use super::time::Instant;

/// A release as the payout side sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payout {
    pub merchant: MerchantId,
    pub release: ReleaseId,
    pub order: Option<OrderId>,
    pub hold: Option<HoldId>,
    pub currency: Currency,
    pub amount: Amount,
    /// The current attempt, from 1.
    pub attempt: u32,
    pub state: PayoutState,
    pub at: Option<Instant>,
}

/// Where the money is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum PayoutState {
    Issued = 1,
    Paid = 2,
    Failed = 3,
}

/// Applies a result to one release. Results of another attempt than the current, and results
/// that are not newer than a contrary one, change nothing.
pub fn apply(payout: &mut Payout, result: &PayoutResult) -> Vec<Entry> {
    if result.attempt != payout.attempt {
        return Vec::new();
    }
    let says = if result.paid {
        PayoutState::Paid
    } else {
        PayoutState::Failed
    };
    if payout.state == says {
        // A repetition by another message: it stands against contrary results up to its own time.
        payout.at = payout.at.max(Some(result.at));
        return Vec::new();
    }
    if payout.at.is_some_and(|at| result.at <= at) {
        return Vec::new();
    }
    let (outcome, movement) = match (payout.state, result.paid) {
        (_, true) => ("paid", Some((Account::Payable, Account::Paid))),
        (PayoutState::Paid, false) => ("returned", Some((Account::Paid, Account::Payable))),
        (PayoutState::Issued | PayoutState::Failed, false) => ("failed", None),
    };
    payout.state = says;
    payout.at = Some(result.at);
    vec![settled(payout, result, outcome, movement)]
}

fn settled(
    payout: &Payout,
    result: &PayoutResult,
    outcome: &'static str,
    movement: Option<(Account, Account)>,
) -> Entry {
    let amount = payout.amount;
    let kind = if result.paid { "paid" } else { "failed" };
    Entry {
        event: Event::PayoutSettled(PayoutSettled {
            release_id: payout.release,
            attempt: result.attempt,
            result: outcome,
            amount,
            at: result.at,
        }),
        order: payout.order.clone(),
        hold: payout.hold,
        currency: Some(payout.currency),
        transfer: movement
            .filter(|_| !amount.is_zero())
            .map(|(debit, credit)| Transfer {
                debit,
                credit,
                amount,
            }),
        // The time tells a second paid, after the money had come back, from the first.
        cause: format!("attempt:{}:{kind}:{}", result.attempt, result.at),
        traceparent: result.traceparent.clone(),
    }
}
