//! Calendars that contradict themselves.

use holdback::rules::calendar::{Calendar, IDLE_DAYS};
use jiff::civil::{Date, date};
use proptest::prelude::*;

use crate::{DAY, calendar, china};

#[test]
fn a_calendar_that_contradicts_itself_is_refused() {
    let on = |month, day| date(2025, month, day);
    assert_eq!(china().check(), Ok(()));
    assert_eq!(calendar("plain", &[], &[]).check(), Ok(()));
    let mut wrong = china();
    wrong.holidays.insert(on(10, 11));
    wrong.working_days.insert(on(5, 1));
    let both = |day| format!("{day} is both a holiday and a working day");
    assert_eq!(
        wrong.check(),
        Err(vec![both("2025-05-01"), both("2025-10-11")])
    );
    let mut backwards = china();
    (backwards.from, backwards.until) = (backwards.until, backwards.from);
    assert_eq!(
        backwards.check(),
        Err(vec!["`from` is after `until`".to_owned()])
    );
}

#[test]
fn thirty_one_days_without_a_working_day_are_refused() {
    let on = |month, day| date(2025, month, day);
    let idle_from = |day| Err(vec![format!("no working day in 31 days from {day}")]);
    let closed = |last| calendar("closed", &[(on(7, 1), last)], &[]);
    // 1 July 2025 is a Tuesday, 31 July a Thursday.
    assert_eq!(closed(on(7, 30)).check(), Ok(()));
    assert_eq!(closed(on(7, 31)).check(), idle_from("2025-07-01"));
    let mut split = closed(on(8, 20));
    split.holidays.remove(&on(7, 21));
    assert_eq!(split.check(), Ok(()));
    // Every day is a weekend day: only listed days work.
    let mut rare = calendar("rare", &[], &[on(1, 31), on(3, 3), on(4, 2)]);
    rare.weekend = (1..=7).collect();
    (rare.from, rare.until) = (Some(on(1, 1)), Some(on(5, 2)));
    assert_eq!(rare.check(), Ok(()));
    rare.until = Some(on(5, 3));
    assert_eq!(rare.check(), idle_from("2025-04-03"));
    (rare.from, rare.until) = (Some(date(2024, 12, 31)), Some(on(5, 2)));
    assert_eq!(rare.check(), idle_from("2024-12-31"));
    rare.working_days.clear();
    assert!(rare.check().is_err());
    (rare.from, rare.until) = (Some(on(1, 1)), Some(on(1, 30)));
    assert_eq!(rare.check(), Ok(()));
}

proptest! {
    #[test]
    fn a_calendar_is_refused_exactly_when_a_walk_over_it_finds_31_idle_days(
        weekend in prop::collection::btree_set(1..=7_u8, 0..=7),
        closed in prop::collection::vec((0..300_i64, 1..40_i64), 0..6),
        open in prop::collection::btree_set(0..300_i64, 0..30),
        known in (0..60_i64, 0..300_i64),
    ) {
        let day = |offset: i64| date(2025, 1, 1) + DAY * i32::try_from(offset).unwrap();
        let mut calendar = calendar("any", &[], &open.into_iter().map(day).collect::<Vec<_>>());
        calendar.weekend = weekend;
        calendar.holidays = closed
            .into_iter()
            .flat_map(|(first, length)| (first..first + length).map(day))
            .filter(|day| !calendar.working_days.contains(day))
            .collect();
        let (first, length) = known;
        (calendar.from, calendar.until) = (Some(day(first)), Some(day(first + length)));
        prop_assert_eq!(calendar.check().is_err(), walk_finds_idle_days(&calendar, day(first), length));
    }
}

fn walk_finds_idle_days(calendar: &Calendar, first: Date, length: i64) -> bool {
    let mut day = first;
    let mut idle = 0;
    for _ in 0..=length {
        idle = if calendar.works(day).unwrap() {
            0
        } else {
            idle + 1
        };
        if idle == IDLE_DAYS {
            return true;
        }
        day += DAY;
    }
    false
}
