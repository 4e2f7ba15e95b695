//! Files that are refused: each fault with its line, all of them at once.

use holdback::calendar_import::{Options, Weekend, import};
use jiff::civil::date;

use crate::{CHINA_ICS, event, options};

/// What is wrong with a file, one fault each.
fn faults(content: impl AsRef<[u8]>) -> Vec<String> {
    let faults = import(content.as_ref(), &options()).unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn every_fault_of_a_table_is_told_with_its_line() {
    let table = "date,kind\n2026-02-30,holiday\n2026-05-01,holyday\n\n01.05.2026,holiday\n\
                 2026-05-09,working\n2026-05-09,holiday\n2026-05-01T00:00,holiday\n2026-05-04\n";
    assert_eq!(
        faults(table),
        [
            "line 2: `2026-02-30` is no date like 2026-05-01",
            "line 3: `holyday` is neither holiday nor working",
            "line 5: `01.05.2026` is no date like 2026-05-01",
            "line 7: 2026-05-09 is a holiday here and a working day on line 6",
            "line 8: `2026-05-01T00:00` is no date like 2026-05-01",
            "line 9: `` is neither holiday nor working",
        ]
    );
}

#[test]
fn every_fault_of_an_icalendar_is_told_with_its_line() {
    let text = "BEGIN:VCALENDAR\n\
                BEGIN:VEVENT\nSUMMARY:nothing\nEND:VEVENT\n\
                BEGIN:VEVENT\nDTSTART;TZID=Asia/Shanghai:20260501T090000\nEND:VEVENT\n\
                BEGIN:VEVENT\nDTSTART:20260501\nDTEND:20260501\nEND:VEVENT\n\
                BEGIN:VEVENT\nDTSTART:20260230\nEND:VEVENT\n\
                BEGIN:VEVENT\nDTSTART:20260501\nDTSTART:20260502\nEXDATE:20260501\nEND:VEVENT\n\
                BEGIN:VEVENT\nDTSTART:1 May\nDURATION:P1D\nEND:VEVENT\n\
                END:VCALENDAR\n";
    assert_eq!(
        faults(text),
        [
            "line 2: has no DTSTART",
            "line 6: has a time of day: only events of whole days are read",
            "line 10: the event has 0 days, it may have 1 to 31",
            "line 13: there is no day 20260230",
            "line 17: DTSTART stands on line 16 already",
            "line 18: EXDATE is not read",
            "line 21: is no date like 20260501",
            "line 22: DURATION is not read",
        ]
    );
}

#[test]
fn rules_that_are_not_read_are_refused_and_hostile_ones_cost_nothing() {
    let only = "of rules only FREQ=YEARLY on one date is read";
    let number = "INTERVAL and COUNT must be whole numbers from 1 to 65535";
    for (rule, problem) in [
        ("FREQ=SECONDLY;COUNT=9999", only),
        ("FREQ=DAILY", only),
        ("FREQ=YEARLY;BYDAY=1MO", only),
        ("FREQ=YEARLY;BYMONTHDAY=25", only),
        ("FREQ=YEARLY;BYMONTH=11;BYMONTHDAY=25", only),
        ("FREQ=YEARLY;BYSETPOS=-1", only),
        ("COUNT=3", only),
        ("", only),
        ("FREQ=YEARLY;COUNT=0", number),
        ("FREQ=YEARLY;INTERVAL=99999999999999999999", number),
        ("FREQ=YEARLY;COUNT=-1", number),
        ("FREQ=YEARLY;FREQ=DAILY", "the rule names a part twice"),
        (
            "FREQ=YEARLY;COUNT=3;UNTIL=20261225",
            "the rule has COUNT and UNTIL",
        ),
        ("FREQ=YEARLY;UNTIL=soon", "is no date like 20260501"),
    ] {
        let text = event(&format!("DTSTART:20251225\nRRULE:{rule}"));
        assert_eq!(faults(text), [format!("line 4: {problem}")], "{rule}");
    }
    let long = event("DTSTART:00010101\nDTEND:99991231\nRRULE:FREQ=YEARLY");
    assert_eq!(
        faults(long),
        ["line 4: the event has 3652058 days, it may have 1 to 31"]
    );
    let many = event("DTSTART:00010101\nRRULE:FREQ=YEARLY").repeat(2_000);
    assert!(import(many.as_bytes(), &options()).is_ok());
}

#[test]
fn a_file_that_is_cut_off_or_badly_nested_is_refused() {
    let half = &CHINA_ICS[..CHINA_ICS.len() / 2];
    let told = faults(half);
    assert!(
        told.last()
            .unwrap()
            .ends_with("has no end: is the file whole?"),
        "{told:?}"
    );
    let crossed = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260501\nEND:VCALENDAR\n";
    assert_eq!(
        faults(crossed),
        ["line 4: does not end the VEVENT of line 2"]
    );
    assert_eq!(
        faults("BEGIN:VEVENT\nDTSTART:20260501\nEND:VEVENT"),
        ["line 1: the event stands in no calendar"]
    );
    assert_eq!(
        faults("BEGIN:VCALENDAR\nEND:VCALENDAR\nEND:VCALENDAR"),
        ["line 3: ends what has not begun"]
    );
    let deep = "BEGIN:VEVENT\n".repeat(100_000);
    assert_eq!(
        faults(deep).last().unwrap(),
        "line 100000: the event stands in no calendar"
    );
}

#[test]
fn a_file_in_another_encoding_or_of_another_kind_is_refused() {
    let utf_8 = "is not UTF-8: save the file in that encoding";
    // 元旦 in GBK.
    let gbk = [b"2026-01-01,holiday,".as_slice(), &[0xd4, 0xaa, 0xb5, 0xa9]].concat();
    assert_eq!(faults(gbk), [format!("line 1: {utf_8}")]);
    let utf_16: Vec<u8> = "date,kind"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let marked = [[0xff, 0xfe].as_slice(), &utf_16].concat();
    assert_eq!(faults(marked), [format!("line 1: {utf_8}")]);
    assert_eq!(
        faults(b"2026-01-01,holiday\n2026-01-02,\xff\n"),
        [format!("line 2: {utf_8}")]
    );
    assert_eq!(
        faults("<!DOCTYPE html>\n<p>Not found</p>"),
        [
            "line 1: `<!DOCTYPE html>` is no date like 2026-05-01",
            "line 2: `<p>Not found</p>` is no date like 2026-05-01",
        ]
    );
    let nothing = "no holiday and no working day from 2026-01-01 until 2026-12-31";
    for empty in ["", "\u{feff}\r\n", "date,kind\n", "2025-05-01,holiday"] {
        assert_eq!(faults(empty), [nothing], "{empty:?}");
    }
}

#[test]
fn what_the_service_would_refuse_is_refused_before_it_is_sent() {
    let rest: String = (1..=31)
        .map(|day| format!("2026-05-{day:02},holiday\n"))
        .collect();
    assert_eq!(faults(rest), ["no working day in 31 days from 2026-05-01"]);
    let refusal = |options: &Options| {
        let faults = import(b"2026-05-01,holiday", options).unwrap_err();
        faults[0].to_string()
    };
    let version = Options {
        version: 0,
        ..options()
    };
    assert!(refusal(&version).starts_with("/version: must be a whole number"));
    let unnamed = Options {
        calendar: String::new(),
        ..options()
    };
    assert!(refusal(&unnamed).starts_with("/calendar: "));
    let backwards = Options {
        until: date(2025, 12, 31),
        ..options()
    };
    assert_eq!(refusal(&backwards), "--from is after --until");
    let ages = Options {
        until: date(2999, 12, 31),
        ..options()
    };
    assert_eq!(
        refusal(&ages),
        "--from and --until are more than 50 years apart"
    );
}

#[test]
fn a_weekend_of_other_words_is_refused() {
    let refused = "sat,domingo".parse::<Weekend>();
    let told = "`domingo` is not of mon tue wed thu fri sat sun";
    assert_eq!(refused, Err(told.to_owned()));
    assert!("".parse::<Weekend>().is_err());
}
