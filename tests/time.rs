//! Time: how instants are written, how days are counted in a zone, and on which settlement date
//! money goes. The tables read `what | is = what it gives`; the properties compare with models that
//! walk day by day and quarter hour by quarter hour.

mod samples;

use std::collections::BTreeSet;
use std::sync::Arc;

use holdback::rules::agreement::{Agreement, Anchor, Count, Cycle, DayKind, Roll};
use holdback::rules::calendar::{Calendar, Calendars};
use holdback::rules::ids::CalendarId;
use holdback::rules::settlement::{anchor_at, dates, limit_at, settle};
use holdback::rules::time::{Instant, zone};
use jiff::civil::{Date, DateTime, date, time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;
use samples::{agreement, at};

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn named(id: &str) -> CalendarId {
    CalendarId::parse(id).unwrap()
}

fn calendar(id: &str, holidays: &[(Date, Date)], working_days: &[Date]) -> Calendar {
    let days = |(first, last): &(Date, Date)| {
        let last = *last;
        first.series(1.day()).take_while(move |day| *day <= last)
    };
    Calendar {
        calendar: named(id),
        version: 1,
        weekend: BTreeSet::from([6, 7]),
        holidays: holidays.iter().flat_map(days).collect(),
        working_days: working_days.iter().copied().collect(),
        from: None,
        until: None,
    }
}

/// China in 2025: holidays, and 调休: weekend days that work in exchange.
fn china() -> Calendar {
    let on = |month, day| date(2025, month, day);
    let holidays = [
        (on(1, 1), on(1, 1)),
        (on(1, 28), on(2, 4)),
        (on(4, 4), on(4, 6)),
        (on(5, 1), on(5, 5)),
        (on(5, 31), on(6, 2)),
        (on(10, 1), on(10, 8)),
    ];
    let mut china = calendar(
        "CN",
        &holidays,
        &[on(1, 26), on(2, 8), on(4, 27), on(9, 28), on(10, 11)],
    );
    (china.from, china.until) = (Some(on(1, 1)), Some(on(12, 31)));
    china
}

fn calendars(of: impl IntoIterator<Item = Calendar>) -> Calendars {
    Calendars(
        of.into_iter()
            .map(|one| (one.calendar.clone(), Arc::new(one)))
            .collect(),
    )
}

/// `2026-12-17 16:00 +05:30`: a local time with its offset.
fn shown(at: Instant, zone: &TimeZone) -> String {
    at.timestamp()
        .to_zoned(zone.clone())
        .strftime("%Y-%m-%d %H:%M %:z")
        .to_string()
}

fn local(day: &str, clock: &str) -> DateTime {
    format!("{day}T{clock}").parse().unwrap()
}

#[test]
fn instants_are_written_in_utc_with_six_digits_of_a_fraction_or_none() {
    let table = [
        ("2026-11-01T00:00:00+08:00", "2026-10-31T16:00:00Z"),
        ("2026-11-01T00:00:00.5Z", "2026-11-01T00:00:00.500000Z"),
        ("2026-11-01T00:00:00.000001Z", "2026-11-01T00:00:00.000001Z"),
        (
            "2026-11-01T00:00:00.0000019Z",
            "2026-11-01T00:00:00.000001Z",
        ),
        ("2026-11-01T00:00:00.0000009Z", "2026-11-01T00:00:00Z"),
        (
            "1969-12-31T23:59:59.9999999Z",
            "1969-12-31T23:59:59.999999Z",
        ),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ];
    for (read, written) in table {
        assert_eq!(at(read).to_string(), written);
        assert_eq!(
            serde_json::to_string(&at(read)).unwrap(),
            format!("\"{written}\"")
        );
        assert_eq!(at(written), at(read));
    }
}

#[test]
fn hours_are_added_up_to_the_end_of_time() {
    let start = at("2026-03-29T00:30:00Z");
    assert_eq!(start.plus_hours(240), Some(at("2026-04-08T00:30:00Z")));
    assert_eq!(start.plus_hours(0), Some(start));
    assert_eq!(start.plus_hours(u32::MAX), None);
}

#[test]
fn zones_are_known_by_their_iana_name_only() {
    for known in ["Asia/Shanghai", "UTC", "America/Sao_Paulo", "Europe/Kyiv"] {
        assert!(zone(known).is_some(), "{known}");
    }
    for unknown in [
        "",
        "Mars/Olympus",
        "Etc/Unknown",
        "+08:00",
        "CST6CDT,M3.2.0,M11.1.0",
    ] {
        assert!(zone(unknown).is_none(), "{unknown}");
    }
}

/// Each row: the anchor's local time and zone, `+` the days of the term, and when its window ends.
fn check_windows(table: &str, calendars: &Calendars) {
    for row in table.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let (term, end) = row.split_once(" = ").unwrap();
        let words: Vec<&str> = term.split_whitespace().collect();
        let [day, clock, zone_name, "+", days, day_kind, count] = words[..] else {
            panic!("{row}");
        };
        let mut agreement = agreement();
        agreement.time_zone = zone_name.to_owned();
        agreement.calendar = calendars.0.keys().next().cloned();
        agreement.settlement.roll = Roll::Unadjusted;
        let mut term = agreement.terms[0].clone();
        term.days = days.parse().unwrap();
        term.day_kind = serde_json::from_value(day_kind.into()).unwrap();
        term.count = serde_json::from_value(count.into()).unwrap();
        let zone = zone(zone_name).unwrap();
        let anchor = Instant::at_local(local(day, clock), &zone).unwrap();
        let dates = dates(&agreement, &term, anchor, None, calendars).unwrap();
        assert_eq!(shown(dates.window_ends_at, &zone), end.trim(), "{row}");
    }
}

