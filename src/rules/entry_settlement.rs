//! What the outside hears of settlements and of payments made.

use jiff::civil::Date;
use serde::Serialize;

use super::ids::{ReleaseId, SettlementId};
use super::money::Amount;
use super::time::Instant;

/// A part of a settlement is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettlementClosed {
    pub settlement_id: SettlementId,
    pub part: u32,
    pub settlement_date: Date,
    pub releases: u64,
    pub gross: Amount,
    pub recovered: Amount,
    pub to_deposit: Amount,
    pub amount: Amount,
}

/// What was due is under the minimum and moves to the next date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettlementSkipped {
    pub settlement_id: SettlementId,
    pub settlement_date: Date,
    pub due: Amount,
    pub minimum: Amount,
}

/// The payout system's answer to a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PayoutSettled {
    pub release_id: ReleaseId,
    pub attempt: u32,
    /// `paid`, `failed` or `returned`.
    pub result: &'static str,
    pub amount: Amount,
    pub at: Instant,
}
