//! A hold meets the clock: what may go now, what waits, and until when.

use std::sync::Arc;

use jiff::SignedDuration;

use super::agreement::{Agreement, AtLimit, Term};
use super::calendar::Calendars;
use super::entry::{
    Account, Entry, Event, HoldLimitReached, ReleaseIssued, ReleaseReason, RescheduleReason,
    Transfer,
};
use super::hold::{Dates, Hold};
use super::ids::{MerchantId, OrderId, ReleaseId, SettlementId};
use super::money::{Amount, Currency, less};
use super::order::Order;
use super::recovery::Purse;
use super::settlement;
use super::time::Instant;

/// A hold with what its release needs to know of its order.
#[derive(Debug, Clone)]
pub struct Claim {
    pub merchant: MerchantId,
    pub order: OrderId,
    pub currency: Currency,
    pub agreement: Arc<Agreement>,
    pub hold: Hold,
    pub traceparent: Option<String>,
}

/// The clock, as far as a release may use it.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// The database's time.
    pub now: Instant,
    /// The freshness gate's moment less the margin; `None`: the gate is closed.
    pub gate: Option<Instant>,
    /// Holds due before this need a person (going live).
    pub not_before: Instant,
}

/// The first test of section 6 that fails, in the contract's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Releases are paused (decided outside of the hold).
    Paused,
    /// The gate is closed, or its moment is before the release date.
    Gate,
    /// A legal, review or bad-message block.
    Barred,
    /// A dispute or manual block keeps all that is left.
    Blocked,
    /// The anchor is unknown.
    Pending,
    /// The calendar does not know the dates.
    NoCalendar,
    /// Not due before this instant.
    NotYet(Instant),
    /// Due before `release.not_before`.
    BeforeStart,
    /// Nothing is left.
    Finished,
}

/// What may go at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portion {
    pub amount: Amount,
    pub reason: ReleaseReason,
    /// The dates under which it goes; `None` for a release by limit of a hold without dates.
    pub dates: Option<Dates>,
}

/// The answer for one hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What goes now, the hold's own part first.
    pub portions: Vec<Portion>,
    /// Why the rest, or all, stays.
    pub obstacles: Vec<Obstacle>,
    /// An alert is owed because the limit has passed.
    pub limit_alert: bool,
    /// When to look at the hold again, if something is left.
    pub wake_at: Option<Instant>,
}

/// Which part of which settlement a release belongs to; `None` for limit releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettlementPart {
    pub id: SettlementId,
    pub part: u32,
}

/// How often a hold past its limit is announced, and how soon one that needs a person is looked
/// at again.
const DAY_HOURS: u32 = 24;

/// Applies the tests of section 6 to one hold, pauses and settlement minimum aside.
///
/// What comes first, the date of money or the limit of its hold, lets it go, however late somebody
/// looks: downtime changes no settlement date.
#[must_use]
pub fn judge(claim: &Claim, clock: Clock) -> Judgement {
    let hold = &claim.hold;
    if hold.left.is_zero() {
        return Judgement {
            portions: Vec::new(),
            obstacles: vec![Obstacle::Finished],
            limit_alert: false,
            wake_at: None,
        };
    }
    let passed = |at: Instant| at <= clock.now;
    let open = |at: Instant| clock.gate.is_some_and(|gate| at <= gate);
    let started = |at: Instant| at >= clock.not_before;
    let limit_at = hold.limit_at.filter(|at| passed(*at));
    let releases = claim
        .term()
        .is_some_and(|term| term.at_limit == AtLimit::Release);
    let by_limit = limit_at.filter(|_| releases && !hold.barred);
    let lets_go = by_limit.filter(|at| open(*at) && started(*at));
    let mut portions: Vec<Portion> = Vec::new();
    for (amount, dates) in free_parts(hold) {
        let at = dates.release_at;
        let limit_first = lets_go.is_some_and(|limit| limit < at);
        if limit_first || !(passed(at) && open(at) && started(at)) {
            continue;
        }
        match portions.iter_mut().find(|it| it.release_at() == Some(at)) {
            Some(portion) => portion.amount = portion.amount.plus(amount).unwrap_or(amount),
            None => portions.push(Portion {
                amount,
                reason: ReleaseReason::Due,
                dates: Some(dates),
            }),
        }
    }
    let due = portions.iter().map(|portion| portion.amount);
    let rest = due.fold(hold.left, less);
    let by_limit = by_limit.filter(|_| !rest.is_zero());
    if lets_go.is_some() && !rest.is_zero() {
        portions.push(Portion {
            amount: rest,
            reason: ReleaseReason::Limit,
            dates: hold.dates,
        });
    }
    let mut after = hold.clone();
    for portion in &portions {
        portion.take(&mut after);
    }
    let alerted = hold
        .limit_alerted_at
        .and_then(|at| at.plus_hours(DAY_HOURS));
    let limit_alert = limit_at.is_some()
        && by_limit.is_none()
        && !after.left.is_zero()
        && alerted.is_none_or(passed);
    Judgement {
        obstacles: obstacles(&after, clock, by_limit),
        limit_alert,
        wake_at: next_look(&after, clock, by_limit),
        portions,
    }
}

