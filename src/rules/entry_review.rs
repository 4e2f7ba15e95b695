//! What the outside hears of reviews. Free text stays out of the journal: it has a retention.

use serde::Serialize;

use super::ids::ReviewId;
use super::review::{ClosedBy, OnSilence};
use super::time::Instant;

/// The merchant is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReviewRequested {
    pub review_id: ReviewId,
    /// `threshold` or `requested`.
    pub cause: &'static str,
    pub respond_by: Instant,
    pub remind_at: Instant,
}

/// Half of the time to answer is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReviewReminded {
    pub review_id: ReviewId,
    pub respond_by: Instant,
}

/// The merchant has not answered in time, or nobody has decided in time (that again every day).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReviewOverdue {
    pub review_id: ReviewId,
    /// `answer` or `decision`.
    pub awaited: &'static str,
    pub due_at: Instant,
    pub answered: bool,
    pub on_silence: OnSilence,
}

/// A review ended, or the block of a rejected one was cleared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReviewClosed {
    pub review_id: ReviewId,
    /// `passed`, `rejected`, or `cleared` after it was rejected.
    pub result: &'static str,
    pub by: ClosedBy,
    pub answered: bool,
}
