//! On which date money is settled: cycles, rolls, cut-offs, and the edges of calendars.

use holdback::rules::agreement::{Agreement, Cycle, DayKind, Roll};
use holdback::rules::calendar::Calendars;
use holdback::rules::settlement::{dates, settle};
use holdback::rules::time::{Instant, zone};
use jiff::civil::{date, time};

use crate::samples::{agreement, at};
use crate::{calendar, calendars, china, local, named};

/// `daily`, `weekly 1,4` or `monthly 15,-1`.
fn cycle(text: &str) -> Cycle {
    let days =
        |list: &str| -> Vec<i8> { list.split(',').map(|day| day.parse().unwrap()).collect() };
    match text.split_once(' ') {
        Some(("weekly", weekdays)) => Cycle::Weekly {
            weekdays: days(weekdays).into_iter().map(i8::unsigned_abs).collect(),
            every: 1,
        },
        Some(("monthly", of_month)) => Cycle::Monthly {
            days_of_month: days(of_month),
        },
        _ => Cycle::Daily,
    }
}

/// Each row: cycle, roll, from when the money is eligible, `=` and when it is settled.
fn check_settlements(table: &str, agreement: &Agreement, calendars: &Calendars) {
    for row in table.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let (when, expected) = row.split_once(" = ").unwrap();
        let cells: Vec<&str> = when.split('|').map(str::trim).collect();
        let [of, roll, eligible] = cells[..] else {
            panic!("{row}")
        };
        let mut agreement = agreement.clone();
        agreement.settlement.cycle = cycle(of);
        agreement.settlement.roll = serde_json::from_value(roll.into()).unwrap();
        assert_eq!(settled(&agreement, eligible, calendars), expected, "{row}");
    }
}

/// The settlement of money that is eligible at a local time, as `day clock`.
fn settled(agreement: &Agreement, eligible: &str, calendars: &Calendars) -> String {
    let zone = zone(&agreement.time_zone).unwrap();
    let (day, clock) = eligible.split_once(' ').unwrap();
    let eligible = Instant::at_local(local(day, clock), &zone).unwrap();
    let Some((settles_at, settles_on)) = settle(agreement, eligible, calendars) else {
        return "unknown".to_owned();
    };
    let shown = settles_at
        .timestamp()
        .to_zoned(zone)
        .strftime("%Y-%m-%d %H:%M")
        .to_string();
    assert!(
        shown.starts_with(&settles_on.to_string()),
        "{settles_on} of {shown}"
    );
    shown
}

#[test]
fn money_settles_on_the_first_date_of_its_cycle_whose_cut_off_has_not_passed() {
    let mut agreement = agreement();
    agreement.settlement.cut_off = time(14, 0, 0, 0);
    // 1 May 2026 is a Friday.
    let table = "
        daily       | following | 2026-05-01 14:00 = 2026-05-01 14:00
        daily       | following | 2026-05-01 14:01 = 2026-05-02 14:00
        weekly 1,4  | following | 2026-05-01 00:00 = 2026-05-04 14:00
        weekly 1,4  | following | 2026-05-04 14:01 = 2026-05-07 14:00
        weekly 7    | following | 2026-05-03 13:00 = 2026-05-03 14:00
        monthly 1,15| following | 2026-05-01 15:00 = 2026-05-15 14:00
        monthly -1  | following | 2026-05-31 14:00 = 2026-05-31 14:00
        monthly -1  | following | 2028-02-01 00:00 = 2028-02-29 14:00
        monthly 31  | following | 2026-04-02 00:00 = 2026-04-30 14:00
        monthly 30  | following | 2026-02-02 00:00 = 2026-02-28 14:00
        monthly 30  | following | 2026-05-30 14:01 = 2026-06-30 14:00
        monthly 5   | following | 2026-12-05 14:01 = 2027-01-05 14:00
    ";
    check_settlements(table, &agreement, &Calendars::default());
}

#[test]
fn every_nth_week_counts_from_the_local_week_of_effective_from() {
    let mut agreement = agreement();
    agreement.settlement.cycle = Cycle::Weekly {
        weekdays: vec![1, 5],
        every: 2,
    };
    // Sunday 1 November in UTC, but Monday 2 November in Shanghai: that week is the first.
    agreement.effective_from = at("2026-11-01T18:00:00Z");
    let table = [
        ("2026-11-02 00:00", "2026-11-02 00:00"),
        ("2026-11-03 00:00", "2026-11-06 00:00"),
        ("2026-11-07 00:00", "2026-11-16 00:00"),
        ("2026-11-20 00:01", "2026-11-30 00:00"),
        ("2026-12-31 00:00", "2027-01-01 00:00"),
        ("2027-01-01 00:01", "2027-01-11 00:00"),
    ];
    for (eligible, expected) in table {
        assert_eq!(
            settled(&agreement, eligible, &Calendars::default()),
            expected
        );
    }
    // From a Sunday the first week is the one that ends with it.
    agreement.effective_from = at("2026-11-01T00:00:00Z");
    assert_eq!(
        settled(&agreement, "2026-11-02 00:00", &Calendars::default()),
        "2026-11-09 00:00"
    );
}

