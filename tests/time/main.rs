//! Time: how instants are written, how days are counted in a zone, and on which settlement date
//! money goes. The tables read `what = what it gives`; the properties compare with models that walk
//! day by day and quarter hour by quarter hour.

#![expect(
    clippy::unwrap_used,
    reason = "what a test starts from is right by construction"
)]

mod calendars;
mod properties;
#[path = "../samples/mod.rs"]
mod samples;
mod settlements;
mod windows;

use std::collections::BTreeSet;
use std::sync::Arc;

use holdback::rules::calendar::{Calendar, Calendars};
use holdback::rules::ids::CalendarId;
use holdback::rules::time::{Instant, zone};
use jiff::civil::{Date, DateTime, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use samples::at;

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
fn the_last_instant_is_one_like_any_other() {
    assert_eq!(Instant::MAX.to_string(), "9999-12-30T22:00:00.999999Z");
    assert_eq!(at("9999-12-30T22:00:00.999999Z"), Instant::MAX);
    assert_eq!(Instant::new(Instant::MAX.timestamp()), Instant::MAX);
    assert_eq!(Instant::new(Timestamp::MAX), Instant::MAX);
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
