//! Refunds and lost chargebacks: what they charge the merchant together, and out of which money.
//!
//! The sum that an order's refunds and lost chargebacks may have charged by now is a function of
//! all of them (see [`charged`]); each fact charges the difference that it makes.

use super::super::agreement::{Excess, Free, RefundFees};
use super::super::entry::{Account, Event, RefundApplied, Source, SourceKind};
use super::super::fact::{Completed, ContentHash, RefundReversed, Refunded};
use super::super::ids::{DisputeId, RefundId};
use super::super::money::{Amount, Currency, MoneyError, less};
use super::super::order::{Dispute, Noted, Order, Refund};
use super::super::time::Instant;
use super::sources::{owe, take_from_deposit, take_from_holds};
use super::{Refusal, Step, Terms, block, give_back, transfer};

/// A refund or lost chargeback, as far as its charge goes.
pub(super) struct Claim<'a> {
    pub(super) refund: Option<&'a RefundId>,
    pub(super) dispute: Option<&'a DisputeId>,
    pub(super) amount: Amount,
    pub(super) at: Instant,
}

/// How one charge was paid, and where an order keeps that.
pub(super) struct Charge<'a> {
    pub(super) charged: &'a mut Amount,
    pub(super) from_reversed: &'a mut Amount,
    pub(super) from_holds: &'a mut Amount,
    pub(super) from_deposit: &'a mut Amount,
    pub(super) from_receivable: &'a mut Amount,
}

impl<'a> Charge<'a> {
    fn of_refund(it: &'a mut Refund) -> Self {
        Self {
            charged: &mut it.charged,
            from_reversed: &mut it.from_reversed,
            from_holds: &mut it.from_holds,
            from_deposit: &mut it.from_deposit,
            from_receivable: &mut it.from_receivable,
        }
    }

    fn of_dispute(it: &'a mut Dispute) -> Self {
        Self {
            charged: &mut it.charged,
            from_reversed: &mut it.from_reversed,
            from_holds: &mut it.from_holds,
            from_deposit: &mut it.from_deposit,
            from_receivable: &mut it.from_receivable,
        }
    }
}

/// Adds to the order's refunds, and changes none that was there.
pub(super) fn refund(
    step: &mut Step<'_>,
    terms: &Terms,
    it: &Refunded,
    content: ContentHash,
) -> Result<(), Refusal> {
    let sale = &terms.sale;
    if it.currency != sale.currency {
        let (refund, order) = (it.currency, sale.currency);
        return Err(Refusal::Mismatch(format!(
            "the refund is in {refund}, its order in {order}"
        )));
    }
    let before = step.before();
    let by = block::By::named(step.order, it.dispute.as_ref());
    step.order.count_refunds(sale.currency)?;
    step.order.refunds.push(Refund::of(it, content));
    if step.order.refunded(sale.currency)? > sale.amount {
        match terms.agreement.refund.excess {
            Excess::Reject => return Err(Refusal::RefundExceedsOrder),
            Excess::Receivable => step.alarms.push("refund_excess_to_receivable"),
        }
    }
    let claim = Claim {
        refund: Some(&it.refund),
        dispute: it.dispute.as_ref(),
        amount: it.amount,
        at: it.at,
    };
    let more = less(
        charged(step.order, terms)?,
        charged_so_far(step.order, sale.currency)?,
    );
    take(step, terms, more, &claim)?;
    block::renew(step, terms, &before, by, Some(it.at));
    Ok(())
}

impl Refund {
    /// Of which nothing is charged yet.
    pub(super) fn of(it: &Refunded, content: ContentHash) -> Self {
        let zero = Amount::zero(it.currency);
        Self {
            id: it.refund.clone(),
            amount: it.amount,
            at: it.at,
            dispute: it.dispute.clone(),
            content,
            charged: zero,
            from_reversed: zero,
            from_holds: zero,
            from_deposit: zero,
            from_receivable: zero,
            reversed: None,
        }
    }
}

/// A refund that did not go through claims nothing any more.
pub(super) fn reverse_refund(
    step: &mut Step<'_>,
    terms: &Terms,
    it: &RefundReversed,
    content: ContentHash,
) -> Result<(), Refusal> {
    let before = step.before();
    let (claim, dispute) = note_reversal(step.order, it, content);
    let too_much = less(
        charged_so_far(step.order, terms.sale.currency)?,
        charged(step.order, terms)?,
    );
    let shares = give_back::beyond_their_shares(step.order, terms, too_much)?;
    give_back::by_reversal(step, terms.sale.currency, shares, too_much, &claim)?;
    let by = block::By::named(step.order, dispute.as_ref());
    block::renew(step, terms, &before, by, Some(it.at));
    Ok(())
}

