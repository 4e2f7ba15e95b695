//! Refunds and lost chargebacks whose order never comes, charged to the merchant by a person: out of the
//! deposit, and what that lacks becomes a receivable.
//!
//! Guarantees that each is charged once: from then on it is on the order's record like one that was
//! applied, so that the same message again is a repeat, its reversal gives the money back, and the
//! order, should it come after all, is charged no more for it. Without the order neither its fees nor
//! what it left free are known: the charge is whole.

use super::super::fact::{
    Completed, ContentHash, DisputeKind, DisputeOutcome, FactKey, FactKind, OrderEvent, OrderFact,
    RefundReversed, Refunded,
};
use super::super::ids::DisputeId;
use super::super::money::{Amount, Currency, MoneyError, less};
use super::super::order::{Dispute, Order, Refund};
use super::charge::{self, Claim};
use super::{Entry, Refusal, Step, World, give_back};

/// What a person says of a charge, where the messages don't.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// A decimal in that currency.
    pub amount: Option<String>,
    pub currency: Option<Currency>,
}

/// What can be charged before its order comes.
#[derive(Debug, Clone)]
pub struct Ahead {
    pub currency: Currency,
    /// What it claims. A chargeback and the refunds that name it are one debt: it may charge less.
    pub amount: Amount,
    key: FactKey,
    traceparent: Option<String>,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Refund(Refunded, ContentHash),
    Chargeback(Box<Dispute>),
}

/// Whether a fact that waits for its order can be charged without it.
///
/// # Errors
/// Why not, in a sentence.
pub fn chargeable(order: &Order, key: &FactKey, said: &Said) -> Result<Ahead, String> {
    if order.sale.is_some() {
        return Err(format!("order {} has come: {key} waits for more", order.id));
    }
    let fact = order.parked.iter().find(|fact| fact.key() == *key);
    let fact = fact.ok_or_else(|| format!("{key} waits no more"))?;
    let ahead = match &fact.what {
        OrderEvent::Refunded(it) => refund(order, it, fact, said)?,
        OrderEvent::DisputeClosed(it) => match (it.outcome, said.currency) {
            (DisputeOutcome::Lost, Some(currency)) => {
                chargeback(order, &it.dispute, fact, (said, currency))?
            }
            (DisputeOutcome::Lost, None) => {
                return Err("a dispute names no currency: say which".to_owned());
            }
            _ => return Err(format!("{key} is not lost: it charges nothing")),
        },
        _ => return Err(format!("{key} charges nothing by itself")),
    };
    match order.charged_in.filter(|it| *it != ahead.currency) {
        Some(other) => Err(format!(
            "what was charged of order {} before was in {other}",
            order.id
        )),
        None => Ok(ahead),
    }
}

fn refund(order: &Order, it: &Refunded, fact: &OrderFact, said: &Said) -> Result<Ahead, String> {
    if *said != Said::default() {
        return Err("the refund says itself how much it is".to_owned());
    }
    let id = it.refund.as_str();
    let mut parked = order.parked.iter();
    if parked.any(|fact| matches!(fact.key_parts(), (FactKind::RefundReversed, of, _) if of == id))
    {
        return Err(format!(
            "refund {id} did not go through: its reversal waits, too"
        ));
    }
    Ok(Ahead {
        currency: it.currency,
        amount: it.amount,
        key: fact.key(),
        traceparent: fact.traceparent.clone(),
        what: What::Refund(it.clone(), fact.content),
    })
}

