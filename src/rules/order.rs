//! Everything known about one order: its sale, its holds, its refunds and disputes, and the facts
//! that wait for something. This is what [`super::decide`] folds facts into.

use std::sync::Arc;

use super::agreement::Agreement;
use super::fact::{Completed, ContentHash, DisputeKind, DisputeOutcome, OrderFact};
use super::hold::Hold;
use super::ids::{DisputeId, MerchantId, OrderId, ReceivableId, RefundId};
use super::money::{Amount, Currency};
use super::time::Instant;

/// One order. Without a sale it is a stub: something about the order came before the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub merchant: MerchantId,
    pub id: OrderId,
    pub sale: Option<Noted<Completed>>,
    pub delivered: Option<Noted<Instant>>,
    pub confirmed: Option<Noted<Instant>>,
    pub cancelled: Option<Noted<Instant>>,
    /// The agreement in force when the sale was applied; `None`: the sale waits for one.
    pub agreement: Option<Arc<Agreement>>,
    /// What no term holds.
    pub free: Option<Amount>,
    pub holds: Vec<Hold>,
    /// Applied refunds, in the order in which they were applied.
    pub refunds: Vec<Refund>,
    pub disputes: Vec<Dispute>,
    /// Blocks other than disputes.
    pub blocks: Vec<Block>,
    pub receivables: Vec<Receivable>,
    /// Facts that wait: for the sale, for an agreement, or for their dispute.
    pub parked: Vec<OrderFact>,
    /// The sale's trace context, for the releases that follow from it.
    pub traceparent: Option<String>,
}

/// A value with the digest of the message that brought it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted<T> {
    pub value: T,
    pub content: ContentHash,
}

/// A refund that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    pub id: RefundId,
    pub amount: Amount,
    pub at: Instant,
    pub dispute: Option<DisputeId>,
    pub content: ContentHash,
    /// What it charged the merchant: `amount` less returned fees, the outside share and what a
    /// lost chargeback had already charged.
    pub charged: Amount,
    /// Of `charged`, what came out of money that a cancellation had reversed.
    pub from_reversed: Amount,
    /// Of `charged`, what came out of the order's holds.
    pub from_holds: Amount,
    /// Of `charged`, what opened a receivable.
    pub from_receivable: Amount,
}

/// A dispute, open or closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    pub id: DisputeId,
    /// Of the highest version so far; the opening is version 0.
    pub kind: DisputeKind,
    /// Of the highest version so far; `None`: the whole order.
    pub amount: Option<Amount>,
    pub version: u64,
    pub opened_at: Instant,
    pub opened: ContentHash,
    /// Every update seen, by version.
    pub updates: Vec<(u64, ContentHash)>,
    pub closed: Option<Noted<Closing>>,
    /// What a lost chargeback itself charged, by the refund sources (see [`Refund`]).
    pub charged: Amount,
    pub from_reversed: Amount,
    pub from_holds: Amount,
    pub from_receivable: Amount,
}

/// How and when a dispute was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    pub outcome: DisputeOutcome,
    pub at: Instant,
    pub refund_expected: Option<Amount>,
}

/// A block that is not a dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What put it there, unique per order: for a bad message its `topic/partition/offset`.
    pub reference: String,
    pub kind: BlockKind,
    pub reason: String,
    pub opened_at: Instant,
    pub cleared_at: Option<Instant>,
}

/// Why a person or the platform keeps a hold back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum BlockKind {
    Review = 1,
    Legal = 2,
    Manual = 3,
}

/// A debt of the merchant, opened by this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receivable {
    pub id: ReceivableId,
    pub currency: Currency,
    pub original: Amount,
    pub left: Amount,
    pub opened_at: Instant,
    /// Kind of the cause and its id, for instance (`refund`, `R-1`).
    pub cause: (&'static str, String),
}