/// The free money of each part that has dates.
fn free_parts(hold: &Hold) -> impl Iterator<Item = (Amount, Dates)> {
    hold.parts().filter_map(|part| {
        let free = less(part.amount, part.blocked);
        part.dates
            .filter(|_| !free.is_zero())
            .map(|dates| (free, dates))
    })
}

/// Why what is left stays, in the order of section 6.
fn obstacles(hold: &Hold, clock: Clock, by_limit: Option<Instant>) -> Vec<Obstacle> {
    if hold.left.is_zero() {
        return vec![Obstacle::Finished];
    }
    let mut due: Vec<Instant> = free_parts(hold)
        .map(|(_, dates)| dates.release_at)
        .filter(|at| *at <= clock.now)
        .collect();
    due.extend(by_limit);
    let gated = |at: &Instant| clock.gate.is_none_or(|gate| *at > gate);
    let early = |at: &Instant| *at < clock.not_before;
    let mut obstacles = Vec::new();
    let mut add = |stands: bool, obstacle: Obstacle| {
        if stands {
            obstacles.push(obstacle);
        }
    };
    add(
        clock.gate.is_none() || due.iter().any(gated),
        Obstacle::Gate,
    );
    add(hold.barred, Obstacle::Barred);
    let blocked = !hold.barred && !hold.blocked.is_zero() && by_limit.is_none();
    add(blocked, Obstacle::Blocked);
    add(hold.anchor_at.is_none(), Obstacle::Pending);
    let undated = hold.anchor_at.is_some() && hold.dates.is_none();
    add(undated, Obstacle::NoCalendar);
    let parts = hold.parts().filter_map(|part| part.dates);
    let later = parts
        .map(|dates| dates.release_at)
        .filter(|at| *at > clock.now);
    if let Some(at) = later.min() {
        add(true, Obstacle::NotYet(at));
    }
    add(due.iter().any(early), Obstacle::BeforeStart);
    obstacles
}

/// When to look again at what is left: when its next part falls due or its limit passes; at once
/// while only the gate keeps it; a day later when it was due before the start, which a person or
/// another setting changes.
fn next_look(hold: &Hold, clock: Clock, by_limit: Option<Instant>) -> Option<Instant> {
    if hold.left.is_zero() {
        return None;
    }
    let tomorrow = clock.now.plus_hours(DAY_HOURS).unwrap_or(Instant::MAX);
    let due = free_parts(hold).map(|(_, dates)| dates.release_at);
    let goes_at = due.chain(by_limit).map(|at| {
        let before_start = at <= clock.now && at < clock.not_before;
        if before_start { tomorrow } else { at }
    });
    let alerted = hold
        .limit_alerted_at
        .and_then(|at| at.plus_hours(DAY_HOURS));
    let limit_at = hold.limit_at.map(|at| match alerted {
        _ if at > clock.now => at,
        Some(again) if again > clock.now => again,
        _ => tomorrow,
    });
    goes_at.chain(limit_at).min().or(Some(tomorrow))
}

/// Takes the portion out of the hold and says so: `release.issued`, then what it pays of the debts
/// and to the deposit of its merchant and currency.
#[must_use]
pub fn issue(
    claim: &mut Claim,
    portion: &Portion,
    settlement: Option<SettlementPart>,
    purse: &mut Purse,
    now: Instant,
) -> Vec<Entry> {
    portion.take(&mut claim.hold);
    let release_id = ReleaseId::of(claim.hold.id, claim.hold.releases);
    let cuts = purse.cut(portion.amount, Some(&claim.agreement.deposit));
    let attempt = 1;
    let due = portion
        .dates
        .filter(|_| portion.reason == ReleaseReason::Due);
    let event = Event::ReleaseIssued(ReleaseIssued {
        release_id,
        attempt,
        gross: portion.amount,
        recovered: cuts.recovered,
        to_deposit: cuts.to_deposit,
        amount: cuts.amount,
        settlement_id: settlement.map(|it| it.id),
        settlement_part: settlement.map(|it| it.part),
        settlement_date: due.map(|dates| dates.settlement_on),
        reason: portion.reason,
        issued_at: now,
    });
    let transfer = Transfer {
        debit: Account::Held,
        credit: Account::Payable,
        amount: portion.amount,
    };
    let mut entries = vec![claim.say(event, Some(transfer), attempt.to_string())];
    entries.extend(cuts.entries(release_id, claim.currency, claim.traceparent.as_ref()));
    entries
}

