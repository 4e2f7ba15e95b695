//! Instants as the contract writes them: microseconds, UTC, `Z`; and the way between them and the
//! local time of an IANA zone, by bundled zone data only, so that every machine counts the same.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::StdFmtWrite;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

/// A point in time, cut to microseconds: what Postgres keeps and what the wire shows.
///
/// Kept as their number since 1970, half the size of a [`Timestamp`]: an order has up to a dozen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(i64);

impl Instant {
    /// Cuts anything finer than a microsecond.
    #[must_use]
    pub fn new(at: Timestamp) -> Self {
        let micros = i64::from(at.subsec_nanosecond().div_euclid(1_000));
        Self(at.as_second() * 1_000_000 + micros)
    }

    /// The last instant that can be written: stands for "never".
    pub const MAX: Self = Self(253_402_207_200_999_999);

    /// So many hours later; `None` beyond the year 9999.
    #[must_use]
    pub fn plus_hours(self, hours: u32) -> Option<Self> {
        let later = i64::from(hours).checked_mul(3_600_000_000)?;
        let later = Self(self.0.checked_add(later)?);
        (later <= Self::MAX).then_some(later)
    }

    /// What a clock in this zone shows.
    #[must_use]
    pub fn local(self, zone: &TimeZone) -> DateTime {
        zone.to_datetime(self.timestamp())
    }

    /// When a clock in this zone shows that time: one that the zone skips is the first instant
    /// after the gap, one that occurs twice is the first. `None` outside of the years 1 to 9999.
    #[must_use]
    pub fn at_local(local: DateTime, zone: &TimeZone) -> Option<Self> {
        let ambiguous = zone.to_ambiguous_timestamp(local);
        let in_gap = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
        // In a gap this reads the clock as already set forward, which is before the gap.
        let first = ambiguous.earlier().ok()?;
        if in_gap {
            zone.following(first)
                .next()
                .map(|transition| Self::new(transition.timestamp()))
        } else {
            Some(Self::new(first))
        }
    }

    /// The instant as `jiff` has it.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        let (seconds, micros) = (self.0.div_euclid(1_000_000), self.0.rem_euclid(1_000_000));
        let nanos = i32::try_from(micros * 1_000).expect("less than a second");
        // Not `Timestamp::from_microsecond`, which refuses the last second.
        Timestamp::new(seconds, nanos).expect("made of a timestamp")
    }
}

/// The zone of an IANA name (in any case); `None` for a name that the bundled data does not have.
/// Parsed once per process and name.
#[must_use]
pub fn zone(name: &str) -> Option<TimeZone> {
    let zone = TimeZoneDatabase::bundled().get(name).ok()?;
    (!zone.is_unknown()).then_some(zone)
}

impl From<Timestamp> for Instant {
    fn from(at: Timestamp) -> Self {
        Self::new(at)
    }
}

impl fmt::Display for Instant {
    /// UTC with `Z`; no fraction when it is zero, else six digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(0));
        const MICROSECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(6));
        let whole = self.0 % 1_000_000 == 0;
        let printer = if whole { SECONDS } else { MICROSECONDS };
        printer
            .print_timestamp(&self.timestamp(), StdFmtWrite(f))
            .map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Instant {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Timestamp::deserialize(deserializer).map(Self::new)
    }
}
