//! What the events about a merchant's debts and credits say (contract, section 9). They are part of
//! [`super::entry`], which names them.

use serde::{Deserialize, Serialize};

use super::entry::Source;
use super::ids::{
    AdjustmentId, CreditId, DisputeId, ReceivableId, RefundId, ReleaseId, TransactionId,
};
use super::money::Amount;

/// The merchant owes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceivableOpened {
    pub receivable_id: ReceivableId,
    pub amount: Amount,
    pub refund_id: Option<RefundId>,
    pub dispute_id: Option<DisputeId>,
    /// The withdrawal that took more than the deposit; of an imported debt the earlier system's id.
    pub transaction_id: Option<TransactionId>,
    /// The adjustment that took more than the deposit.
    pub adjustment_id: Option<AdjustmentId>,
}

/// The merchant owes less.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceivableRecovered {
    pub receivable_id: ReceivableId,
    pub amount: Amount,
    pub left: Amount,
    /// `release`; `deposit`; `adjustment`; `cancellation`; `dispute` when a lost chargeback turned out
    /// smaller; `refund_reversed`.
    pub by: &'static str,
    /// The release that paid it, if one did.
    pub release_id: Option<ReleaseId>,
    /// The adjustment that paid it, if one did.
    pub adjustment_id: Option<AdjustmentId>,
}

/// What the platform bears of a receivable has changed: persons have written it off, or the charge
/// behind it was given back after that, which makes the loss good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceivableWrittenOff {
    pub receivable_id: ReceivableId,
    /// What was written off now, or made good.
    pub amount: Amount,
    /// What the merchant still owes of it.
    pub left: Amount,
    /// What is written off of it now.
    pub written_off: Amount,
    /// It was given back to the platform: `written_off` is less by `amount`.
    pub made_good: bool,
    /// `operator`; when it is made good `cancellation`, `dispute` or `refund_reversed`.
    pub by: &'static str,
}

/// Money that is the merchant's apart from any hold: it had been taken for a debt and is theirs again,
/// or an adjustment gives it. It is released on its own, with reason `adjustment`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CreditOpened {
    pub credit_id: CreditId,
    pub amount: Amount,
    /// `adjustment`; `cancellation`; `dispute` when a lost chargeback turned out smaller;
    /// `refund_reversed`; `reconcile` when another credit was released with less than it has.
    pub by: &'static str,
    pub adjustment_id: Option<AdjustmentId>,
}

/// A refund did not go through after all: what it had charged goes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefundReversed {
    pub refund_id: RefundId,
    /// The refund's.
    pub amount: Amount,
    /// What the merchant bore of it and no longer bears: the sum of the sources.
    pub returned: Amount,
    pub sources: Vec<Source>,
}

/// The merchant's deposit in the event's currency is another sum now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DepositChanged {
    /// What came or went.
    pub amount: Amount,
    pub direction: Direction,
    /// What the deposit is now.
    pub deposit: Amount,
    /// `credited`, `withdrawn`, `top_up`, `recovery` (it paid receivables), `refund`, `dispute`,
    /// `cancellation`, `refund_reversed`, `adjustment`.
    pub by: &'static str,
    pub transaction_id: Option<TransactionId>,
    pub adjustment_id: Option<AdjustmentId>,
    pub release_id: Option<ReleaseId>,
    pub refund_id: Option<RefundId>,
    pub dispute_id: Option<DisputeId>,
}

/// Whether money came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Credit,
    Debit,
}

impl DepositChanged {
    /// Without the ids of what changed it.
    pub(super) fn new(
        amount: Amount,
        direction: Direction,
        deposit: Amount,
        by: &'static str,
    ) -> Self {
        Self {
            amount,
            direction,
            deposit,
            by,
            transaction_id: None,
            adjustment_id: None,
            release_id: None,
            refund_id: None,
            dispute_id: None,
        }
    }
}
