//! An order of an earlier system comes in with what is still held of it: under the agreement that is
//! in force for it here, with the amounts that are left there.

use super::super::agreement::Agreement;
use super::super::entry::RescheduleReason;
use super::super::fact::{Completed, OrderEvent, OrderFact};
use super::super::hold::Kept;
use super::super::ids::TermName;
use super::super::money::{Amount, less};
use super::super::order::{Noted, Order};
use super::super::time::Instant;
use super::{Entry, Step, Terms, World, block, in_force, sale, settlement};

/// An order of an earlier system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The sale, as the order's own event says it.
    pub sale: OrderFact,
    pub delivered: Option<Noted<Instant>>,
    pub confirmed: Option<Noted<Instant>>,
    /// What is still held; terms are not named twice.
    pub holds: Vec<ImportedHold>,
}

/// What an earlier system still holds of an order under one term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedHold {
    pub term: TermName,
    /// Above zero; becomes the hold's original amount here.
    pub left: Amount,
    /// It goes no earlier than this, whatever the term says.
    pub not_before: Option<Instant>,
}

impl Imported {
    /// What was sold.
    #[must_use]
    pub fn sold(&self) -> Option<&Completed> {
        match &self.sale.what {
            OrderEvent::Completed(sold) => Some(sold),
            _ => None,
        }
    }
}

/// Takes the order over. What is held by no term here is free: the earlier system has paid it, refunded it
/// or never held it. The order is changed only when the answer is `Ok`.
///
/// # Errors
/// Everything that speaks against it, one sentence each, beginning with a JSON pointer into the line.
pub fn import(
    order: &mut Order,
    it: &Imported,
    world: World<'_>,
) -> Result<Vec<Entry>, Vec<String>> {
    let sold = it
        .sold()
        .ok_or_else(|| vec!["/kind: is no sale".to_owned()])?;
    if order.sale.is_some() {
        return Err(vec![
            "/order_id: is known already, from its own event".to_owned(),
        ]);
    }
    if !order.parked.is_empty() {
        let what = "/order_id: messages about it have come already and wait for its own event";
        return Err(vec![what.to_owned()]);
    }
    if order.charged_in.is_some() {
        let what = "/order_id: a person has charged refunds or chargebacks of it to the merchant";
        return Err(vec![what.to_owned()]);
    }
    let merchant = &order.merchant;
    let found = in_force(world.agreements, merchant, sold.currency, sold.at).cloned();
    let agreement =
        found.ok_or_else(|| vec!["/completed_at: no agreement is in force then".to_owned()])?;
    let positions = positions(&agreement, sold, &it.holds)?;
    let mut next = order.clone();
    let mut step = Step::new(&mut next, world, "import".to_owned(), None);
    step.order.sale = Some(Noted {
        value: sold.clone(),
        content: it.sale.content,
    });
    step.order.delivered.clone_from(&it.delivered);
    step.order.confirmed.clone_from(&it.confirmed);
    step.order.agreement = Some(agreement.clone());
    let held = it.holds.iter().map(|hold| hold.left);
    step.order.free = Some(held.fold(less(sold.amount, sold.fees), less));
    let terms = Terms {
        sale: sold.clone(),
        agreement,
    };
    let mut faults = Vec::new();
    for (n, term_no) in positions {
        let hold = &it.holds[n];
        let calculation = format!("taken over: {}", hold.left);
        if let Err(refusal) = sale::create(&mut step, &terms, term_no, hold.left, calculation) {
            faults.push(format!("/holds/{n}: {refusal}"));
        }
        if let Some(at) = hold.not_before {
            put_off(&mut step, &terms, at).unwrap_or_else(|why| {
                faults.push(format!("/holds/{n}/not_before: {why}"));
            });
        }
    }
    let before = step.before();
    block::renew(&mut step, &terms, &before, None, None);
    let entries = std::mem::take(&mut step.entries);
    if !faults.is_empty() {
        return Err(faults);
    }
    *order = next;
    Ok(entries)
}

/// Where each hold's term stands in the agreement, in the agreement's order.
fn positions(
    agreement: &Agreement,
    sold: &Completed,
    holds: &[ImportedHold],
) -> Result<Vec<(usize, usize)>, Vec<String>> {
    let mut faults = Vec::new();
    let mut positions = Vec::with_capacity(holds.len());
    let mut rest = less(sold.amount, sold.fees);
    for (n, hold) in holds.iter().enumerate() {
        let mut terms = agreement.terms.iter();
        match terms.position(|term| term.name == hold.term) {
            Some(position) => positions.push((n, position)),
            None => faults.push(format!(
                "/holds/{n}/term: agreement {} version {} has no term {}",
                agreement.agreement_id, agreement.version, hold.term
            )),
        }
        if hold.left > rest {
            faults.push(format!(
                "/holds/{n}/left: the holds are more than amount less fees"
            ));
        }
        rest = less(rest, hold.left.min(rest));
    }
    positions.sort_unstable_by_key(|(_, position)| *position);
    if faults.is_empty() {
        Ok(positions)
    } else {
        Err(faults)
    }
}

/// Puts the dates of the hold that was created last off to this moment, if they are earlier.
fn put_off(step: &mut Step<'_>, terms: &Terms, at: Instant) -> Result<(), &'static str> {
    let position = step.order.holds.len().saturating_sub(1);
    let calendars = step.world.calendars;
    let Some(hold) = step.order.holds.get_mut(position) else {
        return Ok(());
    };
    if hold.dates.is_none() {
        return Err("the hold has no dates yet that could be put off");
    }
    let settle = |at| settlement::settle(&terms.agreement, at, calendars);
    if let Some(moved) = hold.clear(Kept::All, at, settle) {
        step.say_moved(position, moved, RescheduleReason::Extended);
    }
    Ok(())
}
