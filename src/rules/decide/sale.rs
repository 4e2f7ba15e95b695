//! The sale: its holds, their clocks, and its cancellation.

use super::super::entry::{
    Account, Event, HoldCreated, HoldReversed, OrderAccepted, RescheduleReason,
};
use super::super::fact::{Completed, OrderFact};
use super::super::hold::{Dates, Hold, Tail};
use super::super::ids::HoldId;
use super::super::money::Amount;
use super::super::order::Noted;
use super::super::term;
use super::super::time::Instant;
use super::{
    Refusal, Step, Terms, Verdict, World, block, give_back, in_force, review, settlement, transfer,
};

/// Holds the sale under the agreement that is in force; without one it waits.
pub(super) fn complete(
    step: &mut Step<'_>,
    sale: &Completed,
    fact: &OrderFact,
) -> Result<Verdict, Refusal> {
    step.order.traceparent.clone_from(&fact.traceparent);
    step.order.sale = Some(Noted {
        value: sale.clone(),
        content: fact.content,
    });
    let merchant = &step.order.merchant;
    let found = in_force(step.world.agreements, merchant, sale.currency, sale.at);
    let Some(agreement) = found.cloned() else {
        step.alarms.push("no_agreement");
        return Ok(Verdict::Kept);
    };
    let amounts = term::hold_amounts(&agreement, sale)?;
    step.order.free = Some(amounts.free);
    step.order.agreement = Some(agreement.clone());
    let terms = Terms {
        sale: sale.clone(),
        agreement,
    };
    for (term_no, amount, calculation) in amounts.holds {
        create(step, &terms, term_no, amount, calculation)?;
    }
    if step.order.holds.is_empty() {
        let event = Event::OrderAccepted(OrderAccepted {
            order_amount: sale.amount,
            fees: sale.fees,
            free: amounts.free,
            agreement_id: terms.agreement.agreement_id.clone(),
            agreement_version: terms.agreement.version,
        });
        step.say(None, event, None);
    }
    let before = step.before();
    block::renew(step, &terms, &before, None, None);
    review::by_amount(step, &terms, fact.counted_from());
    Ok(Verdict::Applied)
}

pub(super) fn create(
    step: &mut Step<'_>,
    terms: &Terms,
    position: usize,
    amount: Amount,
    calculation: String,
) -> Result<(), Refusal> {
    let agreement = &terms.agreement;
    let term = &agreement.terms[position];
    let term_no = u16::try_from(position)
        .map_err(|_| Refusal::Money("an agreement of more than 65536 terms".to_owned()))?;
    let zero = Amount::zero(terms.sale.currency);
    let mut hold = Hold {
        id: HoldId::of(&step.order.merchant, &step.order.id, &term.name),
        term_no,
        term: term.name.clone(),
        original: amount,
        left: amount,
        consumed: zero,
        released: zero,
        reversed: zero,
        blocked: zero,
        barred: false,
        anchor_at: None,
        dates: None,
        tails: Vec::new(),
        limit_at: None,
        limit_alerted_at: None,
        calendar_version: None,
        releases: 0,
    };
    anchor(step, terms, &mut hold);
    let event = Event::HoldCreated(Box::new(HoldCreated {
        term: hold.term.clone(),
        order_amount: terms.sale.amount,
        fees: terms.sale.fees,
        free: step.order.free.unwrap_or(zero),
        original: amount,
        agreement_id: agreement.agreement_id.clone(),
        agreement_version: agreement.version,
        anchor_at: hold.anchor_at,
        window_ends_at: hold.dates.map(|dates| dates.window_ends_at),
        eligible_at: hold.dates.map(|dates| dates.eligible_at),
        release_at: hold.dates.map(|dates| dates.release_at),
        settlement_date: hold.dates.map(|dates| dates.settlement_on),
        limit_at: hold.limit_at,
        calculation,
    }));
    step.order.holds.push(hold);
    let position = step.order.holds.len() - 1;
    let moved = transfer(Account::Proceeds, Account::Held, amount);
    step.say(Some(position), event, moved);
    Ok(())
}

/// Sets a hold's anchor, limit and dates by what is known now; true when the anchor changed.
fn anchor(step: &mut Step<'_>, terms: &Terms, hold: &mut Hold) -> bool {
    let agreement = &terms.agreement;
    let term = &agreement.terms[usize::from(hold.term_no)];
    let delivered = step.order.delivered.as_ref().map(|noted| noted.value);
    let confirmed = step.order.confirmed.as_ref().map(|noted| noted.value);
    let anchor_at = settlement::anchor_at(agreement, term, terms.sale.at, delivered, confirmed);
    let known = hold.limit_at.is_some();
    if known && anchor_at == hold.anchor_at {
        return false;
    }
    let cleared_at = hold.cleared_at().max(step.order.whole_cleared_at(hold.id));
    hold.anchor_at = anchor_at;
    let from = anchor_at.unwrap_or(terms.sale.at);
    hold.limit_at = Some(settlement::limit_at(agreement, term, from));
    hold.calendar_version = calendar_version(step, terms);
    let dates = anchor_at
        .and_then(|at| settlement::dates(agreement, term, at, cleared_at, step.world.calendars));
    if anchor_at.is_some() && dates.is_none() {
        step.alarms.push("calendar_missing");
    }
    let mut tails = hold.tails.clone();
    for tail in &mut tails {
        if let Some(dates) = dates {
            tail.dates.window_ends_at = dates.window_ends_at;
        }
    }
    hold.date(dates, tails);
    true
}

