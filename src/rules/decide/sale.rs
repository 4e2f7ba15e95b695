//! The sale: its holds, their clocks, and its cancellation.

use super::super::agreement::Term;
use super::super::entry::{
    Account, Event, HoldCreated, HoldReversed, OrderAccepted, RescheduleReason,
};
use super::super::fact::{Completed, OrderFact};
use super::super::hold::{Dates, Hold};
use super::super::ids::HoldId;
use super::super::money::Amount;
use super::super::order::Noted;
use super::super::term;
use super::super::time::Instant;
use super::{
    Refusal, Step, Terms, Verdict, World, ahead, block, foretold, give_back, in_force, review,
    settlement, transfer,
};

/// Holds the sale under the agreement that is in force; without one it waits.
pub(super) fn complete(
    step: &mut Step<'_>,
    sale: &Completed,
    fact: &OrderFact,
) -> Result<Verdict, Refusal> {
    ahead::fits(step, sale)?;
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
    let mut gone = foretold::issue(step.order);
    step.entries.append(&mut gone);
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
        cleared_at: None,
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
    hold.anchor_at = anchor_at;
    let from = anchor_at.unwrap_or(terms.sale.at);
    hold.limit_at = Some(settlement::limit_at(agreement, term, from));
    hold.calendar_version = calendar_version(step, terms);
    let world = step.world;
    let whole_cleared_at = step.order.whole_cleared_at(hold.id);
    hold.date(|part| {
        let cleared_at = (whole_cleared_at, part.cleared_at);
        part_dates(terms, term, anchor_at?, cleared_at, world)
    });
    if anchor_at.is_some() && hold.dates.is_none() {
        step.alarms.push("calendar_missing");
    }
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
            let term = &terms.agreement.terms[usize::from(hold.term_no)];
            let world = step.world;
            let whole_cleared_at = step.order.whole_cleared_at(hold.id);
            hold.date(|part| {
                let cleared_at = (whole_cleared_at, part.cleared_at);
                let dates = part_dates(terms, term, anchor_at, cleared_at, world)?;
                not_before_now(terms, dates, part.dates, world)
            });
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

/// The dates of a part by when the last block of all of the hold was cleared and the last one of the
/// part. The latter is seen only where it makes another settlement: which money of a hold a block
/// kept is else a matter of what came first.
fn part_dates(
    terms: &Terms,
    term: &Term,
    anchor_at: Instant,
    (whole_cleared_at, cleared_at): (Option<Instant>, Option<Instant>),
    world: World<'_>,
) -> Option<Dates> {
    let dates = |cleared_at| {
        settlement::dates(
            &terms.agreement,
            term,
            anchor_at,
            cleared_at,
            world.calendars,
        )
    };
    let whole = dates(whole_cleared_at)?;
    if cleared_at <= whole_cleared_at {
        return Some(whole);
    }
    let own = dates(cleared_at)?;
    let same = own.release_at == whole.release_at;
    Some(if same { whole } else { own })
}

/// What was due stays due; nothing becomes due before now that was not.
fn not_before_now(
    terms: &Terms,
    dates: Dates,
    old: Option<Dates>,
    world: World<'_>,
) -> Option<Dates> {
    let World { calendars, now, .. } = world;
    if dates.release_at >= now {
        return Some(dates);
    }
    if let Some(due) = old.filter(|old| old.release_at <= now) {
        return Some(due);
    }
    let (release_at, settlement_on) = settlement::settle(&terms.agreement, now, calendars)?;
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
