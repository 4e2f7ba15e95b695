//! Holidays as iCalendar (RFC 5545): all-day events, over several days too (DTEND is the day after
//! the last), and those that come back each year (`FREQ=YEARLY` with INTERVAL, COUNT or UNTIL).
//!
//! Every other rule of recurrence, exceptions and times of day are faults: leaving them out would
//! make a holiday a working day without a word. Cancelled events are left out.

use std::collections::BTreeMap;

use icalendar::parser::Property;
use jiff::SignedDuration;
use jiff::civil::Date;

use super::Fault;
use super::days::{Days, Kind};

/// The longest event, in days: a calendar that rests longer is refused anyway.
const EVENT_DAYS_MAX: i32 = 31;
/// What of an event is read; everything else means nothing for its days.
const READ: [&str; 5] = ["DTSTART", "DTEND", "RRULE", "STATUS", "SUMMARY"];
/// What would change its days in ways that are not read.
const REFUSED: [&str; 5] = ["DURATION", "RDATE", "EXDATE", "EXRULE", "RECURRENCE-ID"];

/// What was read of one event: value and line by name.
type Event = BTreeMap<String, (String, usize)>;

/// Notes the days of every event, or what is wrong with it. Events whose summary contains
/// `working_when` are working days.
pub(super) fn read(text: &str, working_when: Option<&str>, days: &mut Days) {
    let mut open: Vec<(String, usize)> = Vec::new();
    let mut event = Event::new();
    for (line, content) in content_lines(text) {
        let named = content.find([';', ':']).unwrap_or(content.len());
        let name = content[..named].trim().to_ascii_uppercase();
        let value = content[named..].trim_start_matches(':').trim();
        match name.as_str() {
            "BEGIN" => {
                if value.eq_ignore_ascii_case("VEVENT") {
                    event = Event::new();
                    if open.len() != 1 {
                        days.fault(Fault::at(line, "the event stands in no calendar"));
                    }
                }
                open.push((value.to_ascii_uppercase(), line));
            }
            "END" => {
                let Some((begun, since)) = open.pop() else {
                    return days.fault(Fault::at(line, "ends what has not begun"));
                };
                if !value.eq_ignore_ascii_case(&begun) {
                    let problem = format!("does not end the {begun} of line {since}");
                    return days.fault(Fault::at(line, problem));
                }
                if begun == "VEVENT"
                    && let Err(fault) = note(&event, since, working_when, days)
                {
                    days.fault(fault);
                }
            }
            name if open.last().is_some_and(|(within, _)| within == "VEVENT") => {
                if let Err(problem) = property(name, &content, line, &mut event) {
                    days.fault(Fault::at(line, problem));
                }
            }
            _ => {}
        }
    }
    if let Some((begun, line)) = open.pop() {
        days.fault(Fault::at(
            line,
            format!("the {begun} has no end: is the file whole?"),
        ));
    }
}

/// The lines of content with their numbers; one that begins with a blank goes on the one before.
fn content_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(more), Some((_, content))) => content.push_str(more),
            _ => lines.push((number, line.to_owned())),
        }
    }
    lines
}

/// Keeps a property that is read.
fn property(name: &str, content: &str, line: usize, event: &mut Event) -> Result<(), String> {
    if REFUSED.contains(&name) {
        return Err(format!("{name} is not read"));
    }
    if !READ.contains(&name) {
        return Ok(());
    }
    let property = Property::try_from(content).map_err(|_| format!("{name} can't be read"))?;
    let value = property.val.as_str().trim().to_owned();
    match event.insert(name.to_owned(), (value, line)) {
        Some((_, before)) => Err(format!("{name} stands on line {before} already")),
        None => Ok(()),
    }
}

