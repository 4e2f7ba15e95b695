//! Working days: a weekly mask, holidays, and days that work although they fall on a weekend.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Span;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::ids::CalendarId;

/// So many known days in a row must have a working day among them.
pub const IDLE_DAYS: i32 = 31;

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

impl Calendar {
    /// Whether people work on that day; `None` on a day that the calendar does not know.
    #[must_use]
    pub fn works(&self, day: Date) -> Option<bool> {
        if self.from.is_some_and(|from| day < from) || self.until.is_some_and(|until| day > until) {
            return None;
        }
        if self.weekend.contains(&weekday(day)) {
            Some(self.working_days.contains(&day))
        } else {
            Some(!self.holidays.contains(&day))
        }
    }

    /// Says everything that contradicts itself. Counting working days and rolling dates rely on
    /// it: no [`IDLE_DAYS`] days in a row are without a working day.
    ///
    /// # Errors
    /// One sentence per contradiction.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut problems: Vec<String> = self
            .holidays
            .intersection(&self.working_days)
            .map(|day| format!("{day} is both a holiday and a working day"))
            .collect();
        if self
            .from
            .zip(self.until)
            .is_some_and(|(from, until)| from > until)
        {
            problems.push("`from` is after `until`".to_owned());
        } else if let Some(day) = self.idle_since() {
            problems.push(format!("no working day in {IDLE_DAYS} days from {day}"));
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    }

    /// The first day of [`IDLE_DAYS`] known days without a working day. Only days near those that
    /// the calendar lists are looked at: elsewhere every week is like the next.
    fn idle_since(&self) -> Option<Date> {
        let reach = Span::new().days(IDLE_DAYS);
        let known = self.from.unwrap_or(Date::MIN)..=self.until.unwrap_or(Date::MAX);
        let listed: Vec<Date> = self.holidays.union(&self.working_days).copied().collect();
        let anywhere = self.from.or(self.until).unwrap_or(Date::ZERO);
        let places = if listed.is_empty() {
            vec![anywhere]
        } else {
            listed
        };
        let mut idle_since = None;
        let mut next = *known.start();
        for place in places {
            let start = place.saturating_sub(reach).max(*known.start());
            if start > next {
                (next, idle_since) = (start, None);
            }
            let end = place.saturating_add(reach).min(*known.end());
            for day in next
                .series(Span::new().days(1))
                .take_while(|day| *day <= end)
            {
                if self.works(day) == Some(true) {
                    idle_since = None;
                } else {
                    let since = *idle_since.get_or_insert(day);
                    if (day - since).get_days() + 1 >= IDLE_DAYS {
                        return Some(since);
                    }
                }
                next = day.saturating_add(Span::new().days(1));
            }
        }
        None
    }
}

/// 1 (Monday) to 7 (Sunday).
pub(super) fn weekday(day: Date) -> u8 {
    day.weekday().to_monday_one_offset().unsigned_abs()
}

impl Calendars {
    /// The ruling version of a calendar.
    #[must_use]
    pub fn get(&self, id: &CalendarId) -> Option<&Arc<Calendar>> {
        self.0.get(id)
    }

    /// The working days that an agreement counts with.
    #[must_use]
    pub fn working_days(&self, id: Option<&CalendarId>) -> WorkingDays<'_> {
        match id {
            None => WorkingDays::Every,
            Some(id) => self
                .get(id)
                .map_or(WorkingDays::Unknown, |found| WorkingDays::Of(found)),
        }
    }
}

/// Which days work, as far as that is known.
#[derive(Debug, Clone, Copy)]
pub enum WorkingDays<'a> {
    /// No calendar was agreed: every day.
    Every,
    Of(&'a Calendar),
    /// The agreed calendar is not there: nothing is known.
    Unknown,
}

impl WorkingDays<'_> {
    /// Whether that day works; `None` when it is not known.
    #[must_use]
    pub fn works(self, day: Date) -> Option<bool> {
        match self {
            Self::Every => Some(true),
            Self::Of(calendar) => calendar.works(day),
            Self::Unknown => None,
        }
    }
}
