//! Time against an oracle that is not our code: `oracle.py` beside this file works out, by the
//! contract's text and other people's libraries, when money goes; every case must come out the
//! same. `cases.txt.gz` is read, or the file that `HOLDBACK_ORACLE_CASES` names; its form is in
//! `README.md`.

#![expect(clippy::unwrap_used, reason = "a case that can't be read has failed")]
#![expect(
    clippy::print_stdout,
    reason = "says which zone data was compared with"
)]

#[path = "../samples/mod.rs"]
mod samples;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use flate2::read::GzDecoder;
use holdback::rules::agreement::{Agreement, Cycle};
use holdback::rules::calendar::{Calendar, Calendars};
use holdback::rules::hold::Dates;
use holdback::rules::ids::CalendarId;
use holdback::rules::settlement::{dates, limit_at};
use holdback::rules::time::{Instant, zone};
use jiff::SignedDuration;
use jiff::civil::{Date, Time, date};
use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;

/// The fewest cases: of those that are committed, and of a file that is named.
const CASES_MIN: [usize; 2] = [100_000, 10_000];
const EPOCH: Date = date(1970, 1, 1);
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// What a case must come out as.
#[derive(PartialEq, Eq)]
struct Outcome {
    dates: Option<Dates>,
    limit_at: Instant,
}

/// What the cases that follow are about.
struct Subject {
    agreement: Agreement,
    calendars: Calendars,
}

#[test]
fn every_case_comes_out_as_the_oracle_says() {
    let named = std::env::var_os("HOLDBACK_ORACLE_CASES");
    let is_named = named.is_some();
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/cases.txt.gz");
    let path = named.map_or(committed, Into::into);
    let file = File::open(&path).expect("the file of cases is there");
    let mut calendars = HashMap::new();
    let mut subject = None;
    let (mut cases, mut dated) = (0, 0);
    let mut differences = Vec::new();
    for (number, line) in (1..).zip(BufReader::new(GzDecoder::new(file)).lines()) {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["#", ..] => println!("{line}"),
            ["C", name, rest @ ..] => {
                drop(calendars.insert((*name).to_owned(), calendar(name, rest)))
            }
            ["A", rest @ ..] => subject = Some((line.clone(), read_subject(rest, &calendars))),
            case => {
                let (about, subject) = subject
                    .as_ref()
                    .expect("an agreement comes before its cases");
                let (expected, actual) = play(case, subject);
                cases += 1;
                dated += usize::from(expected.dates.is_some());
                if expected != actual {
                    differences.push(format!(
                        "line {number}: {about}\n{line}\n  oracle   {expected}\n  holdback {actual}"
                    ));
                }
            }
        }
    }
    let [committed_min, named_min] = CASES_MIN;
    assert!(
        cases >= if is_named { named_min } else { committed_min },
        "only {cases} cases in {}",
        path.display()
    );
    assert!(
        dated > cases / 2,
        "only {dated} of {cases} cases have dates"
    );
    assert!(
        differences.is_empty(),
        "{} of {cases} cases differ\n\n{}",
        differences.len(),
        differences[..differences.len().min(20)].join("\n\n")
    );
    println!("{cases} cases, {dated} with dates, no difference");
}

/// A case: what the oracle says, and what holdback says.
fn play(case: &[&str], subject: &Subject) -> (Outcome, Outcome) {
    let [anchor, cleared, limit, expected @ ..] = case else {
        panic!("a case is too short: {case:?}")
    };
    let anchor = moment(anchor, EPOCH);
    let day = anchor.local(&TimeZone::UTC).date();
    let cleared = (*cleared != "-").then(|| moment(cleared, day));
    let dated = |of: &[&str; 4]| {
        let [window, which, release, settlement] = of;
        let window_ends_at = moment(window, day);
        Dates {
            window_ends_at,
            eligible_at: match *which {
                "a" => anchor,
                "w" => window_ends_at,
                _ => cleared.expect("`c` is when the last block was cleared"),
            },
            release_at: moment(release, day),
            settlement_on: after(day, settlement),
        }
    };
    let expected = Outcome {
        dates: (!expected.is_empty()).then(|| dated(expected.try_into().unwrap())),
        limit_at: moment(limit, day),
    };
    let Subject {
        agreement,
        calendars,
    } = subject;
    let term = &agreement.terms[0];
    let actual = Outcome {
        dates: dates(agreement, term, anchor, cleared, calendars),
        limit_at: limit_at(agreement, term, anchor),
    };
    (expected, actual)
}

