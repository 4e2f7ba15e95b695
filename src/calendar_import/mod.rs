//! `holdback calendar import`: makes a `calendar.published.v1` message out of an iCalendar or CSV
//! file, prints it or sends it to the merchant topic.
//!
//! A file is taken whole or not at all: whatever can't be read, or may mean something else than it
//! seems, is a fault, and all faults are told at once with their lines. What comes out has passed
//! the parser that the service reads its topics with.

mod days;
mod ics;
mod table;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use jiff::civil::Date;

pub use days::{CONTENT_TYPE, Imported};

/// `holdback calendar …`
#[derive(Debug, Args)]
pub struct CalendarArgs {
    #[command(subcommand)]
    pub command: CalendarCommand,
}

#[derive(Debug, Subcommand)]
pub enum CalendarCommand {
    /// Makes a calendar.published.v1 message of an iCalendar (.ics) or CSV file
    Import(ImportArgs),
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// iCalendar with all-day events, or CSV with the columns date, kind (holiday or working) and
    /// any others
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub options: Options,
    /// Sends the message to the merchant topic instead of printing it
    #[arg(long)]
    pub produce: bool,
}

/// What the file itself does not say.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The calendar's id, as agreements name it
    #[arg(long, value_name = "ID")]
    pub calendar: String,
    /// The highest version of a calendar rules
    #[arg(long, value_name = "N")]
    pub version: u64,
    /// Weekdays that do not work: mon to sun, separated by commas, or none
    #[arg(long, value_name = "DAYS", default_value = "sat,sun")]
    pub weekend: Weekend,
    /// The first day that the file is complete for; days before it are left out
    #[arg(long, value_name = "DATE")]
    pub from: Date,
    /// The last day that the file is complete for; beyond it nothing is known
    #[arg(long, value_name = "DATE")]
    pub until: Date,
    /// Events whose summary has this word are working days, for instance 班; the others are holidays
    #[arg(long, value_name = "WORD")]
    pub working_when: Option<String>,
}

/// Weekdays 0 (Monday) to 6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weekend(BTreeSet<usize>);

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl FromStr for Weekend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(BTreeSet::new()));
        }
        let number = |name| {
            let position = WEEKDAYS.iter().position(|day| *day == name);
            position.ok_or_else(|| format!("`{name}` is not of mon tue wed thu fri sat sun"))
        };
        text.split(',')
            .map(number)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// What is wrong with a file, and in which line; the whole file's faults have none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    pub line: Option<usize>,
    pub problem: String,
}

impl Fault {
    fn at(line: usize, problem: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            problem: problem.into(),
        }
    }

    fn whole(problem: impl Into<String>) -> Self {
        Self {
            line: None,
            problem: problem.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.problem)
    }
}

/// Makes the message of a file's content.
///
/// # Errors
/// Everything that is wrong with it, in the order of its lines.
pub fn import(content: &[u8], options: &Options) -> Result<Imported, Vec<Fault>> {
    let text = text_of(content).map_err(|fault| vec![fault])?;
    let mut days = days::Days::between(options.from, options.until);
    days.check_span()?;
    if text
        .trim_start()
        .get(..6)
        .is_some_and(|start| start.eq_ignore_ascii_case("BEGIN:"))
    {
        ics::read(text, options.working_when.as_deref(), &mut days);
    } else {
        table::read(text, &mut days);
    }
    days.publish(options)
}

/// The file as text, without the mark that some programs put first.
fn text_of(content: &[u8]) -> Result<&str, Fault> {
    let text = std::str::from_utf8(content).map_err(|error| {
        let before = content.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Fault::at(line, "is not UTF-8: save the file in that encoding")
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}
