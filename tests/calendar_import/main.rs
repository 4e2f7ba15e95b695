//! `holdback calendar import`: files of holidays become messages that the service accepts, or are
//! refused with every fault and its line.

#![expect(
    clippy::unwrap_used,
    reason = "what a test starts from is right by construction"
)]

mod command;
mod refused;

use holdback::calendar_import::{Imported, Options, import};
use holdback::message::Record;
use holdback::message::incoming::{Limits, Parsed, parse};
use holdback::rules::calendar::Calendar;
use holdback::rules::fact::Fact;
use jiff::civil::{Date, date};
use proptest::prelude::*;

pub const CHINA_ICS: &[u8] = include_bytes!("china-2026.ics");
const CHINA_CSV: &[u8] = include_bytes!("china-2026.csv");

/// A calendar of the year 2026 with the usual weekend.
pub fn options() -> Options {
    Options {
        calendar: "CN".to_owned(),
        version: 1,
        weekend: "sat,sun".parse().unwrap(),
        from: date(2026, 1, 1),
        until: date(2026, 12, 31),
        working_when: None,
    }
}

/// What the service reads out of the message.
fn read(imported: &Imported) -> Calendar {
    let record = Record {
        topic: "merchant".into(),
        partition: 0,
        offset: 0,
        timestamp: None,
        key: None,
        headers: vec![(
            "content-type".to_owned(),
            Some(b"application/cloudevents+json".to_vec()),
        )],
        value: Some(imported.message.clone().into_bytes()),
    };
    let Ok(Parsed::Fact(accepted)) = parse(&record, None, &Limits::default()) else {
        panic!("the service refuses {}", imported.message)
    };
    let Fact::Calendar(calendar) = accepted.fact else {
        panic!("{} is no calendar", imported.message)
    };
    *calendar
}

fn holidays(content: &str) -> Vec<Date> {
    let imported = import(content.as_bytes(), &options()).unwrap();
    read(&imported).holidays.into_iter().collect()
}

/// One all-day event of these properties, in a calendar; the event begins on line 2.
pub fn event(properties: &str) -> String {
    format!("BEGIN:VCALENDAR\nBEGIN:VEVENT\n{properties}\nEND:VEVENT\nEND:VCALENDAR\n")
}

#[test]
fn chinas_year_is_the_same_from_icalendar_and_from_csv() {
    let of_ics = Options {
        working_when: Some("班".to_owned()),
        ..options()
    };
    let ics = import(CHINA_ICS, &of_ics).unwrap();
    let csv = import(CHINA_CSV, &options()).unwrap();
    assert_eq!(ics, csv);
    assert_eq!(
        ics.to_string(),
        "33 holidays, 14 of them on weekends; 6 working days"
    );
    let calendar = read(&ics);
    assert_eq!(calendar.calendar.as_str(), "CN");
    let on = |month, day| date(2026, month, day);
    let working = [
        on(1, 4),
        on(2, 14),
        on(2, 28),
        on(5, 9),
        on(9, 20),
        on(10, 10),
    ];
    assert!(calendar.working_days.iter().eq(&working));
    let weekdays_off: Vec<Date> = calendar
        .holidays
        .iter()
        .copied()
        .filter(|day| day.weekday().to_monday_one_offset() < 6)
        .collect();
    assert_eq!(weekdays_off.len(), 19);
    assert!(weekdays_off.contains(&on(2, 23)) && !weekdays_off.contains(&on(2, 24)));
    assert_eq!(
        (calendar.from, calendar.until),
        (Some(on(1, 1)), Some(on(12, 31)))
    );
}

#[test]
fn without_the_word_for_working_days_every_event_is_a_holiday() {
    let imported = import(CHINA_ICS, &options()).unwrap();
    assert_eq!((imported.holidays, imported.working_days), (39, 0));
}

