//! Days, local times and settlements against models that only walk and look.

use holdback::rules::agreement::{Agreement, Count, Cycle, DayKind, Roll};
use holdback::rules::calendar::Calendar;
use holdback::rules::settlement::{dates, settle};
use holdback::rules::time::{Instant, zone};
use jiff::civil::{Date, DateTime, time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::samples::{agreement, at};
use crate::{DAY, calendar, calendars};

const ZONES: [&str; 6] = [
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Asia/Shanghai",
    "Pacific/Apia",
];

/// The first quarter of an hour at which a clock in the zone has reached that time: no notion of
/// gaps and folds, only of looking at the clock.
fn clock_reaches(wanted: DateTime, zone: &TimeZone) -> Timestamp {
    let start = TimeZone::UTC.to_timestamp(wanted).unwrap() - SignedDuration::from_hours(27);
    (0..=55 * 4)
        .map(|quarter| start + SignedDuration::from_mins(15 * quarter))
        .find(|at| zone.to_datetime(*at) >= wanted)
        .unwrap()
}

/// An instant on a quarter of an hour from 2008 to 2031, near a day that is hard in some zone.
fn any_instant() -> impl Strategy<Value = Instant> {
    let hard = prop::sample::select(vec![
        "2011-12-30T10:00:00Z",
        "2018-11-04T03:00:00Z",
        "2018-02-18T02:00:00Z",
        "2026-03-08T07:00:00Z",
        "2026-11-01T06:00:00Z",
        "2026-04-04T15:00:00Z",
        "2026-10-03T15:30:00Z",
    ]);
    let near = (hard, -40 * 96..4 * 96_i64).prop_map(|(hard, quarters)| {
        at(hard).timestamp() + SignedDuration::from_mins(15 * quarters)
    });
    let any = (0..23 * 365 * 96_i64).prop_map(|quarters| {
        at("2008-01-01T00:00:00Z").timestamp() + SignedDuration::from_mins(15 * quarters)
    });
    prop_oneof![near, any].prop_map(Instant::new)
}

/// A calendar with holidays and working weekends scattered over a year and a half around a day.
fn any_days_off(around: Instant) -> impl Strategy<Value = Calendar> {
    let start =
        around.timestamp().to_zoned(TimeZone::UTC).date() - SignedDuration::from_hours(24 * 60);
    let days = move |offset: i64| start + SignedDuration::from_hours(24 * offset);
    (
        prop::collection::vec((0..560_i64, 1..12_i64), 0..25),
        prop::collection::btree_set(0..560_i64, 0..30),
        prop::sample::select(vec![vec![6, 7], vec![5, 6], vec![7], vec![]]),
    )
        .prop_map(move |(closed, open, weekend)| {
            let mut calendar =
                calendar("any", &[], &open.into_iter().map(days).collect::<Vec<_>>());
            calendar.weekend = weekend.into_iter().collect();
            calendar.holidays = closed
                .into_iter()
                .flat_map(|(first, length)| (first..first + length).map(days))
                .filter(|day| !calendar.working_days.contains(day))
                .collect();
            calendar
        })
        .prop_filter("idle for a month", |calendar| calendar.check().is_ok())
}

fn any_cycle() -> impl Strategy<Value = Cycle> {
    prop_oneof![
        Just(Cycle::Daily),
        (prop::collection::vec(1..=7_u8, 1..3), 1..=4_u32)
            .prop_map(|(weekdays, every)| Cycle::Weekly { weekdays, every }),
        prop::collection::vec(prop_oneof![Just(-1_i8), 1..=31_i8], 1..3)
            .prop_map(|days_of_month| Cycle::Monthly { days_of_month }),
    ]
}

fn any_roll() -> impl Strategy<Value = Roll> {
    use Roll::{Following, ModifiedFollowing, Preceding, Unadjusted};
    prop::sample::select(vec![Following, ModifiedFollowing, Preceding, Unadjusted])
}

/// The cycle's own dates, as one would mark them in a wall calendar.
fn marked(cycle: &Cycle, from: Date, days: i64, effective_from: Date) -> Vec<Date> {
    let all = (0..days).map(|offset| from + SignedDuration::from_hours(24 * offset));
    match cycle {
        Cycle::Daily => all.collect(),
        Cycle::Weekly { weekdays, every } => {
            let mut monday = effective_from;
            while monday.weekday() != jiff::civil::Weekday::Monday {
                monday -= DAY;
            }
            let mut dates = Vec::new();
            while monday < from + SignedDuration::from_hours(24 * days) {
                for offset in 0..7_i64 {
                    let day = monday + SignedDuration::from_hours(24 * offset);
                    if weekdays.contains(&u8::try_from(offset + 1).unwrap()) && day >= from {
                        dates.push(day);
                    }
                }
                monday += SignedDuration::from_hours(24 * 7 * i64::from(*every));
            }
            dates
        }
        Cycle::Monthly { days_of_month } => all
            .filter(|day| {
                days_of_month.iter().any(|wanted| match *wanted {
                    -1 => *day == day.last_of_month(),
                    n if n > day.days_in_month() => *day == day.last_of_month(),
                    n => day.day() == n,
                })
            })
            .collect(),
    }
}

fn rolled(day: Date, roll: Roll, works: &impl Fn(Date) -> bool) -> Date {
    let step = |mut day: Date, by: SignedDuration| {
        while !works(day) {
            day += by;
        }
        day
    };
    match roll {
        Roll::Unadjusted => day,
        Roll::Following => step(day, DAY),
        Roll::Preceding => step(day, -DAY),
        Roll::ModifiedFollowing => {
            let following = step(day, DAY);
            if following.month() == day.month() {
                following
            } else {
                step(day, -DAY)
            }
        }
    }
}

#[derive(Debug, Clone)]
struct Case {
    agreement: Agreement,
    calendar: Calendar,
    eligible: Instant,
}

fn any_case() -> impl Strategy<Value = Case> {
    let cut_off = (0..96_i8).prop_map(|quarter| time(quarter / 4, quarter % 4 * 15, 0, 0));
    let settings = (
        any_cycle(),
        any_roll(),
        cut_off,
        prop::sample::select(ZONES.to_vec()),
    );
    (settings, any_instant())
        .prop_flat_map(|(settings, eligible)| {
            (Just(settings), Just(eligible), any_days_off(eligible))
        })
        .prop_map(|((cycle, roll, cut_off, zone), eligible, calendar)| {
            let mut agreement = agreement();
            agreement.time_zone = zone.to_owned();
            agreement.calendar = Some(calendar.calendar.clone());
            agreement.settlement.cycle = cycle;
            agreement.settlement.roll = roll;
            agreement.settlement.cut_off = cut_off;
            Case {
                agreement,
                calendar,
                eligible,
            }
        })
}

proptest! {
    #[test]
    fn money_goes_on_the_earliest_rolled_date_that_is_not_before_it_is_eligible(case in any_case()) {
        let Case { agreement, calendar, eligible } = case;
        let zone = zone(&agreement.time_zone).unwrap();
        let start = zone.to_datetime(eligible.timestamp()).date();
        let effective_from = zone.to_datetime(agreement.effective_from.timestamp()).date();
        let terms = &agreement.settlement;
        let works = |day| calendar.works(day).unwrap();
        let before = start - SignedDuration::from_hours(24 * 50);
        let mut dates: Vec<Date> = marked(&terms.cycle, before, 300, effective_from)
            .into_iter()
            .map(|day| rolled(day, terms.roll, &works))
            .filter(|day| *day + DAY + DAY > start)
            .collect();
        dates.sort();
        let settles_at = dates
            .into_iter()
            .map(|day| clock_reaches(day.to_datetime(terms.cut_off), &zone))
            .find(|settles_at| *settles_at >= eligible.timestamp())
            .unwrap();
        let expected = (Instant::new(settles_at), zone.to_datetime(settles_at).date());
        let given = settle(&agreement, eligible, &calendars([calendar]));
        prop_assert_eq!(given, Some(expected));
    }

    #[test]
    fn a_calendar_that_knows_less_gives_the_same_answer_or_none(
        case in any_case(),
        before in 0..40_i64,
        after in 0..60_i64,
    ) {
        let Case { agreement, mut calendar, eligible } = case;
        let whole = settle(&agreement, eligible, &calendars([calendar.clone()]));
        let day = eligible.timestamp().to_zoned(TimeZone::UTC).date();
        calendar.from = Some(day - SignedDuration::from_hours(24 * before));
        calendar.until = Some(day + SignedDuration::from_hours(24 * after));
        let part = settle(&agreement, eligible, &calendars([calendar]));
        prop_assert!(part.is_none() || part == whole, "{:?} {:?}", part, whole);
        // Known from a month before to long after: then there is no excuse.
        let long = matches!(agreement.settlement.cycle, Cycle::Daily);
        prop_assert!(!long || before < 32 || after < 32 || part.is_some());
    }

    #[test]
    fn days_are_counted_as_one_counts_them_on_a_wall_calendar(
        case in any_case(),
        days in 0..40_u32,
        business in any::<bool>(),
        count in prop::sample::select(vec![Count::Instant, Count::Date, Count::EndOfDay]),
    ) {
        let Case { mut agreement, calendar, eligible: anchor } = case;
        agreement.settlement.roll = Roll::Unadjusted;
        let mut term = agreement.terms[0].clone();
        term.days = days;
        term.count = count;
        term.day_kind = if business { DayKind::Business } else { DayKind::Calendar };
        let zone = zone(&agreement.time_zone).unwrap();
        let clock = zone.to_datetime(anchor.timestamp());
        let mut day = clock.date();
        let mut counted = 0;
        while counted < days {
            day += DAY;
            if !business || calendar.works(day).unwrap() {
                counted += 1;
            }
        }
        let midnight = jiff::civil::Time::midnight();
        let expected = match count {
            Count::Instant if days == 0 => anchor.timestamp(),
            Count::Instant => clock_reaches(day.to_datetime(clock.time()), &zone),
            Count::Date => clock_reaches(day.to_datetime(midnight), &zone),
            Count::EndOfDay => clock_reaches((day + DAY).to_datetime(midnight), &zone),
        };
        let given = dates(&agreement, &term, anchor, None, &calendars([calendar])).unwrap();
        prop_assert_eq!(given.window_ends_at.timestamp(), expected);
        prop_assert_eq!(given.eligible_at, anchor.max(given.window_ends_at));
        prop_assert!(given.release_at >= given.eligible_at);
        prop_assert_eq!(given.settlement_on, zone.to_datetime(given.release_at.timestamp()).date());
    }

    #[test]
    fn a_local_time_is_when_the_clock_first_reaches_it(
        near in any_instant(),
        zone_name in prop::sample::select(ZONES.to_vec()),
        shift in -8..8_i64,
    ) {
        let zone = zone(zone_name).unwrap();
        let wanted = near.local(&zone) + SignedDuration::from_mins(15 * shift);
        prop_assert_eq!(Instant::at_local(wanted, &zone).unwrap().timestamp(), clock_reaches(wanted, &zone));
    }
}