/// The version of the agreement's calendar; 0, which no version has, while it is not there, so that
/// its first version is newer too.
fn calendar_version(step: &Step<'_>, terms: &Terms) -> Option<u64> {
    let id = terms.agreement.calendar.as_ref()?;
    Some(step.world.calendars.get(id).map_or(0, |it| it.version))
}

/// After a delivery or confirmation: the clocks of the holds that wait for it, or go by a later
/// one. Money that is gone keeps the dates under which it went.
pub(super) fn reanchor(step: &mut Step<'_>, terms: &Terms) {
    for position in 0..step.order.holds.len() {
        let mut hold = step.order.holds[position].clone();
        let gone = hold.left.is_zero() && hold.releases > 0;
        if gone || !anchor(step, terms, &mut hold) {
            continue;
        }
        let own = hold.own();
        step.order.holds[position] = hold;
        if !own.is_zero() {
            let dates = step.order.holds[position].dates;
            step.say_moved(position, (own, dates), RescheduleReason::AnchorKnown);
        }
    }
}

/// Recomputes all dates by the calendar of now. What was due stays due; nothing becomes due before
/// now that was not.
pub(super) fn redate(step: &mut Step<'_>, terms: &Terms) {
    let version = calendar_version(step, terms);
    for position in 0..step.order.holds.len() {
        let hold = &step.order.holds[position];
        if hold.calendar_version == version && hold.dates.is_some() || hold.left.is_zero() {
            continue;
        }
        let mut hold = hold.clone();
        hold.calendar_version = version;
        if let Some(anchor_at) = hold.anchor_at {
            let cleared_at = hold.cleared_at().max(step.order.whole_cleared_at(hold.id));
            let own = part_dates(step, terms, &hold, anchor_at, cleared_at, hold.dates);
            let tails = hold.tails.iter().map(|tail| {
                let eligible_at = Some(tail.dates.eligible_at);
                let dates = Some(tail.dates);
                let dates = part_dates(step, terms, &hold, anchor_at, eligible_at, dates)?;
                let amount = tail.amount;
                Some(Tail { amount, dates })
            });
            // One part without a date keeps the whole hold: it must not go with the others.
            let tails: Option<Vec<Tail>> = tails.collect();
            let own = own.filter(|_| tails.is_some());
            hold.date(own, tails.unwrap_or_default());
        }
        let old = &step.order.holds[position];
        let moved = (old.dates, &old.tails) != (hold.dates, &hold.tails);
        let new = (hold.left, hold.dates);
        step.order.holds[position] = hold;
        if moved {
            step.say_moved(position, new, RescheduleReason::Calendar);
        }
    }
}

fn part_dates(
    step: &Step<'_>,
    terms: &Terms,
    hold: &Hold,
    anchor_at: Instant,
    cleared_at: Option<Instant>,
    old: Option<Dates>,
) -> Option<Dates> {
    let World { calendars, now, .. } = step.world;
    let agreement = &terms.agreement;
    let term = &agreement.terms[usize::from(hold.term_no)];
    let dates = settlement::dates(agreement, term, anchor_at, cleared_at, calendars)?;
    if dates.release_at >= now {
        return Some(dates);
    }
    if let Some(due) = old.filter(|old| old.release_at <= now) {
        return Some(due);
    }
    let (release_at, settlement_on) = settlement::settle(agreement, now, calendars)?;
    Some(Dates {
        release_at,
        settlement_on,
        ..dates
    })
}

/// Reverses what is left, then gives back out of it what earlier refunds had charged to
/// receivables: reversal and refund are the same money.
pub(super) fn cancel(step: &mut Step<'_>, terms: &Terms) -> Result<(), Refusal> {
    let before = step.before();
    let by = block::By::first(step.order);
    reverse(step);
    give_back::by_cancellation(step, terms)?;
    block::renew(step, terms, &before, by, None);
    Ok(())
}

/// Reverses what is left in the holds.
pub(super) fn reverse(step: &mut Step<'_>) {
    for position in 0..step.order.holds.len() {
        let hold = &mut step.order.holds[position];
        if hold.left.is_zero() {
            continue;
        }
        let amount = hold.reverse();
        let left = hold.left;
        let event = Event::HoldReversed(HoldReversed { amount, left });
        let moved = transfer(Account::Held, Account::Proceeds, amount);
        step.say(Some(position), event, moved);
    }
}
