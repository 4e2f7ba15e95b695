//! A day of one currency in numbers, for whoever reconciles with holdback (`control.daily`).
//!
//! A day is one of UTC: it begins at 00:00 and ends before the next 00:00. A movement belongs to the
//! day on which it was booked, which is the day of its event's `occurred_at`: so a day that is over
//! stays as it is, whatever comes late. Guarantees that opening + movements = closing, account by
//! account.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::balance::Balance;
use super::entry::{Account, Entry, Event};
use super::money::{Currency, MoneyError};
use super::time::Instant;

/// All merchants' events and movements of one currency and day. Sums of no merchant: published
/// under `*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ControlDaily {
    /// The day, of UTC.
    pub date: Date,
    /// Its first instant.
    pub from: Instant,
    /// The first instant that does not belong to it any more.
    pub until: Instant,
    /// Events of that currency and day in both topics; events of this type are not counted.
    pub events: u64,
    pub created: Sum,
    pub consumed: Sum,
    pub restored: Sum,
    pub reversed: Sum,
    pub released: Released,
    pub paid: Sum,
    /// Paid money that came back.
    pub returned: Sum,
    /// All that moved, by type of event and by accounts.
    pub movements: Vec<Movement>,
    /// What stood on the accounts before, of all merchants together.
    pub opening: Accounts,
    /// What stands there after.
    pub closing: Accounts,
}

/// So many events moved so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sum {
    pub count: u64,
    pub amount: Balance,
}

/// The releases decided on that day. An attempt after the first decides nothing anew and is not
/// counted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Released {
    pub count: u64,
    pub gross: Balance,
    pub recovered: Balance,
    pub to_deposit: Balance,
    pub amount: Balance,
}

impl Released {
    /// Both together.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] beyond all range.
    pub fn plus(&self, other: &Self) -> Result<Self, MoneyError> {
        Ok(Self {
            count: self.count + other.count,
            gross: self.gross.plus(other.gross)?,
            recovered: self.recovered.plus(other.recovered)?,
            to_deposit: self.to_deposit.plus(other.to_deposit)?,
            amount: self.amount.plus(other.amount)?,
        })
    }

    /// None.
    #[must_use]
    pub fn none(currency: Currency) -> Self {
        let nothing = Balance::zero(currency);
        Self {
            count: 0,
            gross: nothing,
            recovered: nothing,
            to_deposit: nothing,
            amount: nothing,
        }
    }
}

/// What events of one type moved from one account to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Movement {
    #[serde(rename = "type")]
    pub type_name: &'static str,
    pub debit: Account,
    pub credit: Account,
    pub count: u64,
    pub amount: Balance,
}

/// A currency's balance of every account, all merchants together: credits less debits, so that they
/// add up to nothing. What merchants owe stands below zero on `receivable`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accounts([Balance; 8]);

impl Accounts {
    /// Nothing anywhere.
    #[must_use]
    pub fn zero(currency: Currency) -> Self {
        Self([Balance::zero(currency); 8])
    }

    /// These, in the order of [`Account::ALL`].
    #[must_use]
    pub fn of(balances: [Balance; 8]) -> Self {
        Self(balances)
    }

    /// In the order of [`Account::ALL`].
    #[must_use]
    pub fn balances(&self) -> &[Balance; 8] {
        &self.0
    }

    fn credit(&mut self, account: Account, amount: Balance) -> Result<(), MoneyError> {
        for (known, balance) in Account::ALL.into_iter().zip(&mut self.0) {
            if known == account {
                *balance = balance.plus(amount)?;
            }
        }
        Ok(())
    }
}

impl Serialize for Accounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (account, balance) in Account::ALL.iter().zip(&self.0) {
            map.serialize_entry(account.name(), balance)?;
        }
        map.end()
    }
}

/// The first instant of a day of UTC; `None` at the end of the calendar.
#[must_use]
pub fn begin(date: Date) -> Option<Instant> {
    Instant::at_local(date.to_datetime(Time::midnight()), &TimeZone::UTC)
}

/// The day of UTC that an instant belongs to.
#[must_use]
pub fn day_of(at: Instant) -> Date {
    at.local(&TimeZone::UTC).date()
}

/// A day of one currency as the books have it.
#[derive(Debug, Clone)]
pub struct Day {
    pub currency: Currency,
    pub date: Date,
    pub events: u64,
    pub movements: Vec<Movement>,
    pub released: Released,
}

impl Day {
    /// A day on which nothing happened.
    #[must_use]
    pub fn quiet(currency: Currency, date: Date) -> Self {
        Self {
            currency,
            date,
            events: 0,
            movements: Vec::new(),
            released: Released::none(currency),
        }
    }

    /// The journal's line about this day, with what stands on the accounts at its end.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] beyond all range.
    pub fn close(self, opening: Accounts) -> Result<(Entry, Accounts), MoneyError> {
        let mut closing = opening;
        for movement in &self.movements {
            closing.credit(movement.debit, movement.amount.negated()?)?;
            closing.credit(movement.credit, movement.amount)?;
        }
        let next = self.date.tomorrow().ok().and_then(begin);
        let event = ControlDaily {
            date: self.date,
            from: begin(self.date).ok_or(MoneyError::Overflow)?,
            until: next.ok_or(MoneyError::Overflow)?,
            events: self.events,
            created: self.sum("holdback.hold.created.v1", None)?,
            consumed: self.sum("holdback.hold.consumed.v1", None)?,
            restored: self.sum("holdback.hold.restored.v1", None)?,
            reversed: self.sum("holdback.hold.reversed.v1", None)?,
            released: self.released,
            paid: self.sum("holdback.payout.settled.v1", Some(Account::Paid))?,
            returned: self.sum("holdback.payout.settled.v1", Some(Account::Payable))?,
            movements: self.movements,
            opening,
            closing,
        };
        let entry = Entry {
            cause: event.date.to_string(),
            event: Event::ControlDaily(Box::new(event)),
            order: None,
            hold: None,
            currency: Some(self.currency),
            transfer: None,
            traceparent: None,
        };
        Ok((entry, closing))
    }

    /// What events of a type moved, to one account or to any.
    fn sum(&self, type_name: &str, credit: Option<Account>) -> Result<Sum, MoneyError> {
        let mut sum = Sum {
            count: 0,
            amount: Balance::zero(self.currency),
        };
        for movement in &self.movements {
            let wanted = credit.is_none_or(|account| account == movement.credit);
            if movement.type_name == type_name && wanted {
                sum.count += movement.count;
                sum.amount = sum.amount.plus(movement.amount)?;
            }
        }
        Ok(sum)
    }
}