#[test]
fn windows_end_as_the_published_examples_say() {
    // Cashfree: the exact instant. PayPal: the money of day 1 leaves on day 91. Checkout.com: on
    // day 31. Amazon DD+14: delivered on 4 January, free on 19 January. WeChat: 10 days.
    let table = "
        2026-12-02 16:00 Asia/Kolkata        + 15 calendar instant    = 2026-12-17 16:00 +05:30
        2026-01-01 09:00 America/Los_Angeles + 90 calendar date       = 2026-04-01 00:00 -07:00
        2026-01-01 23:59 Europe/London       + 30 calendar date       = 2026-01-31 00:00 +00:00
        2026-01-04 15:20 America/New_York    + 14 calendar end_of_day = 2026-01-19 00:00 -05:00
        2026-05-01 10:00 Asia/Shanghai       + 10 calendar end_of_day = 2026-05-12 00:00 +08:00
        2026-05-01 10:00 Asia/Shanghai       + 7  calendar end_of_day = 2026-05-09 00:00 +08:00
        2026-05-01 10:00 Asia/Shanghai       + 0  calendar instant    = 2026-05-01 10:00 +08:00
        2026-05-01 10:00 Asia/Shanghai       + 0  calendar date       = 2026-05-01 00:00 +08:00
        2026-05-01 00:00 Asia/Shanghai       + 0  calendar end_of_day = 2026-05-02 00:00 +08:00
        2028-02-28 00:00 UTC                 + 1  calendar date       = 2028-02-29 00:00 +00:00
    ";
    check_windows(table, &Calendars::default());
}