/// Says that the hold is past its limit, and notes it.
#[must_use]
pub fn limit_reached(claim: &mut Claim, now: Instant) -> Entry {
    let limit_at = claim.hold.limit_at.unwrap_or(now);
    claim.hold.limit_alerted_at = Some(now);
    let event = Event::HoldLimitReached(HoldLimitReached {
        limit_at,
        left: claim.hold.left,
    });
    // Alerts are a day apart, so that no two have the same number.
    let hours = now
        .timestamp()
        .duration_since(limit_at.timestamp())
        .as_hours();
    let day = hours / i64::from(DAY_HOURS);
    claim.say(event, None, format!("limit:{limit_at}:{day}"))
}

/// Moves a portion to the next settlement date because the settlement is under its minimum.
/// `None` when the oldest has waited `minimum_max_days` or the calendar ends: then it goes now.
#[must_use]
pub fn carry_over(claim: &mut Claim, portion: &Portion, calendars: &Calendars) -> Option<Entry> {
    let due = portion.dates?;
    let agreement = &claim.agreement;
    let after = due.release_at.timestamp() + SignedDuration::from_micros(1);
    let next = settlement::settle(agreement, Instant::new(after), calendars)?;
    let hours = agreement
        .settlement
        .minimum_max_days
        .checked_mul(DAY_HOURS)?;
    if next.0 > due.eligible_at.plus_hours(hours)? {
        return None;
    }
    // What lay on that date until now: it only shrinks, so that no two moves have one cause.
    let parts = claim.hold.parts();
    let there = parts.filter(|part| part.dates.is_some_and(|it| it.release_at == due.release_at));
    let there: Vec<String> = there.map(|part| part.amount.to_string()).collect();
    let cause = format!("settlement:{}:{}", due.settlement_on, there.join("+"));
    let moved = claim.hold.carry(portion.amount, due.release_at, next)?;
    let reason = RescheduleReason::SettlementMinimum;
    let event = claim.hold.rescheduled(portion.amount, Some(moved), reason);
    Some(claim.say(Event::HoldRescheduled(event), None, cause))
}

/// When to look at a hold first, and after every change: its earliest date, or its limit. `None`
/// only when nothing is left.
#[must_use]
pub fn wake_at(hold: &Hold) -> Option<Instant> {
    if hold.left.is_zero() {
        return None;
    }
    let due = free_parts(hold).map(|(_, dates)| dates.release_at);
    let alerted = hold
        .limit_alerted_at
        .and_then(|at| at.plus_hours(DAY_HOURS));
    let limit_at = hold.limit_at.max(alerted);
    due.chain(limit_at).min()
}

impl Claim {
    /// One of an order's holds; `None` while the order is not applied.
    #[must_use]
    pub fn of(order: &Order, hold: &Hold) -> Option<Self> {
        Some(Self {
            merchant: order.merchant.clone(),
            order: order.id.clone(),
            currency: order.sale.as_ref()?.value.currency,
            agreement: order.agreement.clone()?,
            hold: hold.clone(),
            traceparent: order.traceparent.clone(),
        })
    }

    /// The hold's term in its agreement.
    #[must_use]
    pub fn term(&self) -> Option<&Term> {
        self.agreement.terms.get(usize::from(self.hold.term_no))
    }

    pub(super) fn say(&self, event: Event, transfer: Option<Transfer>, cause: String) -> Entry {
        Entry {
            event,
            order: Some(self.order.clone()),
            hold: Some(self.hold.id),
            currency: Some(self.currency),
            transfer,
            cause,
            traceparent: self.traceparent.clone(),
        }
    }
}

impl Portion {
    /// When the part of the hold that it takes was due; `None` for all parts.
    fn release_at(&self) -> Option<Instant> {
        self.dates
            .filter(|_| self.reason == ReleaseReason::Due)
            .map(|dates| dates.release_at)
    }

    fn take(&self, hold: &mut Hold) {
        match self.reason {
            ReleaseReason::Early => hold.release_free(self.amount),
            _ => hold.release(self.amount, self.release_at()),
        }
    }
}