#[test]
fn a_date_is_found_a_year_and_the_longest_roll_ahead() {
    let mut agreement = agreement();
    agreement.settlement.cycle = Cycle::Weekly {
        weekdays: vec![1],
        every: 52,
    };
    agreement.effective_from = at("2025-11-03T00:00:00Z");
    let known = Calendars::default();
    assert_eq!(
        settled(&agreement, "2025-11-03 00:01", &known),
        "2026-11-02 00:00"
    );
    // From 2 November on 30 days are off.
    agreement.calendar = Some(named("closed"));
    let closed = calendar("closed", &[(date(2026, 11, 2), date(2026, 12, 1))], &[]);
    let known = calendars([closed]);
    assert_eq!(
        settled(&agreement, "2025-11-03 00:01", &known),
        "2026-12-02 00:00"
    );
}

#[test]
fn dates_that_do_not_work_are_rolled() {
    let mut agreement = agreement();
    agreement.calendar = Some(named("CN"));
    // China: 1 to 8 October 2025 are off, Sunday 28 September and Saturday 11 October work;
    // 31 May to 2 June are off.
    let table = "
        daily      | following          | 2025-10-01 00:00 = 2025-10-09 00:00
        daily      | following          | 2025-09-27 00:00 = 2025-09-28 00:00
        daily      | following          | 2025-10-11 00:00 = 2025-10-11 00:00
        daily      | preceding          | 2025-10-01 00:00 = 2025-10-09 00:00
        daily      | unadjusted         | 2025-10-01 00:00 = 2025-10-01 00:00
        monthly 5  | following          | 2025-10-01 00:00 = 2025-10-09 00:00
        monthly 5  | preceding          | 2025-09-30 00:00 = 2025-09-30 00:00
        monthly 5  | preceding          | 2025-09-30 00:01 = 2025-11-05 00:00
        monthly 5  | unadjusted         | 2025-10-01 00:00 = 2025-10-05 00:00
        weekly 4   | following          | 2025-10-05 00:00 = 2025-10-09 00:00
        monthly 2  | following          | 2025-10-06 12:00 = 2025-10-09 00:00
        monthly -1 | following          | 2025-05-30 00:00 = 2025-06-03 00:00
        monthly -1 | modified_following | 2025-05-30 00:00 = 2025-05-30 00:00
        monthly -1 | modified_following | 2025-05-30 00:01 = 2025-06-30 00:00
        monthly 1  | modified_following | 2025-05-31 00:00 = 2025-06-03 00:00
        monthly 1  | modified_following | 2025-10-02 00:00 = 2025-10-09 00:00
    ";
    check_settlements(table, &agreement, &calendars([china()]));
}

#[test]
fn a_cut_off_that_the_zone_skips_or_repeats_is_the_first_instant_that_exists() {
    let mut agreement = agreement();
    let mut settled_at = |zone: &str, cut_off, eligible| {
        agreement.time_zone = zone.to_owned();
        agreement.settlement.cut_off = cut_off;
        let (settles_at, day) = settle(&agreement, at(eligible), &Calendars::default()).unwrap();
        format!("{settles_at} {day}")
    };
    let half_past_two = time(2, 30, 0, 0);
    let given = settled_at("America/New_York", half_past_two, "2026-03-08T06:00:00Z");
    assert_eq!(given, "2026-03-08T07:00:00Z 2026-03-08");
    let half_past_one = time(1, 30, 0, 0);
    let given = settled_at("America/New_York", half_past_one, "2026-11-01T05:30:00Z");
    assert_eq!(given, "2026-11-01T05:30:00Z 2026-11-01");
    // After the first 01:30 the second is no settlement.
    let given = settled_at(
        "America/New_York",
        half_past_one,
        "2026-11-01T05:30:00.000001Z",
    );
    assert_eq!(given, "2026-11-02T06:30:00Z 2026-11-02");
    // 30 December does not exist in Samoa: its settlement is the start of the 31st.
    let given = settled_at("Pacific/Apia", time(10, 0, 0, 0), "2011-12-30T10:00:00Z");
    assert_eq!(given, "2011-12-30T10:00:00Z 2011-12-31");
}

#[test]
fn nothing_is_guessed_beyond_what_a_calendar_knows() {
    let mut agreement = agreement();
    agreement.calendar = Some(named("CN"));
    let known = calendars([china()]);
    let missing = Calendars::default();
    assert_eq!(
        settled(&agreement, "2025-05-08 00:00", &known),
        "2025-05-08 00:00"
    );
    assert_eq!(settled(&agreement, "2025-05-08 00:00", &missing), "unknown");
    assert_eq!(
        settled(&agreement, "2025-12-31 00:00", &known),
        "2025-12-31 00:00"
    );
    assert_eq!(settled(&agreement, "2025-12-31 00:01", &known), "unknown");
    assert_eq!(settled(&agreement, "2024-12-31 00:00", &known), "unknown");
    // Days in the zone count although the settlement needs no calendar.
    agreement.settlement.roll = Roll::Unadjusted;
    assert_eq!(
        settled(&agreement, "2026-02-01 00:00", &missing),
        "2026-02-01 00:00"
    );
    let mut business = agreement.terms[0].clone();
    business.day_kind = DayKind::Business;
    let in_may = at("2025-05-08T00:00:00Z");
    let in_december = at("2025-12-24T00:00:00Z");
    assert!(dates(&agreement, &business, in_may, None, &known).is_some());
    assert_eq!(dates(&agreement, &business, in_may, None, &missing), None);
    assert_eq!(
        dates(&agreement, &business, in_december, None, &known),
        None
    );
}
