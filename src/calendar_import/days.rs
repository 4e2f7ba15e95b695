//! The days that a file names, and the message that is made of them.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::{Date, Weekday};
use serde::Serialize;

use super::{Fault, Options, WEEKDAYS, Weekend};
use crate::message::Record;
use crate::message::incoming::{InputType, Limits, parse};

/// The form of the message.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// The most years that one calendar may span: events that come back each year stay few.
const YEARS_MAX: i16 = 50;

/// What happens on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Holiday,
    Working,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Holiday => "a holiday",
            Self::Working => "a working day",
        })
    }
}

/// The days so far, each with the line that named it first, and what was wrong.
#[derive(Debug)]
pub(super) struct Days {
    from: Date,
    until: Date,
    named: BTreeMap<Date, (Kind, usize)>,
    faults: Vec<Fault>,
}

/// A message that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// `calendar.published.v1` as a structured `CloudEvent`, one line of JSON.
    pub message: String,
    pub holidays: usize,
    /// Of those, how many lie on a weekend and so change nothing.
    pub on_weekends: usize,
    pub working_days: usize,
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            holidays,
            on_weekends,
            working_days,
            ..
        } = self;
        write!(
            f,
            "{holidays} holidays, {on_weekends} of them on weekends; {working_days} working days"
        )
    }
}

/// The event, in the order in which it is written.
#[derive(Serialize)]
struct Event<'a> {
    specversion: &'static str,
    id: String,
    source: &'static str,
    r#type: &'static str,
    datacontenttype: &'static str,
    data: Published<'a>,
}

#[derive(Serialize)]
struct Published<'a> {
    calendar: &'a str,
    version: u64,
    weekend: Vec<&'static str>,
    holidays: Vec<Date>,
    working_days: Vec<Date>,
    from: Date,
    until: Date,
}

impl Days {
    /// Days outside of these two are left out.
    pub(super) fn between(from: Date, until: Date) -> Self {
        Self {
            from,
            until,
            named: BTreeMap::new(),
            faults: Vec::new(),
        }
    }

    /// Whether the days can be asked for.
    ///
    /// # Errors
    /// What is wrong with the options.
    pub(super) fn check_span(&self) -> Result<(), Vec<Fault>> {
        let problem = if self.from > self.until {
            "--from is after --until".to_owned()
        } else if self.until.year() - self.from.year() > YEARS_MAX {
            format!("--from and --until are more than {YEARS_MAX} years apart")
        } else {
            return Ok(());
        };
        Err(vec![Fault::whole(problem)])
    }

    /// The last day that counts.
    pub(super) fn until(&self) -> Date {
        self.until
    }

    /// Notes what happens on a day; naming it again is a fault if something else happens.
    pub(super) fn name(&mut self, day: Date, kind: Kind, line: usize) {
        if day < self.from || day > self.until {
            return;
        }
        let (first, on) = *self.named.entry(day).or_insert((kind, line));
        if first != kind {
            let problem = format!("{day} is {kind} here and {first} on line {on}");
            self.faults.push(Fault::at(line, problem));
        }
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Makes the message, and reads it as the service will.
    pub(super) fn publish(mut self, options: &Options) -> Result<Imported, Vec<Fault>> {
        if self.named.is_empty() && self.faults.is_empty() {
            let (from, until) = (self.from, self.until);
            let problem = format!("no holiday and no working day from {from} until {until}");
            self.fault(Fault::whole(problem));
        }
        if !self.faults.is_empty() {
            self.faults.sort();
            return Err(self.faults);
        }
        let of = |kind| {
            let days = self.named.iter().filter(move |(_, (of, _))| *of == kind);
            days.map(|(day, _)| *day).collect::<Vec<Date>>()
        };
        let (holidays, working_days) = (of(Kind::Holiday), of(Kind::Working));
        let rests = |day: &&Date| options.weekend.has(day.weekday());
        let imported = Imported {
            on_weekends: holidays.iter().filter(rests).count(),
            holidays: holidays.len(),
            working_days: working_days.len(),
            message: message(options, holidays, working_days),
        };
        check(&imported.message)?;
        Ok(imported)
    }
}

impl Weekend {
    fn has(&self, day: Weekday) -> bool {
        let number = usize::try_from(day.to_monday_zero_offset());
        number.is_ok_and(|number| self.0.contains(&number))
    }
}

fn message(options: &Options, holidays: Vec<Date>, working_days: Vec<Date>) -> String {
    let weekend = &options.weekend.0;
    let names = (0..).zip(WEEKDAYS).filter(|(day, _)| weekend.contains(day));
    let event = Event {
        specversion: "1.0",
        id: format!("{}:{}", options.calendar, options.version),
        source: "urn:holdback:calendar-import",
        r#type: InputType::CalendarPublished.as_str(),
        datacontenttype: "application/json",
        data: Published {
            calendar: &options.calendar,
            version: options.version,
            weekend: names.map(|(_, name)| name).collect(),
            holidays,
            working_days,
            from: options.from,
            until: options.until,
        },
    };
    serde_json::to_string(&event).expect("text, numbers and dates can be written as JSON")
}

/// The same checks as for every message that comes.
fn check(message: &str) -> Result<(), Vec<Fault>> {
    let record = Record {
        topic: "merchant".into(),
        partition: 0,
        offset: 0,
        timestamp: None,
        key: None,
        headers: vec![("content-type".to_owned(), Some(CONTENT_TYPE.into()))],
        value: Some(message.into()),
    };
    match parse(&record, None, &Limits::default()) {
        Ok(_) => Ok(()),
        Err(rejection) => Err(vec![Fault::whole(rejection.detail)]),
    }
}
