//! What will be released on which settlement date if nothing changes, and what has no date.
//!
//! Gross amounts, as releases have them: what debts and the deposit will take is not foretold, nor
//! whether a settlement stays under its minimum. Every part adds up to what is held.

use std::collections::BTreeMap;

use jiff::Span;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::agreement::AtLimit;
use super::ids::MerchantId;
use super::money::{Amount, Currency, MoneyError, less};
use super::recovery::Credit;
use super::release::Claim;
use super::time::{Instant, zone};

/// One merchant, foretold at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Forecast {
    pub merchant_id: MerchantId,
    pub at: Instant,
    /// The last date that stands by itself; what goes after it is `later`.
    pub until: Date,
    pub currencies: Vec<CurrencyForecast>,
}

/// One currency: all but `held` add up to `held`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CurrencyForecast {
    pub currency: Currency,
    pub held: Amount,
    /// By settlement date, the earliest first. A date that has passed: on the next look.
    pub days: Vec<Day>,
    /// Goes after the last date.
    pub later: Amount,
    /// Kept by disputes and other blocks: no date until they are cleared.
    pub blocked: Amount,
    /// The clock of its term has not started.
    pub pending: Amount,
    /// A calendar does not know its date.
    pub undated: Amount,
    /// Was due before `release.not_before`: waits for a person.
    pub before_start: Amount,
    /// Belongs to no hold: goes at once, unless its order is blocked.
    pub credits: Amount,
}

/// What goes on one settlement date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Day {
    pub settlement_date: Date,
    pub holds: u64,
    pub amount: Amount,
}

/// Takes the merchant's holds in, one at a time.
#[derive(Debug)]
pub struct Forecaster {
    merchant: MerchantId,
    now: Instant,
    not_before: Instant,
    until: Date,
    currencies: BTreeMap<Currency, Sums>,
}

/// A currency's sums on their way.
#[derive(Debug)]
struct Sums {
    totals: CurrencyForecast,
    days: BTreeMap<Date, Day>,
}

impl Forecaster {
    /// Looks `days` days ahead of today, in UTC; holds due before `not_before` need a person.
    #[must_use]
    pub fn new(merchant: MerchantId, now: Instant, not_before: Instant, days: u16) -> Self {
        let today = now.local(&TimeZone::UTC).date();
        Self {
            merchant,
            now,
            not_before,
            until: today.saturating_add(Span::new().days(i64::from(days))),
            currencies: BTreeMap::new(),
        }
    }

    /// Adds a hold of this merchant.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn add(&mut self, claim: &Claim) -> Result<(), MoneyError> {
        let hold = &claim.hold;
        let currency = claim.currency;
        let until = self.until;
        let not_before = self.not_before;
        let sums = self.sums(currency);
        let totals = &mut sums.totals;
        totals.held = totals.held.plus(hold.left)?;
        if hold.barred {
            totals.blocked = totals.blocked.plus(hold.left)?;
            return Ok(());
        }
        let limit = limit(claim);
        let mut days: BTreeMap<Date, Amount> = BTreeMap::new();
        for part in hold.parts() {
            let free = less(part.amount, part.blocked);
            let dated = part
                .dates
                .map(|dates| (dates.release_at, dates.settlement_on));
            let own = earliest(dated, limit);
            for (amount, goes, waits) in [
                (free, own, Waits::of(hold.anchor_at)),
                (part.blocked, limit, Waits::Blocked),
            ] {
                match goes {
                    Some((at, _)) if at < not_before => {
                        totals.before_start = totals.before_start.plus(amount)?;
                    }
                    Some((_, day)) if day > until => totals.later = totals.later.plus(amount)?,
                    Some((_, day)) if !amount.is_zero() => {
                        let sum = days.get(&day).copied();
                        let sum = sum.unwrap_or_else(|| Amount::zero(currency));
                        days.insert(day, sum.plus(amount)?);
                    }
                    Some(_) => {}
                    None => {
                        let sum = waits.of_totals(totals);
                        *sum = sum.plus(amount)?;
                    }
                }
            }
        }
        for (settlement_date, amount) in days {
            let day = sums.days.entry(settlement_date).or_insert_with(|| Day {
                settlement_date,
                holds: 0,
                amount: Amount::zero(currency),
            });
            day.holds = day.holds.saturating_add(1);
            day.amount = day.amount.plus(amount)?;
        }
        Ok(())
    }

    /// Adds a credit that waits.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn add_credit(&mut self, credit: &Credit) -> Result<(), MoneyError> {
        let not_before = self.not_before;
        let totals = &mut self.sums(credit.currency).totals;
        totals.held = totals.held.plus(credit.amount)?;
        let sum = if credit.opened_at < not_before {
            &mut totals.before_start
        } else {
            &mut totals.credits
        };
        *sum = sum.plus(credit.amount)?;
        Ok(())
    }

    fn sums(&mut self, currency: Currency) -> &mut Sums {
        self.currencies.entry(currency).or_insert_with(|| Sums {
            totals: nothing(currency),
            days: BTreeMap::new(),
        })
    }

    /// The forecast.
    #[must_use]
    pub fn finish(self) -> Forecast {
        let currencies = self.currencies.into_values().map(|sums| CurrencyForecast {
            days: sums.days.into_values().collect(),
            ..sums.totals
        });
        Forecast {
            merchant_id: self.merchant,
            at: self.now,
            until: self.until,
            currencies: currencies.collect(),
        }
    }
}

/// Why money has no date.
#[derive(Clone, Copy)]
enum Waits {
    Blocked,
    Pending,
    Undated,
}

impl Waits {
    fn of(anchor_at: Option<Instant>) -> Self {
        match anchor_at {
            None => Self::Pending,
            Some(_) => Self::Undated,
        }
    }

    fn of_totals(self, totals: &mut CurrencyForecast) -> &mut Amount {
        match self {
            Self::Blocked => &mut totals.blocked,
            Self::Pending => &mut totals.pending,
            Self::Undated => &mut totals.undated,
        }
    }
}

fn nothing(currency: Currency) -> CurrencyForecast {
    let nothing = Amount::zero(currency);
    CurrencyForecast {
        currency,
        held: nothing,
        days: Vec::new(),
        later: nothing,
        blocked: nothing,
        pending: nothing,
        undated: nothing,
        before_start: nothing,
        credits: nothing,
    }
}

/// When the limit lets everything go, if the term says so, and which local date that is.
pub(crate) fn limit(claim: &Claim) -> Option<(Instant, Date)> {
    let releases = claim.term()?.at_limit == AtLimit::Release;
    let at = claim.hold.limit_at.filter(|_| releases)?;
    Some((at, at.local(&zone(&claim.agreement.time_zone)?).date()))
}

/// The earlier of the two, as far as they are known.
pub(super) fn earliest<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
