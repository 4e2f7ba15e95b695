//! Working days: a weekly mask, holidays, and days that work although they fall on a weekend.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::ids::CalendarId;

/// One version of a calendar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    pub calendar: CalendarId,
    pub version: u64,
    /// Weekdays 1 (Monday) to 7 (Sunday) that do not work.
    pub weekend: BTreeSet<u8>,
    pub holidays: BTreeSet<Date>,
    pub working_days: BTreeSet<Date>,
    /// First and last date that the calendar knows; absent: unbounded.
    pub from: Option<Date>,
    pub until: Option<Date>,
}

/// The highest version of each calendar.
#[derive(Debug, Clone, Default)]
pub struct Calendars(pub HashMap<CalendarId, Arc<Calendar>>);