#[test]
fn the_message_is_a_structured_cloud_event_in_one_line() {
    let one_day = "2026-05-01,holiday";
    let with = Options {
        weekend: "fri,sat".parse().unwrap(),
        ..options()
    };
    assert_eq!(
        import(one_day.as_bytes(), &with).unwrap().message,
        r#"{"specversion":"1.0","id":"CN:1","source":"urn:holdback:calendar-import","type":"calendar.published.v1","datacontenttype":"application/json","data":{"calendar":"CN","version":1,"weekend":["fri","sat"],"holidays":["2026-05-01"],"working_days":[],"from":"2026-01-01","until":"2026-12-31"}}"#
    );
    let none = Options {
        weekend: "none".parse().unwrap(),
        ..options()
    };
    let imported = import(one_day.as_bytes(), &none).unwrap();
    assert!(read(&imported).weekend.is_empty());
}

#[test]
fn an_event_ends_before_its_dtend_and_without_one_it_has_one_day() {
    let may = |day| date(2026, 5, day);
    let three = event("DTSTART;VALUE=DATE:20260501\nDTEND;VALUE=DATE:20260504");
    assert_eq!(holidays(&three), [may(1), may(2), may(3)]);
    assert_eq!(holidays(&event("DTSTART:20260501")), [may(1)]);
    // Over the edge of the year that was asked for.
    let new_year = event("DTSTART:20251230\nDTEND:20260103");
    assert_eq!(holidays(&new_year), [date(2026, 1, 1), date(2026, 1, 2)]);
}

#[test]
fn an_event_that_comes_back_each_year_is_expanded() {
    let christmas = [date(2026, 12, 25)];
    for rule in [
        "FREQ=YEARLY",
        "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=25",
        "FREQ=YEARLY;COUNT=7",
        "freq=yearly;UNTIL=20261225T000000Z",
        "FREQ=YEARLY;INTERVAL=2",
        "FREQ=YEARLY;COUNT=65535;INTERVAL=1",
    ] {
        let text = event(&format!("DTSTART;VALUE=DATE:20201225\nRRULE:{rule}"));
        assert_eq!(holidays(&text), christmas, "{rule}");
    }
    for over in ["COUNT=6", "UNTIL=20261224", "INTERVAL=4"] {
        let text = event(&format!("DTSTART:20201225\nRRULE:FREQ=YEARLY;{over}"));
        let both = text.replace(
            "END:VCALENDAR",
            "BEGIN:VEVENT\nDTSTART:20260501\nEND:VEVENT\nEND:VCALENDAR",
        );
        assert_eq!(holidays(&both), [date(2026, 5, 1)], "{over}");
    }
    let leap = Options {
        until: date(2033, 12, 31),
        ..options()
    };
    let text = event("DTSTART:20240229\nRRULE:FREQ=YEARLY;COUNT=3");
    let imported = import(text.as_bytes(), &leap).unwrap();
    let days = [date(2028, 2, 29), date(2032, 2, 29)];
    assert!(read(&imported).holidays.iter().eq(&days));
}

#[test]
fn a_mark_of_utf_8_and_any_line_ending_are_read_over() {
    let first = [date(2026, 5, 1)];
    assert_eq!(
        holidays("\u{feff}date,kind\r\n2026-05-01,holiday\r\n"),
        first
    );
    assert_eq!(
        holidays(&format!("\u{feff}{}", event("DTSTART:20260501"))),
        first
    );
}

proptest! {
    #[test]
    fn whatever_the_bytes_they_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(imported) = import(&bytes, &options()) {
            read(&imported);
        }
    }

    #[test]
    fn whatever_stands_in_an_event_is_read_or_refused(
        lines in prop::collection::vec(
            "(BEGIN|END|DTSTART|DTEND|RRULE|STATUS|SUMMARY|EXDATE| |\t)(;[A-Z]{1,3}=\"?[a-z:;]{0,3}\"?)?:(VEVENT|VCALENDAR|2026[01][0-9][0-3][0-9]|FREQ=YEARLY;COUNT=[0-9]{1,12}|\\PC{0,20})",
            0..12,
        ),
    ) {
        let text = event(&lines.join("\n"));
        if let Ok(imported) = import(text.as_bytes(), &options()) {
            prop_assert!(!read(&imported).holidays.is_empty());
        }
    }
}
