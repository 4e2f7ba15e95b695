//! Section 5 of the contract in the plainest words: days counted one by one, settlement dates
//! looked for one by one, local times found by asking the zone what its clock shows.

use holdback::rules::agreement::{Agreement, Anchor, Count, Cycle, DayKind, Roll, Term};
use holdback::rules::calendar::Calendar;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

/// Unadjusted dates are looked at from this many days before: a roll goes no further.
const BEFORE: i64 = 45;
/// And this many days on: monthly and every 52 weeks both fall within.
const AFTER: i64 = 800;

/// The calendar of an agreement as far as it has come.
#[derive(Clone, Copy)]
pub enum Days<'a> {
    All,
    Of(&'a Calendar),
    NotThere,
}

/// When a hold may go, if nothing blocked it later than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    pub release_at: Timestamp,
    pub settlement_date: Date,
}

/// Monday is 1.
fn weekday(day: Date) -> u8 {
    u8::try_from(day.weekday().to_monday_one_offset()).expect("1 to 7")
}

fn plus(day: Date, days: i64) -> Date {
    day.checked_add(jiff::Span::new().days(days))
        .expect("a date of this century")
}

impl Days<'_> {
    fn works(self, day: Date) -> Option<bool> {
        let calendar = match self {
            Days::All => return Some(true),
            Days::NotThere => return None,
            Days::Of(calendar) => calendar,
        };
        if calendar.from.is_some_and(|from| day < from)
            || calendar.until.is_some_and(|until| until < day)
        {
            return None;
        }
        let weekend = calendar.weekend.contains(&weekday(day));
        let holiday = calendar.holidays.contains(&day);
        let extra = calendar.working_days.contains(&day);
        Some(extra || !weekend && !holiday)
    }

    /// The nearest working day on the way, this one included.
    fn nearest(self, mut day: Date, step: i64) -> Option<Date> {
        while !self.works(day)? {
            day = plus(day, step);
        }
        Some(day)
    }

    fn roll(self, day: Date, roll: Roll) -> Option<Date> {
        match roll {
            Roll::Unadjusted => Some(day),
            Roll::Following => self.nearest(day, 1),
            Roll::Preceding => self.nearest(day, -1),
            Roll::ModifiedFollowing => {
                let mut next = day;
                while next.month() == day.month() {
                    if self.works(next)? {
                        return Some(next);
                    }
                    next = plus(next, 1);
                }
                self.nearest(day, -1)
            }
        }
    }
}

/// What the clocks of the zone show.
fn local(zone: &TimeZone, at: Timestamp) -> DateTime {
    zone.to_offset(at).to_datetime(at)
}

pub fn local_date(zone: &TimeZone, at: Timestamp) -> Date {
    local(zone, at).date()
}

/// The first instant at which the zone's clock shows this time; if it never does, the first at
/// which it shows a later one.
pub fn instant(zone: &TimeZone, wanted: DateTime) -> Timestamp {
    let utc = |offset: jiff::tz::Offset| offset.to_timestamp(wanted).expect("this century");
    let naive = utc(jiff::tz::Offset::UTC);
    let day = jiff::SignedDuration::from_hours(30);
    let around = [zone.to_offset(naive - day), zone.to_offset(naive + day)];
    let shown = around
        .map(utc)
        .into_iter()
        .filter(|at| local(zone, *at) == wanted);
    if let Some(first) = shown.min() {
        return first;
    }
    let mut too_early = (naive - day).as_second();
    let mut late_enough = (naive + day).as_second();
    while late_enough - too_early > 1 {
        let middle = i64::midpoint(too_early, late_enough);
        let at = Timestamp::from_second(middle).expect("this century");
        if local(zone, at) < wanted {
            too_early = middle;
        } else {
            late_enough = middle;
        }
    }
    Timestamp::from_second(late_enough).expect("this century")
}

fn midnight(zone: &TimeZone, day: Date) -> Timestamp {
    instant(zone, day.to_datetime(Time::midnight()))
}

/// The end of a term's hold period; none while a day is not known.
pub fn window_ends_at(
    term: &Term,
    zone: &TimeZone,
    days: Days<'_>,
    anchor: Timestamp,
) -> Option<Timestamp> {
    let start = local(zone, anchor);
    let mut last = start.date();
    let mut counted = 0;
    while counted < term.days {
        last = plus(last, 1);
        let counts = match term.day_kind {
            DayKind::Calendar => true,
            DayKind::Business => days.works(last)?,
        };
        counted += u32::from(counts);
    }
    Some(match term.count {
        Count::Instant if term.days == 0 => anchor,
        Count::Instant => instant(zone, last.to_datetime(start.time())),
        Count::Date => midnight(zone, last),
        Count::EndOfDay => midnight(zone, plus(last, 1)),
    })
}

pub fn limit_at(term: &Term, zone: &TimeZone, from: Timestamp) -> Timestamp {
    midnight(
        zone,
        plus(local_date(zone, from), i64::from(term.limit_days)),
    )
}

/// Whether the cycle names this date, before rolling.
fn in_cycle(agreement: &Agreement, zone: &TimeZone, day: Date) -> bool {
    match &agreement.settlement.cycle {
        Cycle::Daily => true,
        Cycle::Weekly { weekdays, every } => {
            let monday = |day: Date| plus(day, 1 - i64::from(weekday(day)));
            let first = monday(local_date(zone, agreement.effective_from.timestamp()));
            let weeks = (monday(day) - first).get_days() / 7;
            let every = i32::try_from(*every).expect("few weeks");
            weekdays.contains(&weekday(day)) && weeks.rem_euclid(every) == 0
        }
        Cycle::Monthly { days_of_month } => days_of_month.iter().any(|wanted| {
            let last = day.days_in_month();
            let wanted = if *wanted == -1 {
                last
            } else {
                (*wanted).min(last)
            };
            day.day() == wanted
        }),
    }
}

/// The earliest settlement at or after that instant; none while a day is not known.
pub fn settlement(
    agreement: &Agreement,
    zone: &TimeZone,
    days: Days<'_>,
    eligible_at: Timestamp,
) -> Option<Due> {
    let today = local_date(zone, eligible_at);
    for ahead in -BEFORE..AFTER {
        let unadjusted = plus(today, ahead);
        if !in_cycle(agreement, zone, unadjusted) {
            continue;
        }
        let settlement_date = days.roll(unadjusted, agreement.settlement.roll)?;
        if settlement_date < plus(today, -1) {
            continue;
        }
        let cut_off = settlement_date.to_datetime(agreement.settlement.cut_off);
        let release_at = instant(zone, cut_off);
        if release_at >= eligible_at {
            return Some(Due {
                release_at,
                settlement_date,
            });
        }
    }
    panic!("a cycle without a date in two years")
}

/// The anchor of a term, when it is known.
pub fn anchor(
    agreement: &Agreement,
    term: &Term,
    completed: Timestamp,
    delivered: Option<Timestamp>,
    confirmed: Option<Timestamp>,
) -> Option<Timestamp> {
    match term.anchor {
        Anchor::Completed => Some(completed),
        Anchor::Delivered => delivered,
        Anchor::Confirmed => {
            let hours = i64::from(agreement.confirmation.auto_after_hours);
            let by_itself = agreement
                .confirmation
                .required
                .then(|| completed + jiff::SignedDuration::from_hours(hours));
            [confirmed, by_itself].into_iter().flatten().min()
        }
    }
}