/// Notes on a refund's record that it did not go through; the dispute that it named.
pub(super) fn note_reversal<'a>(
    order: &mut Order,
    it: &'a RefundReversed,
    content: ContentHash,
) -> (Claim<'a>, Option<DisputeId>) {
    order.forget_sums();
    let mut refunds = order.refunds.iter_mut();
    let found = refunds.find(|refund| refund.id == it.refund);
    let refund = found.expect("a reversal is parked until its refund is on record");
    refund.reversed = Some(Noted {
        value: it.at,
        content,
    });
    let claim = Claim {
        refund: Some(&it.refund),
        dispute: None,
        amount: refund.amount,
        at: it.at,
    };
    (claim, refund.dispute.clone())
}

/// After a dispute was closed, or changed when it was: charges what a lost chargeback adds, or
/// gives back what it no longer claims.
pub(super) fn dispute(
    step: &mut Step<'_>,
    terms: &Terms,
    id: &DisputeId,
    at: Instant,
) -> Result<(), Refusal> {
    let sale = &terms.sale;
    let zero = Amount::zero(sale.currency);
    let found = step.order.dispute(id);
    let amount = found.map_or(zero, |dispute| dispute.lost_chargeback(sale.amount));
    let due = charged(step.order, terms)?;
    let so_far = charged_so_far(step.order, sale.currency)?;
    if amount.is_zero() && due == so_far {
        return Ok(());
    }
    if step.order.debt(sale)? > sale.amount {
        step.alarms.push("chargeback_exceeds_order");
    }
    let claim = Claim {
        refund: None,
        dispute: Some(id),
        amount,
        at,
    };
    if due < so_far {
        give_back::by_dispute(step, terms, less(so_far, due), &claim)?;
        return Ok(());
    }
    take(step, terms, less(due, so_far), &claim)?;
    Ok(())
}

/// What the refunds and lost chargebacks of an order charge its merchant in all: for their debt up
/// to the order's amount see [`covered`]; beyond it, all of it.
fn charged(order: &Order, terms: &Terms) -> Result<Amount, MoneyError> {
    let debt = order.debt(&terms.sale)?;
    let within = debt.min(terms.sale.amount);
    covered(order, terms, within)?.plus(less(debt, within))
}

/// What a debt within the order's amount charges: less returned fees, at most the held share when
/// the free part is outside. It never falls when the debt grows.
fn covered(order: &Order, terms: &Terms, debt: Amount) -> Result<Amount, MoneyError> {
    let sale = &terms.sale;
    let mut charged = debt;
    if terms.agreement.refund.fees == RefundFees::Returned {
        charged = less(charged, sale.fees.proportion(debt, sale.amount)?);
    }
    if terms.agreement.refund.free == Free::Outside {
        let share = original(order, sale)?.proportion(debt, sale.amount)?;
        charged = charged.min(share);
    }
    Ok(charged)
}

/// What each hold should have given by now when refunds are paid proportionally. With returned
/// fees the proportion is that of what is charged, so that no source ever falls when the debt
/// grows: rounding fees and holds apart would make a cent depend on the order of arrival.
pub(super) fn shares(order: &Order, terms: &Terms) -> Result<Vec<Amount>, MoneyError> {
    let sale = &terms.sale;
    let debt = order.debt(sale)?.min(sale.amount);
    let original = original(order, sale)?;
    let together = if original.is_zero() {
        original
    } else {
        let whole = covered(order, terms, sale.amount)?;
        original.proportion(covered(order, terms, debt)?, whole)?
    };
    let weights: Vec<Amount> = order.holds.iter().map(|hold| hold.original).collect();
    together.split_steadily(&weights)
}

fn original(order: &Order, sale: &Completed) -> Result<Amount, MoneyError> {
    Amount::sum(sale.currency, order.holds.iter().map(|hold| hold.original))
}

pub(super) fn charged_so_far(order: &Order, currency: Currency) -> Result<Amount, MoneyError> {
    let refunds = order.charged_by_refunds(currency)?;
    let disputes = order.disputes.iter().map(|dispute| dispute.charged);
    Amount::sum(currency, disputes)?.plus(refunds)
}

