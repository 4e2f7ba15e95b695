//! When the window of a term ends, when its clock starts, and when its limit is.

use holdback::rules::agreement::{Anchor, Count, Roll};
use holdback::rules::calendar::Calendars;
use holdback::rules::settlement::{anchor_at, dates, limit_at};
use holdback::rules::time::{Instant, zone};

use crate::samples::{agreement, at};
use crate::{calendars, china, local, shown};

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
