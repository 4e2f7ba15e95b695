//! Agreements: how much of an order is held, how long, and under which conditions.
//! A version never changes once it is accepted; a hold refers to the version it was made under.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::civil::Time;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::ids::{AgreementId, CalendarId, MerchantId, TermName};
use super::money::{Amount, Currency, MoneyError};
use super::review::ReviewTerms;
use super::time::{Instant, zone};

/// One version of an agreement, complete: every default filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    pub agreement_id: AgreementId,
    pub version: u64,
    /// The merchant, or `*` for the platform's default.
    pub merchant_id: MerchantId,
    pub effective_from: Instant,
    pub effective_until: Option<Instant>,
    /// Absent: any currency.
    pub currency: Option<Currency>,
    /// IANA name, checked.
    pub time_zone: String,
    pub calendar: Option<CalendarId>,
    pub terms: Vec<Term>,
    pub confirmation: Confirmation,
    /// Absent in versions that were kept before there were reviews.
    #[serde(default)]
    pub review: ReviewTerms,
    pub settlement: SettlementTerms,
    pub refund: RefundTerms,
    /// Agreements kept before deposits were known have none.
    #[serde(default)]
    pub deposit: DepositTerms,
}

/// One line of an agreement; makes at most one hold per order. Amounts are plain numbers in the
/// order's own currency, rounded half up to its minor unit when used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    pub name: TermName,
    pub basis: Basis,
    /// Basis points, 0 to 10000.
    pub rate_bps: u32,
    pub fixed: Decimal,
    pub minimum: Decimal,
    pub maximum: Option<Decimal>,
    /// Attribute → allowed values; all must match.
    pub when: BTreeMap<String, Vec<String>>,
    pub anchor: Anchor,
    pub days: u32,
    pub day_kind: DayKind,
    pub count: Count,
    pub limit_days: u32,
    pub at_limit: AtLimit,
}

/// What a rate applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The order's amount.
    Gross,
    /// Amount less fees.
    Net,
}

/// From when the hold period runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anchor {
    Completed,
    Delivered,
    Confirmed,
}

/// Which days count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DayKind {
    Calendar,
    Business,
}

/// Where in the last day the window ends (contract, section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Count {
    Instant,
    Date,
    EndOfDay,
}

/// What happens when a hold reaches its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtLimit {
    Alert,
    Release,
}

/// When an order counts as confirmed without anybody saying so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    pub required: bool,
    pub auto_after_hours: u32,
}

/// When released money is settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettlementTerms {
    pub cycle: Cycle,
    /// Local time of day of a settlement.
    pub cut_off: Time,
    pub roll: Roll,
    pub minimum: Decimal,
    pub minimum_max_days: u32,
}

/// The dates of settlements before rolling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cycle", rename_all = "snake_case")]
pub enum Cycle {
    Daily,
    /// Weekdays 1 (Monday) to 7 (Sunday), every n weeks from the week of `effective_from`.
    Weekly {
        weekdays: Vec<u8>,
        every: u32,
    },
    /// Days 1 to 31, or −1 for the last; a day that the month lacks is its last day.
    Monthly {
        days_of_month: Vec<i8>,
    },
}

/// Where a settlement date goes that is no working day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Roll {
    Following,
    ModifiedFollowing,
    Preceding,
    Unadjusted,
}

/// How much of a deposit the merchant has to have, and how releases raise it to that.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepositTerms {
    pub required: Decimal,
    pub top_up_bps: u32,
}

/// How refunds are paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundTerms {
    pub source: RefundSource,
    pub excess: Excess,
    pub fees: RefundFees,
    pub free: Free,
}

/// Which money pays a refund first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundSource {
    HoldFirst,
    Proportional,
    MerchantFirst,
}

/// What becomes of refunds beyond the order's amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Excess {
    Reject,
    Receivable,
}

/// Who bears the fees of what is refunded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundFees {
    Kept,
    Returned,
}

/// Who stands for the part of an order that no term holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Free {
    Receivable,
    Outside,
}

/// The longest period in days that an agreement may name: ten years.
pub const MAX_DAYS: u32 = 3660;
/// The most weeks between two weekly settlements.
pub const MAX_WEEKS: u32 = 52;

/// The agreement under which an order of this merchant and currency stands.
///
/// The merchant's own comes before the platform's, one of this currency before one of any, then
/// the latest `effective_from`, the higher version, the greater id.
#[must_use]
pub fn in_force<'a>(
    agreements: &'a [Arc<Agreement>],
    merchant: &MerchantId,
    currency: Currency,
    completed_at: Instant,
) -> Option<&'a Arc<Agreement>> {
    agreements
        .iter()
        .filter(|agreement| agreement.covers(merchant, currency, completed_at))
        .max_by_key(|agreement| agreement.rank())
}

impl Agreement {
    /// Whether it may apply to such an order, other agreements aside. `effective_until` is the last
    /// instant that it covers.
    #[must_use]
    pub fn covers(&self, merchant: &MerchantId, currency: Currency, completed_at: Instant) -> bool {
        (self.merchant_id == *merchant || self.merchant_id.is_platform())
            && self.currency.is_none_or(|only| only == currency)
            && self.effective_from <= completed_at
            && self
                .effective_until
                .is_none_or(|until| completed_at <= until)
    }