#[test]
fn windows_end_right_across_changes_of_the_clock() {
    // Skipped local times are the first instant after the gap, repeated ones the first: New York's
    // hour, Lord Howe's half hour, midnight itself in São Paulo, and a whole day in Samoa.
    let table = "
        2026-03-07 02:30 America/New_York    + 1 calendar instant    = 2026-03-08 03:00 -04:00
        2026-03-07 03:00 America/New_York    + 1 calendar instant    = 2026-03-08 03:00 -04:00
        2026-03-07 01:59 America/New_York    + 1 calendar instant    = 2026-03-08 01:59 -05:00
        2026-10-31 01:30 America/New_York    + 1 calendar instant    = 2026-11-01 01:30 -04:00
        2026-10-31 12:00 America/New_York    + 1 calendar instant    = 2026-11-01 12:00 -05:00
        2026-10-24 02:30 Europe/Berlin       + 1 calendar instant    = 2026-10-25 02:30 +02:00
        2026-10-03 02:15 Australia/Lord_Howe + 1 calendar instant    = 2026-10-04 02:30 +11:00
        2026-04-04 01:45 Australia/Lord_Howe + 1 calendar instant    = 2026-04-05 01:45 +11:00
        2018-10-28 10:00 America/Sao_Paulo   + 7 calendar date       = 2018-11-04 01:00 -02:00
        2018-11-03 10:00 America/Sao_Paulo   + 0 calendar end_of_day = 2018-11-04 01:00 -02:00
        2018-02-17 23:30 America/Sao_Paulo   + 0 calendar end_of_day = 2018-02-18 00:00 -03:00
        2011-12-29 10:00 Pacific/Apia        + 1 calendar instant    = 2011-12-31 00:00 +14:00
        2011-12-29 10:00 Pacific/Apia        + 1 calendar date       = 2011-12-31 00:00 +14:00
        2011-12-29 10:00 Pacific/Apia        + 2 calendar instant    = 2011-12-31 10:00 +14:00
        2011-12-29 10:00 Pacific/Apia        + 0 calendar end_of_day = 2011-12-31 00:00 +14:00
    ";
    check_windows(table, &Calendars::default());
}

#[test]
fn business_days_count_working_weekends_and_skip_holidays() {
    let table = "
        2025-09-26 10:00 Asia/Shanghai + 1 business date       = 2025-09-28 00:00 +08:00
        2025-09-26 10:00 Asia/Shanghai + 2 business date       = 2025-09-29 00:00 +08:00
        2025-09-30 10:00 Asia/Shanghai + 1 business end_of_day = 2025-10-10 00:00 +08:00
        2025-09-30 10:00 Asia/Shanghai + 3 business end_of_day = 2025-10-12 00:00 +08:00
        2025-09-30 10:00 Asia/Shanghai + 3 business instant    = 2025-10-11 10:00 +08:00
        2025-10-03 10:00 Asia/Shanghai + 0 business date       = 2025-10-03 00:00 +08:00
        2025-10-03 10:00 Asia/Shanghai + 0 business end_of_day = 2025-10-04 00:00 +08:00
        2025-01-27 10:00 Asia/Shanghai + 4 business date       = 2025-02-08 00:00 +08:00
        2025-01-24 23:59 Asia/Shanghai + 2 business date       = 2025-01-27 00:00 +08:00
    ";
    check_windows(table, &calendars([china()]));
}

#[test]
fn no_days_after_the_second_of_two_equal_local_times_is_that_instant() {
    let mut agreement = agreement();
    agreement.time_zone = "America/New_York".to_owned();
    agreement.terms[0].count = Count::Instant;
    agreement.terms[0].days = 0;
    let second = at("2026-11-01T06:30:00.000001Z");
    let dates = dates(
        &agreement,
        &agreement.terms[0],
        second,
        None,
        &Calendars::default(),
    );
    assert_eq!(dates.unwrap().window_ends_at, second);
}

#[test]
fn money_is_eligible_when_the_last_of_anchor_window_and_clearing_has_passed() {
    let mut agreement = agreement();
    agreement.terms[0].days = 0;
    agreement.terms[0].count = Count::Date;
    let anchor = at("2026-05-01T10:00:00+08:00");
    let eligible = |cleared: Option<&str>| {
        let cleared = cleared.map(at);
        let dates = dates(
            &agreement,
            &agreement.terms[0],
            anchor,
            cleared,
            &Calendars::default(),
        );
        dates.unwrap().eligible_at
    };
    assert_eq!(eligible(None), anchor);
    assert_eq!(eligible(Some("2026-04-30T10:00:00+08:00")), anchor);
    assert_eq!(
        eligible(Some("2026-05-20T12:00:00+08:00")),
        at("2026-05-20T12:00:00+08:00")
    );
}

fn weekly(weekdays: &[u8], every: u32) -> Cycle {
    Cycle::Weekly {
        weekdays: weekdays.to_vec(),
        every,
    }
}