fn note(
    event: &Event,
    begun: usize,
    working_when: Option<&str>,
    days: &mut Days,
) -> Result<(), Fault> {
    let value = |name| event.get(name).map(|(value, line)| (value.as_str(), *line));
    if value("STATUS").is_some_and(|(status, _)| status.eq_ignore_ascii_case("CANCELLED")) {
        return Ok(());
    }
    let (start, line) = value("DTSTART").ok_or_else(|| Fault::at(begun, "has no DTSTART"))?;
    let first = date(start).map_err(|problem| Fault::at(line, problem))?;
    let length = match value("DTEND") {
        None => 1,
        Some((end, line)) => {
            let end = date(end).map_err(|problem| Fault::at(line, problem))?;
            let length = (end - first).get_days();
            if !(1..=EVENT_DAYS_MAX).contains(&length) {
                let problem =
                    format!("the event has {length} days, it may have 1 to {EVENT_DAYS_MAX}");
                return Err(Fault::at(line, problem));
            }
            length
        }
    };
    let dates = match value("RRULE") {
        None => vec![first],
        Some((rule, line)) => {
            yearly(rule, first, days.until()).map_err(|problem| Fault::at(line, problem))?
        }
    };
    let summary = value("SUMMARY").map_or("", |(summary, _)| summary);
    let kind = match working_when {
        Some(word) if summary.contains(word) => Kind::Working,
        _ => Kind::Holiday,
    };
    for date in dates {
        for day in (0..length).map_while(|n| after(date, n)) {
            days.name(day, kind, line);
        }
    }
    Ok(())
}

fn after(date: Date, days: i32) -> Option<Date> {
    let later = SignedDuration::from_hours(i64::from(days) * 24);
    date.checked_add(later).ok()
}

/// A date, `20260501`.
fn date(value: &str) -> Result<Date, String> {
    let is_date = value.len() == 8 && value.bytes().all(|byte| byte.is_ascii_digit());
    if !is_date {
        return Err(match value.as_bytes().get(8) {
            Some(b'T') => "has a time of day: only events of whole days are read".to_owned(),
            _ => "is no date like 20260501".to_owned(),
        });
    }
    Date::strptime("%Y%m%d", value).map_err(|_| format!("there is no day {value}"))
}

/// The dates of an event that comes back each year, up to `last`.
fn yearly(rule: &str, first: Date, last: Date) -> Result<Vec<Date>, String> {
    let mut parts = BTreeMap::new();
    for part in rule.split(';') {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        if parts.insert(name.to_ascii_uppercase(), value).is_some() {
            return Err("the rule names a part twice".to_owned());
        }
    }
    let mut take = |name: &str| parts.remove(name);
    let number = |text: Option<&str>| {
        let number: Option<u16> = text.map_or(Some(0), |text| text.parse().ok().filter(|n| *n > 0));
        number.ok_or("INTERVAL and COUNT must be whole numbers from 1 to 65535")
    };
    let freq = take("FREQ").unwrap_or_default();
    let interval = number(take("INTERVAL"))?.max(1);
    let count = number(take("COUNT"))?;
    let until = take("UNTIL").map(|at| date(at.split('T').next().unwrap_or_default()));
    let until = until.transpose()?;
    // Of the days that a year has many of, only the one that the event began on.
    let month = take("BYMONTH").map(|month| month.parse() == Ok(first.month()));
    let day = take("BYMONTHDAY").map(|day| day.parse() == Ok(first.day()));
    let same_day = matches!((month, day), (None, None) | (Some(true), None | Some(true)));
    if !freq.eq_ignore_ascii_case("YEARLY") || !same_day || !parts.is_empty() {
        return Err("of rules only FREQ=YEARLY on one date is read".to_owned());
    }
    if count > 0 && until.is_some() {
        return Err("the rule has COUNT and UNTIL".to_owned());
    }
    let last = until.map_or(last, |until| until.min(last));
    let years = (first.year()..=last.year()).step_by(interval.into());
    // A year without 29 February is left out.
    let dates = years.filter_map(|year| Date::new(year, first.month(), first.day()).ok());
    let count = if count == 0 { u16::MAX } else { count };
    let dates = dates.take(count.into()).take_while(|date| *date <= last);
    Ok(dates.collect())
}