/// What a cancellation reversed and no refund has met yet.
pub(super) fn reversed(order: &Order, sale: &Completed) -> Result<Amount, MoneyError> {
    let reversed = Amount::sum(sale.currency, order.holds.iter().map(|hold| hold.reversed))?;
    let refunds = order.met_by_refunds(sale.currency)?;
    let disputes = order.disputes.iter().map(|dispute| dispute.from_reversed);
    let met = Amount::sum(sale.currency, disputes)?.plus(refunds)?;
    Ok(less(reversed, met))
}

/// The records of all charges of an order.
pub(super) fn charges(order: &mut Order) -> impl Iterator<Item = (Cause, Charge<'_>)> {
    order.forget_sums();
    let refunds = order.refunds.iter_mut();
    let refunds = refunds.map(|it| (("refund", it.id.to_string()), Charge::of_refund(it)));
    let disputes = order.disputes.iter_mut();
    let disputes = disputes.map(|it| (("dispute", it.id.to_string()), Charge::of_dispute(it)));
    refunds.chain(disputes)
}

/// The record of this claim's charge. A refund that is charged has come last.
fn record<'a>(order: &'a mut Order, claim: &Claim<'_>) -> Option<Charge<'a>> {
    if let Some(id) = claim.refund {
        let mut refunds = order.refunds.iter_mut();
        return refunds.rfind(|it| it.id == *id).map(Charge::of_refund);
    }
    let id = claim.dispute?;
    let mut disputes = order.disputes.iter_mut();
    disputes.find(|it| it.id == *id).map(Charge::of_dispute)
}

/// Kind and id, as a receivable keeps them.
pub(super) type Cause = (&'static str, String);

impl Claim<'_> {
    pub(super) fn cause(&self) -> Cause {
        match (self.refund, self.dispute) {
            (Some(refund), _) => ("refund", refund.to_string()),
            (None, Some(dispute)) => ("dispute", dispute.to_string()),
            (None, None) => ("order", String::new()),
        }
    }
}

/// Takes a charge: out of reversed money, then out of the holds as the agreement says, then out of
/// the deposit; the rest becomes a receivable. A charge never fails for lack of money.
fn take(
    step: &mut Step<'_>,
    terms: &Terms,
    amount: Amount,
    claim: &Claim<'_>,
) -> Result<(), MoneyError> {
    let mut sources = Vec::new();
    let from_reversed = amount.min(reversed(step.order, &terms.sale)?);
    if !from_reversed.is_zero() {
        sources.push(Source {
            kind: SourceKind::Reversed,
            hold_id: None,
            receivable_id: None,
            amount: from_reversed,
        });
    }
    let rest = less(amount, from_reversed);
    let from_holds = take_from_holds(step, terms, rest, claim, &mut sources)?;
    let order = (from_reversed, from_holds, sources);
    take_from_merchant(step, terms.sale.currency, amount, order, claim)
}

/// Takes what the order has not given of a charge out of the deposit; the rest becomes a receivable.
/// What it has given of reversed money and out of its holds comes with its sources.
pub(super) fn take_from_merchant(
    step: &mut Step<'_>,
    currency: Currency,
    amount: Amount,
    (from_reversed, from_holds, mut sources): (Amount, Amount, Vec<Source>),
    claim: &Claim<'_>,
) -> Result<(), MoneyError> {
    let rest = less(less(amount, from_reversed), from_holds);
    let from_deposit = take_from_deposit(step, rest, claim, &mut sources);
    let owed = less(rest, from_deposit);
    if !owed.is_zero() {
        owe(step, currency, owed, claim, &mut sources)?;
    }
    let record = record(step.order, claim);
    let record = record.expect("the fact was noted before it is charged");
    *record.charged = record.charged.plus(amount)?;
    *record.from_reversed = record.from_reversed.plus(from_reversed)?;
    *record.from_holds = record.from_holds.plus(from_holds)?;
    *record.from_deposit = record.from_deposit.plus(from_deposit)?;
    *record.from_receivable = record.from_receivable.plus(owed)?;
    let event = Event::RefundApplied(RefundApplied {
        refund_id: claim.refund.cloned(),
        dispute_id: claim.dispute.cloned(),
        amount: claim.amount,
        charged: amount,
        sources,
    });
    let met = transfer(Account::Proceeds, Account::Refunded, from_reversed);
    step.say(None, event, met);
    Ok(())
}
