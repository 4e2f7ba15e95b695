//! Agreements: how much of an order is held, how long, and under which conditions.
//! A version never changes once it is accepted; a hold refers to the version it was made under.

use std::collections::BTreeMap;

use jiff::civil::{Date, Time};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::ids::{AgreementId, CalendarId, MerchantId, TermName};
use super::money::Currency;
use super::time::Instant;

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
    pub settlement: SettlementTerms,
    pub refund: RefundTerms,
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

/// The settlement dates' anchor for `every` n weeks: a local date.
pub type LocalDate = Date;