    /// Where several cover an order the one of the highest rank is in force.
    #[must_use]
    pub fn rank(&self) -> impl Ord + '_ {
        (
            !self.merchant_id.is_platform(),
            self.currency.is_some(),
            self.effective_from,
            self.version,
            &self.agreement_id,
        )
    }

    /// Everything in it that contradicts itself or can't be meant; empty for a sound agreement.
    #[must_use]
    pub fn check(&self) -> Vec<Fault> {
        let mut faults = Faults(Vec::new());
        let unknown_zone = zone(&self.time_zone).is_none();
        faults.when(unknown_zone, "/time_zone", "is no IANA time zone");
        let ends_first = self
            .effective_until
            .is_some_and(|until| until <= self.effective_from);
        faults.when(
            ends_first,
            "/effective_until",
            "is not after effective_from",
        );
        faults.when(self.terms.is_empty(), "/terms", "has no term");
        for (position, term) in self.terms.iter().enumerate() {
            self.check_term(position, term, &mut faults);
        }
        let hours = self.confirmation.auto_after_hours;
        faults.when(
            hours > MAX_DAYS * 24,
            "/confirmation/auto_after_hours",
            "is over ten years",
        );
        if let Some(threshold) = self.review.threshold {
            self.check_amount(threshold, "/review/threshold".to_owned(), &mut faults);
        }
        self.check_settlement(&mut faults);
        let required = self.deposit.required;
        self.check_amount(required, "/deposit/required".to_owned(), &mut faults);
        let over = self.deposit.top_up_bps > 10_000;
        faults.when(over, "/deposit/top_up_bps", "is over 10000");
        faults.0
    }

    fn check_term(&self, position: usize, term: &Term, faults: &mut Faults) {
        let at = |field: &str| format!("/terms/{position}/{field}");
        let twice = self
            .terms
            .iter()
            .take(position)
            .any(|earlier| earlier.name == term.name);
        faults.when(twice, at("name"), "is the name of an earlier term");
        faults.when(term.rate_bps > 10_000, at("rate_bps"), "is over 10000");
        self.check_amount(term.fixed, at("fixed"), faults);
        self.check_amount(term.minimum, at("minimum"), faults);
        if let Some(maximum) = term.maximum {
            self.check_amount(maximum, at("maximum"), faults);
            faults.when(term.minimum > maximum, at("minimum"), "is above maximum");
        }
        for (attribute, allowed) in &term.when {
            let attribute = attribute.replace('~', "~0").replace('/', "~1");
            let never = allowed.is_empty();
            faults.when(never, at(&format!("when/{attribute}")), "allows no value");
        }
        faults.when(term.days > MAX_DAYS, at("days"), "is over 3660");
        faults.when(term.limit_days > MAX_DAYS, at("limit_days"), "is over 3660");
        let released_first = term.at_limit == AtLimit::Release && term.limit_days < term.days;
        faults.when(
            released_first,
            at("limit_days"),
            "releases before the days of the term are over",
        );
        let no_calendar = term.day_kind == DayKind::Business && self.calendar.is_none();
        faults.when(no_calendar, at("day_kind"), "needs a calendar");
    }

    fn check_settlement(&self, faults: &mut Faults) {
        match &self.settlement.cycle {
            Cycle::Daily => {}
            Cycle::Weekly { weekdays, every } => {
                faults.when(weekdays.is_empty(), "/settlement/weekdays", "has no day");
                for (position, weekday) in weekdays.iter().enumerate() {
                    let at = format!("/settlement/weekdays/{position}");
                    faults.when(!(1..=7).contains(weekday), at, "is no day of the week");
                }
                let range = 1..=MAX_WEEKS;
                faults.when(
                    !range.contains(every),
                    "/settlement/every",
                    "is not within 1 to 52",
                );
            }
            Cycle::Monthly { days_of_month } => {
                faults.when(
                    days_of_month.is_empty(),
                    "/settlement/days_of_month",
                    "has no day",
                );
                for (position, day) in days_of_month.iter().enumerate() {
                    let at = format!("/settlement/days_of_month/{position}");
                    let unknown = *day != -1 && !(1..=31).contains(day);
                    faults.when(unknown, at, "is neither within 1 to 31 nor -1");
                }
            }
        }
        self.check_amount(
            self.settlement.minimum,
            "/settlement/minimum".to_owned(),
            faults,
        );
        let too_long = self.settlement.minimum_max_days > MAX_DAYS;
        faults.when(too_long, "/settlement/minimum_max_days", "is over 3660");
    }

    /// An agreement of one currency writes amounts of that currency; one of any, plain numbers.
    fn check_amount(&self, value: Decimal, pointer: String, faults: &mut Faults) {
        let fit = match self.currency {
            Some(currency) => Amount::new(value, currency).map(drop),
            None if value.is_sign_negative() && !value.is_zero() => Err(MoneyError::BelowZero),
            None => Ok(()),
        };
        if let Err(error) = fit {
            faults.when(true, pointer, &format!("is no amount: {error}"));
        }
    }
}

/// One thing that is wrong with an agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// JSON pointer into the message's data.
    pub pointer: String,
    /// Reads on from the pointer: `is over 10000`.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pointer, self.problem)
    }
}

struct Faults(Vec<Fault>);

impl Faults {
    fn when(&mut self, wrong: bool, pointer: impl Into<String>, problem: &str) {
        if wrong {
            self.0.push(Fault {
                pointer: pointer.into(),
                problem: problem.to_owned(),
            });
        }
    }
}