/// The dispute as all that waits of it makes it.
fn chargeback(
    order: &Order,
    id: &DisputeId,
    fact: &OrderFact,
    (said, currency): (&Said, Currency),
) -> Result<Ahead, String> {
    let told = |error: MoneyError| format!("dispute {id} in {currency}: {error}");
    let mut dispute = None;
    for fact in &order.parked {
        if let OrderEvent::DisputeOpened(it) = &fact.what
            && it.dispute == *id
        {
            dispute = Some(Dispute::of(it, fact.content, currency).map_err(told)?);
        }
    }
    let mut dispute = dispute.ok_or_else(|| {
        format!("the opening of dispute {id} has not come: nobody knows what it was about")
    })?;
    for fact in &order.parked {
        let content = fact.content;
        match &fact.what {
            OrderEvent::DisputeUpdated(it) if it.dispute == *id => {
                dispute.update(it, content, currency).map_err(told)?;
            }
            OrderEvent::DisputeClosed(it) if it.dispute == *id => {
                dispute.close(it, content, currency).map_err(told)?;
            }
            _ => {}
        }
    }
    if dispute.kind != DisputeKind::Chargeback {
        return Err(format!(
            "dispute {id} is no chargeback: refunds are what it charges"
        ));
    }
    let amount = match (dispute.amount, &said.amount) {
        (Some(_), Some(_)) => return Err(format!("dispute {id} says itself how much it is")),
        (Some(amount), None) => amount,
        (None, None) => {
            return Err(format!(
                "dispute {id} is about the whole order: say how much"
            ));
        }
        (None, Some(amount)) => Amount::parse(amount, currency).map_err(told)?,
    };
    if amount.is_zero() {
        return Err("the amount is zero".to_owned());
    }
    dispute.amount = Some(amount);
    Ok(Ahead {
        currency,
        amount,
        key: fact.key(),
        traceparent: fact.traceparent.clone(),
        what: What::Chargeback(Box::new(dispute)),
    })
}

/// Charges it, with the merchant's purse in the order. The order is changed only when the answer is
/// `Ok`.
///
/// # Errors
/// [`Refusal::Money`] when a sum overflows.
pub fn charge(order: &mut Order, it: &Ahead, world: World<'_>) -> Result<Vec<Entry>, Refusal> {
    let mut next = order.clone();
    next.charged_in = Some(it.currency);
    let (parked, refund, dispute, at) = match &it.what {
        What::Refund(refund, _) => (
            &[FactKind::Refunded][..],
            Some(&refund.refund),
            None,
            refund.at,
        ),
        What::Chargeback(dispute) => {
            let kinds = &[
                FactKind::DisputeOpened,
                FactKind::DisputeUpdated,
                FactKind::DisputeClosed,
            ][..];
            let closed_at = dispute.cleared_at().unwrap_or(dispute.opened_at);
            (kinds, None, Some(&dispute.id), closed_at)
        }
    };
    next.parked.retain(|fact| {
        let (kind, id, _) = fact.key_parts();
        id != it.key.id || !parked.contains(&kind)
    });
    match &it.what {
        What::Refund(refund, content) => next.refunds.push(Refund::of(refund, *content)),
        What::Chargeback(dispute) => next.disputes.push(Dispute::clone(dispute)),
    }
    next.forget_sums();
    let claim = Claim {
        refund,
        dispute,
        amount: it.amount,
        at,
    };
    let nothing = Amount::zero(it.currency);
    let more = less(
        next.claimed(it.currency, nothing)?,
        charge::charged_so_far(&next, it.currency)?,
    );
    let mut step = Step::new(&mut next, world, it.key.to_string(), it.traceparent.clone());
    let given = (nothing, nothing, Vec::new());
    charge::take_from_merchant(&mut step, it.currency, more, given, &claim)?;
    let entries = step.entries;
    *order = next;
    Ok(entries)
}

/// A refund that was charged before its order came did not go through.
pub(super) fn reverse(
    step: &mut Step<'_>,
    it: &RefundReversed,
    content: ContentHash,
) -> Result<(), MoneyError> {
    let currency = step.order.charged_in;
    let currency =
        currency.expect("of an order that has not come only what was charged is on record");
    let (claim, _) = charge::note_reversal(step.order, it, content);
    let too_much = less(
        charge::charged_so_far(step.order, currency)?,
        step.order.claimed(currency, Amount::zero(currency))?,
    );
    give_back::by_reversal(step, currency, Vec::new(), too_much, &claim)
}

/// Whether the sale can take in what was charged before it came: its currency must be the same. More
/// than it is worth stays charged, with an alarm.
pub(super) fn fits(step: &mut Step<'_>, sale: &Completed) -> Result<(), Refusal> {
    let Some(currency) = step.order.charged_in else {
        return Ok(());
    };
    if currency != sale.currency {
        return Err(Refusal::Mismatch(format!(
            "a person has charged refunds of it in {currency}, it is in {}",
            sale.currency
        )));
    }
    if step.order.debt(sale)? > sale.amount {
        step.alarms.push("refund_excess_to_receivable");
    }
    Ok(())
}
