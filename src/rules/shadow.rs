//! Which releases are holdback's own, and which another system pays meanwhile (contract, section 6,
//! "Going live").
//!
//! A shadow decides, keeps and shows every release as it would be, under the same ids, amounts and
//! dates, and tells it as `release.shadowed` and `settlement.shadowed` among the events; nothing of it
//! is for payout systems. What it lets go stands in the journal as paid at once, since the other
//! system pays it. Which of the two a release is depends on its settlement date alone, so a
//! settlement is never half a shadow, and nothing is both or neither.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::entry::{Account, Entry, Event, ReleaseIssued, ReleaseReason};
use super::forecast;
use super::release::Claim;
use super::time::{Instant, zone};

/// Who pays what is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Every release is holdback's.
    Live,
    /// Another system pays what settles before this date; `None`: all.
    Shadow { live_from: Option<Date> },
}

/// The hours by which the earliest local date on earth is ahead of UTC.
const EARLIEST_ZONE_HOURS: u32 = 14;

impl Mode {
    /// Whether another system pays what settles on this date.
    #[must_use]
    pub fn shadows(self, on: Date) -> bool {
        match self {
            Self::Live => false,
            Self::Shadow { live_from } => live_from.is_none_or(|from| on < from),
        }
    }

    /// Makes shadows of the releases among these entries of one hold that another system pays, with
    /// what each of them recovers or puts aside, which follows it.
    pub fn cast(self, claim: &Claim, entries: &mut [Entry], now: Instant) {
        self.cast_dated(entries, |release| date_of(claim, release, now));
    }

    /// The same for a credit's release, which belongs to the day on which it is decided, in UTC.
    pub fn cast_credit(self, entries: &mut [Entry], now: Instant) {
        self.cast_dated(entries, |_| now.local(&TimeZone::UTC).date());
    }

    fn cast_dated(self, entries: &mut [Entry], date_of: impl Fn(&ReleaseIssued) -> Date) {
        let mut shadowed = false;
        for entry in entries {
            if let Event::ReleaseIssued(release) = &entry.event {
                shadowed = self.shadows(date_of(release));
                if shadowed {
                    entry.event = Event::ReleaseShadowed(release.clone());
                }
            }
            if let Some(transfer) = entry.transfer.as_mut().filter(|_| shadowed) {
                for account in [&mut transfer.debit, &mut transfer.credit] {
                    if *account == Account::Payable {
                        *account = Account::Paid;
                    }
                }
            }
        }
    }

    /// Makes a shadow of the end of a settlement that another system pays.
    pub fn cast_end(self, entry: &mut Entry) {
        if let Event::SettlementClosed(end) = &entry.event
            && self.shadows(end.settlement_date)
        {
            entry.event = Event::SettlementShadowed(end.clone());
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Live => f.write_str("live: what is released is published"),
            Self::Shadow { live_from: None } => f.write_str(
                "a shadow: releases are decided and kept, none is published; another system pays",
            ),
            Self::Shadow {
                live_from: Some(from),
            } => write!(
                f,
                "live from settlement date {from} on: what settles before is decided and kept as a shadow, another system pays it"
            ),
        }
    }
}

/// The latest date that it is anywhere on earth: nothing decided by now settles after it.
#[must_use]
pub fn latest_date(now: Instant) -> Date {
    let ahead = now.plus_hours(EARLIEST_ZONE_HOURS).unwrap_or(Instant::MAX);
    ahead.local(&TimeZone::UTC).date()
}

/// The settlement date; of a release by limit the limit's local date, of any other that day's.
fn date_of(claim: &Claim, release: &ReleaseIssued, now: Instant) -> Date {
    let limit = || forecast::limit(claim).filter(|_| release.reason == ReleaseReason::Limit);
    let here = || zone(&claim.agreement.time_zone).unwrap_or(TimeZone::UTC);
    let on = release
        .settlement_date
        .or_else(|| limit().map(|(_, on)| on));
    on.unwrap_or_else(|| now.local(&here()).date())
}
