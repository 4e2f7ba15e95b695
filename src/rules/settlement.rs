//! When a hold goes: day counting, settlement dates, roll and cut-off in the agreement's zone
//! (contract, section 5).
//!
//! Nothing is guessed: where a date depends on a day that no calendar knows, there is no date.

use jiff::SignedDuration;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::agreement::{Agreement, Anchor, Count, Cycle, DayKind, Roll, Term};
use super::calendar::{Calendars, WorkingDays, weekday};
use super::hold::Dates;
use super::time::{Instant, zone};

/// How far ahead a settlement date is looked for: a cycle of 52 weeks (364 days), the rest of a week, and
/// the longest roll (31 days).
const SEARCH_DAYS: u32 = 402;

/// When money under a term goes: the end of its window, from when nothing stands in the way, and
/// the settlement that takes it.
///
/// `cleared_at` is when its last block was cleared. `None` when a calendar is missing or does not
/// reach that far.
#[must_use]
pub fn dates(
    agreement: &Agreement,
    term: &Term,
    anchor_at: Instant,
    cleared_at: Option<Instant>,
    calendars: &Calendars,
) -> Option<Dates> {
    let window_ends_at = window_end(agreement, term, anchor_at, calendars)?;
    let eligible_at = anchor_at
        .max(window_ends_at)
        .max(cleared_at.unwrap_or(anchor_at));
    let (release_at, settlement_on) = settle(agreement, eligible_at, calendars)?;
    Some(Dates {
        window_ends_at,
        eligible_at,
        release_at,
        settlement_on,
    })
}

fn window_end(
    agreement: &Agreement,
    term: &Term,
    anchor_at: Instant,
    calendars: &Calendars,
) -> Option<Instant> {
    let zone = zone(&agreement.time_zone)?;
    let anchor = anchor_at.local(&zone);
    let last_day = match term.day_kind {
        DayKind::Calendar => plus_days(anchor.date(), term.days)?,
        DayKind::Business => {
            let working_days = calendars.working_days(agreement.calendar.as_ref());
            nth_working_day(anchor.date(), term.days, working_days)?
        }
    };
    match term.count {
        // Not by way of the local time, which would lose the second of two equal ones.
        Count::Instant if term.days == 0 => Some(anchor_at),
        Count::Instant => Instant::at_local(last_day.to_datetime(anchor.time()), &zone),
        Count::Date => midnight(last_day, &zone),
        Count::EndOfDay => midnight(last_day.tomorrow().ok()?, &zone),
    }
}

/// The first settlement at or after an instant: when, and its local date. `None` when a calendar
/// is missing or does not reach that far.
#[must_use]
pub fn settle(
    agreement: &Agreement,
    eligible_at: Instant,
    calendars: &Calendars,
) -> Option<(Instant, Date)> {
    let zone = zone(&agreement.time_zone)?;
    let cut_off = agreement.settlement.cut_off;
    // A day earlier: the cut-off of a day that the zone skips is the start of the next.
    let mut day = eligible_at.local(&zone).date().yesterday().ok()?;
    let mut settles_at = Instant::at_local(day.to_datetime(cut_off), &zone)?;
    while settles_at < eligible_at {
        day = day.tomorrow().ok()?;
        settles_at = Instant::at_local(day.to_datetime(cut_off), &zone)?;
    }
    let schedule = Schedule {
        cycle: &agreement.settlement.cycle,
        roll: agreement.settlement.roll,
        first_day: agreement.effective_from.local(&zone).date(),
        working_days: calendars.working_days(agreement.calendar.as_ref()),
    };
    for _ in 0..SEARCH_DAYS {
        if schedule.settles_on(day)? {
            let settles_at = Instant::at_local(day.to_datetime(cut_off), &zone)?;
            return Some((settles_at, settles_at.local(&zone).date()));
        }
        day = day.tomorrow().ok()?;
    }
    None
}

/// When a hold is too old to stay: 00:00 local, `limit_days` after the day of its anchor, or of the
/// order's completion while the anchor is unknown. [`Instant::MAX`] beyond the year 9999.
#[must_use]
pub fn limit_at(agreement: &Agreement, term: &Term, anchor_or_completed: Instant) -> Instant {
    zone(&agreement.time_zone)
        .and_then(|zone| {
            let day = anchor_or_completed.local(&zone).date();
            midnight(plus_days(day, term.limit_days)?, &zone)
        })
        .unwrap_or(Instant::MAX)
}

