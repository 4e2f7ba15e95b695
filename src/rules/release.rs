//! A hold meets the clock: what may go now, what waits, and until when.

use std::sync::Arc;

use super::agreement::Agreement;
use super::entry::{Entry, ReleaseReason};
use super::hold::{Dates, Hold};
use super::ids::{MerchantId, OrderId, SettlementId};
use super::money::{Amount, Currency};
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

/// Applies the tests of section 6 to one hold, pauses and settlement minimum aside.
#[must_use]
pub fn judge(claim: &Claim, clock: Clock) -> Judgement {
    let _ = (claim, clock);
    todo!()
}

/// Takes the portion out of the hold and says so: `release.issued`.
#[must_use]
pub fn issue(
    claim: &mut Claim,
    portion: &Portion,
    settlement: Option<SettlementPart>,
    now: Instant,
) -> Entry {
    let _ = (claim, portion, settlement, now);
    todo!()
}

/// Says that the hold is past its limit, and notes it.
#[must_use]
pub fn limit_reached(claim: &mut Claim, now: Instant) -> Entry {
    let _ = (claim, now);
    todo!()
}

/// Moves a portion to the next settlement date because the settlement is under its minimum.
/// `None` when the oldest has waited `minimum_max_days` or the calendar ends: then it goes now.
#[must_use]
pub fn carry_over(claim: &mut Claim, portion: &Portion) -> Option<Entry> {
    let _ = (claim, portion);
    todo!()
}

/// When to look at a hold first, and after every change: its earliest date, or its limit.
#[must_use]
pub fn wake_at(hold: &Hold) -> Option<Instant> {
    let _ = hold;
    todo!()
}
