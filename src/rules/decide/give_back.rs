//! Money that a refund or lost chargeback had taken and that comes back: because the order is
//! cancelled, or because the chargeback turned out smaller after it was charged.

use super::super::agreement::RefundSource;
use super::super::entry::{
    Account, Event, HoldRestored, ReceivableRecovered, RefundApplied, Transfer,
};
use super::super::money::{Amount, MoneyError, less};
use super::super::order::Order;
use super::charge::{self, Cause, Charge, Claim};
use super::{Step, Terms, sale, transfer};

/// Of what a cancellation reversed, pays what this order's refunds had opened as receivables.
pub(super) fn by_cancellation(step: &mut Step<'_>, terms: &Terms) -> Result<(), MoneyError> {
    let reversed = charge::reversed(step.order, &terms.sale)?;
    for (cause, amount) in repay(step, reversed, "cancellation", Account::Proceeds) {
        let record = charge::charges(step.order).find(|(of, _)| *of == cause);
        if let Some((_, record)) = record {
            *record.from_receivable = less(*record.from_receivable, amount);
            *record.from_reversed = record.from_reversed.plus(amount)?;
        }
    }
    Ok(())
}

/// Gives back what a lost chargeback no longer claims, in the reverse order of the sources, so
/// that the holds and receivables are as if it had claimed the lower sum at once.
pub(super) fn by_dispute(
    step: &mut Step<'_>,
    terms: &Terms,
    amount: Amount,
    claim: &Claim<'_>,
) -> Result<(), MoneyError> {
    let proportional = terms.agreement.refund.source == RefundSource::Proportional;
    let mut holds = vec![Amount::zero(terms.sale.currency); step.order.holds.len()];
    let mut rest = amount;
    if proportional && step.order.cancelled.is_none() {
        for (position, share) in charge::shares(step.order, terms)?.into_iter().enumerate() {
            let back = less(step.order.holds[position].consumed, share).min(rest);
            holds[position] = back;
            rest = less(rest, back);
        }
    }
    for (_, repaid) in repay(step, rest, "dispute", Account::Refunded) {
        rest = less(rest, repaid);
        lower(step.order, claim, repaid, |charge| charge.from_receivable);
    }
    for position in (0..holds.len()).rev() {
        let back = less(step.order.holds[position].consumed, holds[position]).min(rest);
        holds[position] = holds[position].plus(back)?;
        rest = less(rest, back);
    }
    for (position, back) in holds.into_iter().enumerate() {
        restore(step, position, back, claim);
    }
    lower(step.order, claim, rest, |charge| charge.from_reversed);
    let event = Event::RefundApplied(RefundApplied {
        refund_id: None,
        dispute_id: claim.dispute.cloned(),
        amount: claim.amount,
        charged: Amount::zero(terms.sale.currency),
        sources: Vec::new(),
    });
    step.say(
        None,
        event,
        transfer(Account::Refunded, Account::Proceeds, rest),
    );
    if step.order.cancelled.is_some() {
        sale::reverse(step);
    }
    Ok(())
}

fn restore(step: &mut Step<'_>, position: usize, amount: Amount, claim: &Claim<'_>) {
    let (false, Some(dispute)) = (amount.is_zero(), claim.dispute) else {
        return;
    };
    let hold = &mut step.order.holds[position];
    hold.restore(amount);
    let event = Event::HoldRestored(HoldRestored {
        amount,
        left: hold.left,
        dispute_id: dispute.clone(),
    });
    let moved = transfer(Account::Refunded, Account::Held, amount);
    step.say(Some(position), event, moved);
    lower(step.order, claim, amount, |charge| charge.from_holds);
}

/// Pays the order's receivables, oldest first, out of at most `amount`; answers whose were paid.
fn repay(
    step: &mut Step<'_>,
    amount: Amount,
    by: &'static str,
    debit: Account,
) -> Vec<(Cause, Amount)> {
    let mut rest = amount;
    let mut repaid = Vec::new();
    for position in 0..step.order.receivables.len() {
        let receivable = &mut step.order.receivables[position];
        let amount = rest.min(receivable.left);
        if amount.is_zero() {
            continue;
        }
        receivable.left = less(receivable.left, amount);
        rest = less(rest, amount);
        repaid.push((receivable.cause.clone(), amount));
        let event = Event::ReceivableRecovered(ReceivableRecovered {
            receivable_id: receivable.id,
            amount,
            left: receivable.left,
            by,
        });
        let credit = Account::Receivable;
        let moved = Transfer {
            debit,
            credit,
            amount,
        };
        step.say(None, event, Some(moved));
    }
    repaid
}

/// Takes a sum off one source of the charges on record, the claim's own first.
fn lower(
    order: &mut Order,
    claim: &Claim<'_>,
    amount: Amount,
    source: impl for<'a> Fn(&'a mut Charge<'_>) -> &'a mut Amount,
) {
    let own = claim.cause();
    let mut records: Vec<_> = charge::charges(order).collect();
    records.sort_by_key(|(cause, _)| *cause != own);
    let mut rest = amount;
    for (_, record) in &mut records {
        let source = source(record);
        let off = rest.min(*source);
        *source = less(*source, off);
        *record.charged = less(*record.charged, off);
        rest = less(rest, off);
    }
}
