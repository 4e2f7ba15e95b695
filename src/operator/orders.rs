//! What people do to the money of one order, decided by the rules on the order as it is, locked.

use uuid::Uuid;

use super::{By, OperatorError, Request, refuse};
use crate::rules::by_hand;
use crate::rules::decide::{self, World};
use crate::rules::entry::{Entry, Event};
use crate::rules::ids::{HoldId, ReviewId};
use crate::rules::money::{Amount, less};
use crate::rules::order::{Block, BlockKind, Order};
use crate::rules::release::{self, Claim};
use crate::rules::review::{Decision, Ruling};
use crate::rules::shadow::Mode;

/// What a request comes to on one order.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) entries: Vec<Entry>,
    pub(super) alarms: Vec<&'static str>,
    /// The money that it lets go, of a review's decision the order's amount; `None` while that can't
    /// be told.
    pub(super) lets_go: Option<Amount>,
    pub(super) says: String,
}

/// Changes the order as the request says.
pub(super) fn decide(
    order: &mut Order,
    request: &Request,
    operation: Uuid,
    by: &By,
    world: World<'_>,
    mode: Mode,
) -> Result<Decided, OperatorError> {
    let free_before = free(order);
    let mut decided = match request {
        Request::Block {
            hold,
            amount,
            block,
            ..
        } => {
            let block = Block {
                reference: operation.to_string(),
                kind: *block,
                reason: by.reason.clone(),
                hold: *hold,
                amount: amount_of(order, amount.as_deref())?,
                opened_at: world.now,
                cleared_at: None,
            };
            put(order, block, world)?
        }
        Request::Unblock { reference, .. } => clear(order, reference, world)?,
        Request::Release { hold, amount, .. } => {
            let_go(order, *hold, amount.as_deref(), world, mode)?
        }
        Request::Decide {
            review, decision, ..
        } => rule(order, review, *decision, by, world)?,
        Request::Extend { hold, until, .. } => {
            let mut claim = claim(order, *hold)?;
            let cause = format!("operation:{operation}");
            let entry = by_hand::extend(&mut claim, *until, world.calendars, cause)
                .or_else(|cannot| refuse(cannot.to_string()))?;
            let on = claim.hold.dates.map(|dates| dates.settlement_on);
            let on = on.map(|on| on.to_string()).unwrap_or_default();
            Decided {
                says: format!("the hold's money goes no earlier than {until}, settlement {on}"),
                ..changed(order, &claim, vec![entry])
            }
        }
        Request::Pause { .. }
        | Request::Resume { .. }
        | Request::ReleaseCredit { .. }
        | Request::WriteOff { .. }
        | Request::Reissue { .. }
        | Request::DropParked { .. }
        | Request::ChargeParked { .. } => {
            return refuse("this is about no order".to_owned());
        }
    };
    if decided.lets_go.is_none() {
        decided.lets_go = free_before
            .zip(free(order))
            .map(|(before, now)| less(now, before));
    }
    Ok(decided)
}

/// Left and not blocked, all holds together; `None` before the order was sold.
pub(super) fn free(order: &Order) -> Option<Amount> {
    let currency = order.sale.as_ref()?.value.currency;
    let frees = order.holds.iter().map(crate::rules::hold::Hold::free);
    Amount::sum(currency, frees).ok()
}

fn amount_of(order: &Order, text: Option<&str>) -> Result<Option<Amount>, OperatorError> {
    let Some(text) = text else { return Ok(None) };
    let Some(sale) = &order.sale else {
        return refuse(format!(
            "order {} is not known yet: only all of it can be blocked",
            order.id
        ));
    };
    match Amount::parse(text, sale.value.currency) {
        Ok(amount) if amount.is_zero() => refuse("the amount is zero".to_owned()),
        Ok(amount) => Ok(Some(amount)),
        Err(error) => refuse(format!("{text}: {error}")),
    }
}

