//! What the events about a merchant's debts and credits say (contract, section 9). They are part of
//! [`super::entry`], which names them.

use serde::Serialize;

use super::ids::{CreditId, DisputeId, ReceivableId, RefundId, ReleaseId};
use super::money::Amount;

/// The merchant owes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceivableOpened {
    pub receivable_id: ReceivableId,
    pub amount: Amount,
    pub refund_id: Option<RefundId>,
    pub dispute_id: Option<DisputeId>,
}

/// The merchant owes less.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceivableRecovered {
    pub receivable_id: ReceivableId,
    pub amount: Amount,
    pub left: Amount,
    /// `release`; `cancellation`; or `dispute` when a lost chargeback turned out smaller.
    pub by: &'static str,
    /// The release that paid it, if one did.
    pub release_id: Option<ReleaseId>,
}

/// Money that had been taken from the merchant for a debt, and that is theirs again. It is released
/// on its own, with reason `adjustment`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CreditOpened {
    pub credit_id: CreditId,
    pub amount: Amount,
    /// `cancellation`, or `dispute` when a lost chargeback turned out smaller.
    pub by: &'static str,
}
