//! What a person does to one hold: letting money go before its date, and putting its dates off.
//! Nothing that is blocked leaves, and no date becomes earlier.

use super::agreement::AtLimit;
use super::calendar::Calendars;
use super::entry::{Entry, Event, ReleaseReason, RescheduleReason};
use super::hold::{Hold, Kept};
use super::money::Amount;
use super::release::{Claim, Portion};
use super::settlement;
use super::time::Instant;

/// Why a hold can't be changed so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cannot {
    #[error("nothing is left in the hold")]
    Finished,
    #[error("nothing can be released of 0")]
    Nothing,
    #[error("only {free} may go: {blocked} of {left} is blocked")]
    NotFree {
        free: Amount,
        blocked: Amount,
        left: Amount,
    },
    #[error("the hold has no dates yet that could be put off: block it instead")]
    Undated,
    #[error("the money goes no earlier than that already")]
    NotLater,
    #[error(
        "the hold goes at its limit, {0}, whatever its dates: block it by a legal block instead"
    )]
    PastLimit(Instant),
    #[error("no settlement date is known after that")]
    NoSettlement,
}

/// What a person lets go at once: this much, or all that is not blocked; pending money too.
///
/// # Errors
/// [`Cannot`] when that much is not there or blocked.
pub fn early(hold: &Hold, amount: Option<Amount>) -> Result<Portion, Cannot> {
    if hold.left.is_zero() {
        return Err(Cannot::Finished);
    }
    let free = hold.free();
    let amount = amount.unwrap_or(free);
    if amount > free || free.is_zero() {
        return Err(Cannot::NotFree {
            free,
            blocked: hold.blocked,
            left: hold.left,
        });
    }
    if amount.is_zero() {
        return Err(Cannot::Nothing);
    }
    Ok(Portion {
        amount,
        reason: ReleaseReason::Early,
        dates: None,
    })
}

/// Keeps everything that would go earlier until then, and on to the next settlement.
///
/// # Errors
/// [`Cannot`] when nothing would go earlier, or no later date can be told.
pub fn extend(
    claim: &mut Claim,
    until: Instant,
    calendars: &Calendars,
    cause: String,
) -> Result<Entry, Cannot> {
    if claim.hold.left.is_zero() {
        return Err(Cannot::Finished);
    }
    if claim.hold.dates.is_none() {
        return Err(Cannot::Undated);
    }
    let releases = claim
        .term()
        .is_some_and(|term| term.at_limit == AtLimit::Release);
    if let Some(limit_at) = claim.hold.limit_at.filter(|at| releases && *at <= until) {
        return Err(Cannot::PastLimit(limit_at));
    }
    let agreement = claim.agreement.clone();
    let settled = settlement::settle(&agreement, until, calendars).ok_or(Cannot::NoSettlement)?;
    // What was carried over beyond that must not come back.
    let parts = claim.hold.parts().filter_map(|it| it.dates);
    let settled = parts
        .filter(|dates| dates.eligible_at < until)
        .map(|dates| (dates.release_at, dates.settlement_on))
        .fold(settled, Ord::max);
    let mut hold = claim.hold.clone();
    let moved = hold.clear(Kept::All, until, |_| Some(settled));
    let (amount, dates) = moved.ok_or(Cannot::NotLater)?;
    claim.hold = hold;
    let event = claim
        .hold
        .rescheduled(amount, dates, RescheduleReason::Extended);
    Ok(claim.say(Event::HoldRescheduled(event), None, cause))
}