fn put(order: &mut Order, block: Block, world: World<'_>) -> Result<Decided, OperatorError> {
    if block.kind == BlockKind::Review {
        return refuse("a person blocks by manual or legal; a review is asked for".to_owned());
    }
    if let Some(id) = block.hold
        && !order.holds.iter().any(|hold| hold.id == id)
    {
        return refuse(format!("order {} has no hold {id}", order.id));
    }
    let says = format!("blocked under reference {}", block.reference);
    Ok(Decided {
        entries: decide::block(order, block, world),
        alarms: Vec::new(),
        lets_go: None,
        says,
    })
}

/// Decides a review, with the person's name and reason.
fn rule(
    order: &mut Order,
    review: &ReviewId,
    decision: Decision,
    by: &By,
    world: World<'_>,
) -> Result<Decided, OperatorError> {
    let ruling = Ruling {
        decision,
        actor: by.actor.clone(),
        reason: by.reason.clone(),
    };
    let outcome =
        decide::rule(order, review, &ruling, world).or_else(|it| refuse(it.to_string()))?;
    let what = match decision {
        Decision::Passed => "passed",
        Decision::Rejected => "rejected: its money stays until a refund takes it or it is passed",
    };
    Ok(Decided {
        entries: outcome.entries,
        alarms: outcome.alarms,
        lets_go: order.sale.as_ref().map(|noted| noted.value.amount),
        says: format!("review {review} of order {} is {what}", order.id),
    })
}

fn clear(order: &mut Order, reference: &str, world: World<'_>) -> Result<Decided, OperatorError> {
    let mut reviews = order.reviews.iter();
    if let Some(review) = reviews.find(|review| review.reference() == reference) {
        return refuse(format!("this is review {}'s: decide that", review.id));
    }
    let mut blocks = order.blocks.iter();
    match blocks.find(|block| block.reference == reference) {
        None => return refuse(format!("order {} has no block {reference}", order.id)),
        Some(block) if block.cleared_at.is_some() => {
            return refuse(format!("block {reference} is cleared already"));
        }
        Some(_) => {}
    }
    Ok(Decided {
        entries: decide::unblock(order, reference, world.now, world),
        alarms: Vec::new(),
        lets_go: None,
        says: format!("block {reference} is cleared"),
    })
}

fn let_go(
    order: &mut Order,
    hold: HoldId,
    amount: Option<&str>,
    world: World<'_>,
    mode: Mode,
) -> Result<Decided, OperatorError> {
    let amount = amount_of(order, amount)?;
    let mut claim = claim(order, hold)?;
    let portion = by_hand::early(&claim.hold, amount).or_else(|it| refuse(it.to_string()))?;
    let purse = order.purse.as_mut();
    let purse = purse.expect("a release by hand is lent its merchant's purse");
    let mut entries = release::issue(&mut claim, &portion, None, purse, world.now);
    mode.cast(&claim, &mut entries, world.now);
    let (currency, sum) = (claim.currency, portion.amount);
    let says = match entries.first().map(|entry| &entry.event) {
        Some(Event::ReleaseShadowed(_)) => {
            format!("{sum} {currency} of the hold are released as a shadow: nothing is published")
        }
        _ => format!("{sum} {currency} of the hold are released"),
    };
    Ok(Decided {
        lets_go: Some(sum),
        says,
        ..changed(order, &claim, entries)
    })
}

fn claim(order: &Order, hold: HoldId) -> Result<Claim, OperatorError> {
    let found = order.holds.iter().find(|it| it.id == hold);
    match found.and_then(|found| Claim::of(order, found)) {
        Some(claim) => Ok(claim),
        None => refuse(format!("order {} has no hold {hold}", order.id)),
    }
}

/// Puts the changed hold back into its order.
fn changed(order: &mut Order, claim: &Claim, entries: Vec<Entry>) -> Decided {
    for hold in &mut order.holds {
        if hold.id == claim.hold.id {
            hold.clone_from(&claim.hold);
        }
    }
    Decided {
        entries,
        alarms: Vec::new(),
        lets_go: None,
        says: String::new(),
    }
}