/// From when a term's clock runs; `None` while that is unknown.
#[must_use]
pub fn anchor_at(
    agreement: &Agreement,
    term: &Term,
    completed: Instant,
    delivered: Option<Instant>,
    confirmed: Option<Instant>,
) -> Option<Instant> {
    match term.anchor {
        Anchor::Completed => Some(completed),
        Anchor::Delivered => delivered,
        Anchor::Confirmed => {
            let confirmation = &agreement.confirmation;
            let silent = confirmation
                .required
                .then(|| completed.plus_hours(confirmation.auto_after_hours))
                .flatten();
            confirmed.into_iter().chain(silent).min()
        }
    }
}

/// The settlement dates of an agreement.
struct Schedule<'a> {
    cycle: &'a Cycle,
    roll: Roll,
    /// The local date from whose week every nth week counts.
    first_day: Date,
    working_days: WorkingDays<'a>,
}

impl Schedule<'_> {
    /// Whether a date of the cycle, rolled, falls on this day. Asked from the day that is rolled
    /// to, since only idle days right before or after it can be rolled there.
    fn settles_on(&self, day: Date) -> Option<bool> {
        if self.roll == Roll::Unadjusted {
            return Some(self.in_cycle(day));
        }
        if !self.working_days.works(day)? {
            return Some(false);
        }
        if self.in_cycle(day) {
            return Some(true);
        }
        match self.roll {
            Roll::Unadjusted => Some(false),
            Roll::Following => self.idle_before(day, false),
            Roll::Preceding => self.idle_after(day, false),
            Roll::ModifiedFollowing => {
                Some(self.idle_before(day, true)? || self.idle_after(day, true)?)
            }
        }
    }

    /// Whether a cycle date lies between the working day before `day` and `day`; with `in_month` in
    /// the month of `day`, and no other month has to be known.
    fn idle_before(&self, day: Date, in_month: bool) -> Option<bool> {
        let counts = |idle: Date| !in_month || idle.month() == day.month();
        let mut idle = day.yesterday().ok()?;
        while counts(idle) && !self.working_days.works(idle)? {
            if self.in_cycle(idle) {
                return Some(true);
            }
            idle = idle.yesterday().ok()?;
        }
        Some(false)
    }

    /// Whether a cycle date lies between `day` and the working day after it; with `to_month_end`
    /// one from which on the rest of its month is idle, and no day beyond has to be known.
    fn idle_after(&self, day: Date, to_month_end: bool) -> Option<bool> {
        let mut found = false;
        let mut idle = day.tomorrow().ok()?;
        while !self.working_days.works(idle)? {
            found |= self.in_cycle(idle);
            if found && (!to_month_end || idle == idle.last_of_month()) {
                return Some(true);
            }
            idle = idle.tomorrow().ok()?;
        }
        Some(false)
    }

    /// Whether this is a settlement date before rolling.
    fn in_cycle(&self, day: Date) -> bool {
        match self.cycle {
            Cycle::Daily => true,
            Cycle::Weekly { weekdays, every } => {
                weekdays.contains(&weekday(day))
                    && self.weeks_since_start(day).checked_rem(i64::from(*every)) == Some(0)
            }
            Cycle::Monthly { days_of_month } => days_of_month.iter().any(|wanted| {
                let last = day.days_in_month();
                let wanted = if *wanted == -1 {
                    last
                } else {
                    (*wanted).min(last)
                };
                wanted == day.day()
            }),
        }
    }

    /// Weeks, Monday to Sunday, from that of the first day to that of this day.
    fn weeks_since_start(&self, day: Date) -> i64 {
        let days = (day - self.first_day).get_days();
        let into_first_week = i32::from(weekday(self.first_day)) - 1;
        i64::from((days + into_first_week).div_euclid(7))
    }
}

/// The nth working day after `day`; for none, `day` itself, working or not.
fn nth_working_day(day: Date, n: u32, working_days: WorkingDays<'_>) -> Option<Date> {
    let mut day = day;
    let mut counted = 0;
    while counted < n {
        day = day.tomorrow().ok()?;
        if working_days.works(day)? {
            counted += 1;
        }
    }
    Some(day)
}

fn plus_days(day: Date, days: u32) -> Option<Date> {
    day.checked_add(SignedDuration::from_hours(i64::from(days) * 24))
        .ok()
}

fn midnight(day: Date, zone: &TimeZone) -> Option<Instant> {
    Instant::at_local(day.to_datetime(Time::midnight()), zone)
}
