//! What became of a fact, and why one is refused.

use super::super::entry::Entry;
use super::super::fact::FactKey;
use super::super::money::MoneyError;

/// What became of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub verdict: Verdict,
    pub entries: Vec<Entry>,
    /// Parked facts that could be applied now.
    pub unparked: Vec<FactKey>,
    /// Parked facts that were refused when their turn came: dead letters.
    pub refused: Vec<(FactKey, Refusal)>,
    /// What somebody should look at, for metrics and logs.
    pub alarms: Vec<&'static str>,
}

/// What became of the fact itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Applied,
    /// Kept until what it belongs to comes.
    Kept,
    /// The same message again: nothing happens.
    Duplicate,
}

/// Why a fact can't be accepted. The text is the dead letter's detail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Same key, other content.
    #[error("conflict: {0}")]
    Conflict(String),
    /// Other currency than the order's, other order than the dispute's.
    #[error("mismatch: {0}")]
    Mismatch(String),
    /// An amount that does not fit the order's currency, or a sum that overflows.
    #[error("money: {0}")]
    Money(String),
    /// Refunds exceed the order and its agreement says reject.
    #[error("refunds exceed the order")]
    RefundExceedsOrder,
    /// A review's decision by message about more than a message may decide.
    #[error("the order is above approval.above: a review of it is decided by persons")]
    NeedsApproval,
}

impl From<MoneyError> for Refusal {
    fn from(error: MoneyError) -> Self {
        Self::Money(error.to_string())
    }
}

impl Outcome {
    /// What no message has brought, and what follows from it.
    #[must_use]
    pub fn told(entries: Vec<Entry>) -> Self {
        Self {
            entries,
            ..Self::new(Verdict::Applied)
        }
    }

    pub(super) fn new(verdict: Verdict) -> Self {
        Self {
            verdict,
            entries: Vec::new(),
            unparked: Vec::new(),
            refused: Vec::new(),
            alarms: Vec::new(),
        }
    }
}