fn calendar(name: &str, rest: &[&str]) -> Arc<Calendar> {
    let [weekend, holidays, works, from, until] = rest else {
        panic!("calendar {name} is not whole")
    };
    let calendar = Calendar {
        calendar: CalendarId::parse(name).unwrap(),
        version: 1,
        weekend: items(weekend).map(weekday).collect(),
        holidays: items(holidays).map(read).collect::<BTreeSet<Date>>(),
        working_days: items(works).map(read).collect::<BTreeSet<Date>>(),
        from: items(from).map(read).next(),
        until: items(until).map(read).next(),
    };
    assert_eq!(calendar.check(), Ok(()), "calendar {name}");
    Arc::new(calendar)
}

fn read_subject(words: &[&str], calendars: &HashMap<String, Arc<Calendar>>) -> Subject {
    let [
        zone_name,
        calendar,
        count,
        kind,
        days,
        cycle,
        cycle_days,
        every,
        roll,
        cut_off,
        effective,
        limit,
    ] = words
    else {
        panic!("an agreement is not whole: {words:?}")
    };
    let mut agreement = samples::agreement();
    agreement.time_zone = (*zone_name).to_owned();
    assert!(zone(zone_name).is_some(), "no zone {zone_name}");
    agreement.calendar = items(calendar)
        .map(|id| CalendarId::parse(id).unwrap())
        .next();
    agreement.effective_from = moment(effective, EPOCH);
    let term = &mut agreement.terms[0];
    (term.count, term.day_kind) = (word(count), word(kind));
    (term.days, term.limit_days) = (read(days), read(limit));
    let settlement = &mut agreement.settlement;
    settlement.roll = word(roll);
    settlement.cut_off = read::<Time>(cut_off);
    settlement.cycle = match *cycle {
        "daily" => Cycle::Daily,
        "weekly" => Cycle::Weekly {
            weekdays: items(cycle_days).map(weekday).collect(),
            every: read(every),
        },
        _ => Cycle::Monthly {
            days_of_month: items(cycle_days).map(read).collect(),
        },
    };
    assert!(
        agreement.check().is_empty(),
        "{words:?}: {:?}",
        agreement.check()
    );
    let known = calendars.get(*calendar).cloned();
    let known = known.map(|calendar| (calendar.calendar.clone(), calendar));
    Subject {
        agreement,
        calendars: Calendars(known.into_iter().collect()),
    }
}

/// `3T04:00`: three days after `day`, at four o'clock, all in UTC.
fn moment(text: &str, day: Date) -> Instant {
    let (days, time) = text.split_once('T').expect("days, T, time");
    let local = after(day, days).to_datetime(read(time));
    Instant::new(TimeZone::UTC.to_timestamp(local).unwrap())
}

fn after(day: Date, days: &str) -> Date {
    day + SignedDuration::from_hours(24 * read::<i64>(days))
}

/// The items of a list; `-` has none.
fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').filter(|item| *item != "-")
}

fn weekday(name: &str) -> u8 {
    let position = WEEKDAYS.iter().position(|day| *day == name);
    u8::try_from(position.expect("a weekday")).unwrap() + 1
}

fn read<T: FromStr>(text: &str) -> T {
    text.parse()
        .unwrap_or_else(|_| panic!("can't read `{text}`"))
}

/// A word as the wire writes it.
fn word<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_value(serde_json::Value::from(text)).unwrap()
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.dates {
            None => write!(f, "no dates")?,
            Some(dates) => write!(
                f,
                "window {} eligible {} release {} on {}",
                dates.window_ends_at, dates.eligible_at, dates.release_at, dates.settlement_on
            )?,
        }
        write!(f, " limit {}", self.limit_at)
    }
}
