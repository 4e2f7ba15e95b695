//! Payout results: what the payout system says of a release.

use super::entry::Entry;
use super::fact::PayoutResult;
use super::ids::{HoldId, MerchantId, OrderId, ReleaseId};
use super::money::{Amount, Currency};
use super::time::Instant;

/// A release as the payout side sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payout {
    pub merchant: MerchantId,
    pub release: ReleaseId,
    pub order: Option<OrderId>,
    pub hold: Option<HoldId>,
    pub currency: Currency,
    pub amount: Amount,
    /// The current attempt, from 1.
    pub attempt: u32,
    pub state: PayoutState,
    pub at: Option<Instant>,
}

/// Where the money is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum PayoutState {
    Issued = 1,
    Paid = 2,
    Failed = 3,
}

/// Applies a result to one release. Results of another attempt than the current, and results
/// older than the one that counts, change nothing.
pub fn apply(payout: &mut Payout, result: &PayoutResult) -> Vec<Entry> {
    let _ = (payout, result);
    todo!()
}
