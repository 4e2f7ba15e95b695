//! `calendar.published`: the working days that agreements count.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::fields::{self, Fields};
use super::order::VERSION_MAX;
use super::rejection::{Fault, Reason};
use crate::rules::calendar::Calendar;
use crate::rules::ids::CalendarId;

/// Reads one version of a calendar.
pub(super) fn calendar(fields: &Fields<'_>) -> Result<Calendar, Fault> {
    let calendar = Calendar {
        calendar: fields.id("calendar", CalendarId::parse)?,
        version: fields.required("version", fields.whole("version", 1..=VERSION_MAX)?)?,
        weekend: fields.required("weekend", weekdays(fields, "weekend")?)?,
        holidays: dates(fields, "holidays")?,
        working_days: dates(fields, "working_days")?,
        from: fields.date("from")?,
        until: fields.date("until")?,
    };
    match calendar.check() {
        Ok(()) => Ok(calendar),
        Err(problems) => Err(Fault::new(Reason::Value, problems.join("; "))),
    }
}

/// Weekdays 1 (Monday) to 7 (Sunday) from their English abbreviations.
pub(super) fn weekdays(fields: &Fields<'_>, name: &str) -> Result<Option<BTreeSet<u8>>, Fault> {
    let Some(items) = fields.list(name)? else {
        return Ok(None);
    };
    let days = items.into_iter().map(|raw| match raw {
        r#""mon""# => Ok(1),
        r#""tue""# => Ok(2),
        r#""wed""# => Ok(3),
        r#""thu""# => Ok(4),
        r#""fri""# => Ok(5),
        r#""sat""# => Ok(6),
        r#""sun""# => Ok(7),
        _ => Err(fields.fault(
            Reason::Schema,
            name,
            "must be of mon tue wed thu fri sat sun",
        )),
    });
    days.collect::<Result<_, _>>().map(Some)
}

/// A set of dates; absent: none.
fn dates(fields: &Fields<'_>, name: &str) -> Result<BTreeSet<Date>, Fault> {
    let items = fields.list(name)?.unwrap_or_default();
    let dates = items
        .into_iter()
        .map(|raw| fields::date(&fields::string(raw)?));
    dates
        .collect::<Result<_, Fault>>()
        .map_err(|fault| fault.at(&fields.pointer(name)))
}
