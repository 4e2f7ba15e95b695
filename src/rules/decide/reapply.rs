//! An order meets an agreement that came after it: its holds are written anew as if that had been in
//! force from the start, where none of their money has moved.

use super::super::entry::RescheduleReason;
use super::super::fact::{OrderEvent, OrderFact};
use super::super::ids::{AgreementId, HoldId};
use super::super::money::Amount;
use super::super::order::Order;
use super::super::term;
use super::{Dates, Entry, Refusal, Step, World, in_force, sale, settlement};

/// Why an order stays under the agreement that it was held under.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stays {
    /// Another agreement is in force for it, or this one already holds it.
    #[error("the agreement is not the one in force for it, or holds it already")]
    NotLate,
    #[error("its money has moved: a refund, a release, a cancellation or a debt")]
    Touched,
    #[error(
        "it would hold {new} and holds {old}: the difference was reported as free and may have been paid"
    )]
    HoldsMore { old: Amount, new: Amount },
    #[error("a block lies on its hold {0}, which it would no longer have")]
    Blocked(HoldId),
    #[error("{0}")]
    Refused(#[from] Refusal),
}

/// Writes an order's holds anew under this agreement: what was held is reversed, then held again as
/// the agreement says; a hold of the same term keeps its id. No date is before now. The order is
/// changed only when the answer is `Ok`. `free_unpaid`: nobody has paid what no term held, so that
/// more may be held than before.
///
/// # Errors
/// [`Stays`].
pub fn reapply(
    order: &mut Order,
    agreement: &AgreementId,
    free_unpaid: bool,
    cause: String,
    world: World<'_>,
) -> Result<Vec<Entry>, Stays> {
    let (sold, old) = order.settled().ok_or(Stays::NotLate)?;
    let found = in_force(world.agreements, &order.merchant, sold.currency, sold.at);
    let new = found.filter(|new| new.agreement_id == *agreement && **new != old);
    let new = new.ok_or(Stays::NotLate)?;
    if is_touched(order) {
        return Err(Stays::Touched);
    }
    let amounts = term::hold_amounts(new, &sold).map_err(Refusal::from)?;
    let free = order.free.unwrap_or(amounts.free);
    if amounts.free < free && !free_unpaid {
        let net = sold.amount.minus(sold.fees).map_err(Refusal::from)?;
        let held = |free| net.minus(free).map_err(Refusal::from);
        let (old, new) = (held(free)?, held(amounts.free)?);
        return Err(Stays::HoldsMore { old, new });
    }
    let mut next = order.clone();
    let traceparent = order.traceparent.clone();
    let fact = OrderFact {
        merchant: order.merchant.clone(),
        order: order.id.clone(),
        content: order.sale.as_ref().expect("it is settled").content,
        traceparent: traceparent.clone(),
        // Nobody could be asked under this agreement before.
        recorded_at: Some(world.now),
        what: OrderEvent::Completed(sold.clone()),
    };
    let mut step = Step::new(&mut next, world, cause, traceparent);
    sale::reverse(&mut step);
    step.order.holds.clear();
    sale::complete(&mut step, &sold, &fact)?;
    not_before_now(&mut step);
    let entries = std::mem::take(&mut step.entries);
    let open = next
        .blocks
        .iter()
        .filter(|block| block.cleared_at.is_none());
    let mut lost = open.filter_map(|block| block.hold);
    if let Some(hold) = lost.find(|id| !next.holds.iter().any(|hold| hold.id == *id)) {
        return Err(Stays::Blocked(hold));
    }
    *order = next;
    Ok(entries)
}

/// Whether money of the order has moved since it was held.
fn is_touched(order: &Order) -> bool {
    let moved = |it: &super::Hold| it.left != it.original;
    order.cancelled.is_some()
        || !order.refunds.is_empty()
        || !order.receivables.is_empty()
        || order
            .disputes
            .iter()
            .any(|dispute| !dispute.charged.is_zero())
        || order.holds.iter().any(moved)
}

/// Moves what would have been due before now to the next settlement.
fn not_before_now(step: &mut Step<'_>) {
    let Some((_, agreement)) = step.order.settled() else {
        return;
    };
    let World { calendars, now, .. } = step.world;
    let settled = settlement::settle(&agreement, now, calendars);
    for position in 0..step.order.holds.len() {
        let hold = &mut step.order.holds[position];
        if hold.dates.is_none_or(|dates| dates.release_at >= now) {
            continue;
        }
        hold.date(|part| {
            let dates = part.dates?;
            if dates.release_at >= now {
                return Some(dates);
            }
            let (release_at, settlement_on) = settled?;
            Some(Dates {
                release_at,
                settlement_on,
                ..dates
            })
        });
        let (left, dates) = (hold.left, hold.dates);
        step.say_moved(position, (left, dates), RescheduleReason::Reapplied);
    }
}
