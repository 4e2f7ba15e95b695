//! The fold: one fact meets one order.

use super::agreement::Agreement;
use super::calendar::Calendars;
use super::entry::Entry;
use super::fact::{FactKey, OrderFact};
use super::order::{Block, Order};
use super::time::Instant;
use std::sync::Arc;

/// What the rules may look at besides the order.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// Agreements of the order's merchant and of `*`, every version.
    pub agreements: &'a [Arc<Agreement>],
    pub calendars: &'a Calendars,
    /// The database's time.
    pub now: Instant,
}

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
}

/// Applies one fact, then every parked fact whose turn has come, in order of business time, then
/// id. The order is changed only when the answer is `Ok`.
///
/// # Errors
/// [`Refusal`] when the fact can't be accepted; the order is as it was.
pub fn apply(order: &mut Order, fact: OrderFact, world: World<'_>) -> Result<Outcome, Refusal> {
    let _ = (order, fact, world);
    todo!()
}

/// Looks again at an order whose sale waits for an agreement.
///
/// # Errors
/// [`Refusal::Money`] when the sale can't be held under the agreement that is now in force.
pub fn resume(order: &mut Order, world: World<'_>) -> Result<Outcome, Refusal> {
    let _ = (order, world);
    todo!()
}

/// Puts a review, legal or manual block on the order's holds, now or when they come. The same
/// reference twice does nothing.
pub fn block(order: &mut Order, block: Block, world: World<'_>) -> Vec<Entry> {
    let _ = (order, block, world);
    todo!()
}

/// Recomputes the dates of unreleased holds after their calendar changed, never to before now.
pub fn recompute(order: &mut Order, world: World<'_>) -> Vec<Entry> {
    let _ = (order, world);
    todo!()
}