fn monthly(days_of_month: &[i8]) -> Cycle {
    Cycle::Monthly {
        days_of_month: days_of_month.to_vec(),
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
    let cut_off = time(14, 0, 0, 0);
    // 2026-05-01 is a Friday, 2000-01-01 (effective_from) a Saturday.
    let table = [
        (Cycle::Daily, "2026-05-01 14:00", "2026-05-01 14:00"),
        (Cycle::Daily, "2026-05-01 14:01", "2026-05-02 14:00"),
        (weekly(&[1, 4], 1), "2026-05-01 00:00", "2026-05-04 14:00"),
        (weekly(&[1, 4], 1), "2026-05-04 14:01", "2026-05-07 14:00"),
        (weekly(&[7], 1), "2026-05-03 13:00", "2026-05-03 14:00"),
        (monthly(&[1, 15]), "2026-05-01 15:00", "2026-05-15 14:00"),
        (monthly(&[-1]), "2026-05-31 14:00", "2026-05-31 14:00"),
        (monthly(&[-1]), "2028-02-01 00:00", "2028-02-29 14:00"),
        (monthly(&[31]), "2026-04-02 00:00", "2026-04-30 14:00"),
        (monthly(&[30]), "2026-02-02 00:00", "2026-02-28 14:00"),
        (monthly(&[30]), "2026-05-30 14:01", "2026-06-30 14:00"),
        (monthly(&[5]), "2026-12-05 14:01", "2027-01-05 14:00"),
    ];
    for (cycle, eligible, expected) in table {
        let mut agreement = agreement();
        agreement.settlement.cut_off = cut_off;
        agreement.settlement.cycle = cycle.clone();
        let given = settled(&agreement, eligible, &Calendars::default());
        assert_eq!(given, expected, "{cycle:?} from {eligible}");
    }
}

#[test]
fn every_nth_week_counts_from_the_local_week_of_effective_from() {
    let mut agreement = agreement();
    agreement.settlement.cycle = weekly(&[1, 5], 2);
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
fn dates_that_do_not_work_are_rolled() {
    use Roll::{Following, ModifiedFollowing, Preceding, Unadjusted};
    // China: 1 to 8 October 2025 are off, Sunday 28 September and Saturday 11 October work; May
    // begins with 5 days off; 31 May to 2 June are off.
    let table = [
        (
            Cycle::Daily,
            Following,
            "2025-10-01 00:00",
            "2025-10-09 00:00",
        ),
        (
            Cycle::Daily,
            Following,
            "2025-09-27 00:00",
            "2025-09-28 00:00",
        ),
        (
            Cycle::Daily,
            Following,
            "2025-10-11 00:00",
            "2025-10-11 00:00",
        ),
        (
            Cycle::Daily,
            Preceding,
            "2025-10-01 00:00",
            "2025-10-09 00:00",
        ),
        (
            Cycle::Daily,
            Unadjusted,
            "2025-10-01 00:00",
            "2025-10-01 00:00",
        ),
        (
            monthly(&[5]),
            Following,
            "2025-10-01 00:00",
            "2025-10-09 00:00",
        ),
        // The 5th rolls back before the money was eligible: next month's.
        (
            monthly(&[5]),
            Preceding,
            "2025-10-01 00:00",
            "2025-11-05 00:00",
        ),
        (
            monthly(&[5]),
            Preceding,
            "2025-09-30 00:00",
            "2025-09-30 00:00",
        ),
        (
            monthly(&[5]),
            Unadjusted,
            "2025-10-01 00:00",
            "2025-10-05 00:00",
        ),
        // Rolled forward from before the money was eligible.
        (
            weekly(&[4], 1),
            Following,
            "2025-10-05 00:00",
            "2025-10-09 00:00",
        ),
        (
            monthly(&[2]),
            Following,
            "2025-10-06 12:00",
            "2025-10-09 00:00",
        ),
        (
            monthly(&[-1]),
            Following,
            "2025-05-30 00:00",
            "2025-06-03 00:00",
        ),
        (
            monthly(&[-1]),
            ModifiedFollowing,
            "2025-05-30 00:00",
            "2025-05-30 00:00",
        ),
        (
            monthly(&[-1]),
            ModifiedFollowing,
            "2025-05-30 00:01",
            "2025-06-30 00:00",
        ),
        (
            monthly(&[1]),
            ModifiedFollowing,
            "2025-05-31 00:00",
            "2025-06-03 00:00",
        ),
        (
            monthly(&[1]),
            ModifiedFollowing,
            "2025-10-02 00:00",
            "2025-10-09 00:00",
        ),
    ];
    for (cycle, roll, eligible, expected) in table {
        let mut agreement = agreement();
        agreement.calendar = Some(named("CN"));
        agreement.settlement.cycle = cycle.clone();
        agreement.settlement.roll = roll;
        let given = settled(&agreement, eligible, &calendars([china()]));
        assert_eq!(given, expected, "{cycle:?} {roll:?} from {eligible}");
    }
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

#[test]
fn the_limit_is_midnight_so_many_days_after_the_anchors_local_day() {
    let mut agreement = agreement();
    let anchor = at("2026-05-01T23:00:00+08:00");
    let limit = limit_at(&agreement, &agreement.terms[0], anchor);
    assert_eq!(limit, at("2026-10-28T00:00:00+08:00"));
    agreement.terms[0].limit_days = u32::MAX;
    assert_eq!(
        limit_at(&agreement, &agreement.terms[0], anchor),
        Instant::MAX
    );
}

#[test]
fn the_clock_of_a_term_starts_at_its_anchor() {
    let completed = at("2026-05-01T10:00:00Z");
    let [early, late] = [at("2026-05-02T10:00:00Z"), at("2026-06-01T10:00:00Z")];
    let silent = at("2026-05-11T10:00:00Z");
    let table = [
        (Anchor::Completed, true, None, None, Some(completed)),
        (
            Anchor::Completed,
            true,
            Some(early),
            Some(early),
            Some(completed),
        ),
        (Anchor::Delivered, true, None, Some(early), None),
        (
            Anchor::Delivered,
            false,
            Some(late),
            Some(early),
            Some(late),
        ),
        (Anchor::Confirmed, false, Some(early), None, None),
        (Anchor::Confirmed, false, None, Some(late), Some(late)),
        (Anchor::Confirmed, true, None, None, Some(silent)),
        (Anchor::Confirmed, true, None, Some(early), Some(early)),
        (Anchor::Confirmed, true, None, Some(late), Some(silent)),
    ];
    for (anchor, required, delivered, confirmed, expected) in table {
        let mut agreement = agreement();
        agreement.confirmation.required = required;
        agreement.terms[0].anchor = anchor;
        let given = anchor_at(
            &agreement,
            &agreement.terms[0],
            completed,
            delivered,
            confirmed,
        );
        assert_eq!(
            given, expected,
            "{anchor:?} {required} {delivered:?} {confirmed:?}"
        );
    }
}

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

// ── properties ──────────────────────────────────────────────────────────────────────────────────

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

fn tomorrow(day: Date) -> Date {
    day + DAY
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
                monday = monday - DAY;
            }
            let mut dates = Vec::new();
            while monday < from + SignedDuration::from_hours(24 * days) {
                for offset in 0..7_i64 {
                    let day = monday + SignedDuration::from_hours(24 * offset);
                    if weekdays.contains(&u8::try_from(offset + 1).unwrap()) && day >= from {
                        dates.push(day);
                    }
                }
                monday = monday + SignedDuration::from_hours(24 * 7 * i64::from(*every));
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
            day = day + by;
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
            day = tomorrow(day);
            if !business || calendar.works(day).unwrap() {
                counted += 1;
            }
        }
        let midnight = jiff::civil::Time::midnight();
        let expected = match count {
            Count::Instant if days == 0 => anchor.timestamp(),
            Count::Instant => clock_reaches(day.to_datetime(clock.time()), &zone),
            Count::Date => clock_reaches(day.to_datetime(midnight), &zone),
            Count::EndOfDay => clock_reaches(tomorrow(day).to_datetime(midnight), &zone),
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
