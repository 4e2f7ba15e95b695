//! Journal entries: the events of the contract's section 9 with the transfers that they stand for.
//! One entry carries at most one transfer. The envelope (`merchant_id`, `occurred_at`, `sequence`,
//! `previous`) is added when the journal is written.

use jiff::civil::Date;
use serde::Serialize;

use super::ids::{
    AgreementId, DisputeId, HoldId, OrderId, ReceivableId, RefundId, ReleaseId, SettlementId,
    TermName,
};
use super::money::{Amount, Currency};
use super::time::Instant;

/// One line of the journal of one merchant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub event: Event,
    pub order: Option<OrderId>,
    pub hold: Option<HoldId>,
    pub currency: Option<Currency>,
    pub transfer: Option<Transfer>,
    /// The business key of the fact that caused it; with type and subject it makes the event's id.
    pub cause: String,
    pub traceparent: Option<String>,
}

/// A movement of money between two accounts of one merchant and currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    pub debit: Account,
    pub credit: Account,
    /// Above zero.
    pub amount: Amount,
}

/// The accounts that every merchant has per currency, with the numbers under which they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Account {
    Proceeds = 1,
    Held = 2,
    Payable = 3,
    Refunded = 4,
    Deposit = 5,
    Receivable = 6,
    Paid = 7,
    Platform = 8,
}

/// Every event that holdback publishes in its two output topics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Event {
    OrderAccepted(OrderAccepted),
    HoldCreated(Box<HoldCreated>),
    HoldRescheduled(HoldRescheduled),
    HoldBlocked(HoldBlocked),
    HoldUnblocked(HoldUnblocked),
    HoldConsumed(HoldConsumed),
    HoldReversed(HoldReversed),
    HoldLimitReached(HoldLimitReached),
    RefundApplied(RefundApplied),
    ReceivableOpened(ReceivableOpened),
    ReceivableRecovered(ReceivableRecovered),
    ReleaseIssued(ReleaseIssued),
    SettlementClosed(SettlementClosed),
    SettlementSkipped(SettlementSkipped),
    PayoutSettled(PayoutSettled),
    AgreementAccepted(AgreementAccepted),
}

/// An order that made no hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderAccepted {
    pub order_amount: Amount,
    pub fees: Amount,
    pub free: Amount,
    pub agreement_id: AgreementId,
    pub agreement_version: u64,
}

/// A hold and how its amount and dates were reached. Dates are null while unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HoldCreated {
    pub term: TermName,
    pub order_amount: Amount,
    pub fees: Amount,
    pub free: Amount,
    pub original: Amount,
    pub agreement_id: AgreementId,
    pub agreement_version: u64,
    pub anchor_at: Option<Instant>,
    pub window_ends_at: Option<Instant>,
    pub eligible_at: Option<Instant>,
    pub release_at: Option<Instant>,
    pub settlement_date: Option<Date>,
    pub limit_at: Option<Instant>,
    /// The steps of the calculation, for people: `100.00 × 10000/10000 + 0.00 = 100.00`.
    pub calculation: String,
}

/// New dates for a hold, or for the part of it that a block had kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HoldRescheduled {
    /// What moves.
    pub amount: Amount,
    pub anchor_at: Option<Instant>,
    pub window_ends_at: Option<Instant>,
    pub eligible_at: Option<Instant>,
    pub release_at: Option<Instant>,
    pub settlement_date: Option<Date>,
    pub limit_at: Option<Instant>,
    pub reason: RescheduleReason,
}

/// Why dates moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RescheduleReason {
    AnchorKnown,
    Unblocked,
    Calendar,
    SettlementMinimum,
}

/// A block came, or an existing one now keeps more of the hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HoldBlocked {
    /// `dispute`, `review`, `legal` or `manual`.
    pub block: &'static str,
    /// The dispute's id or the block's reference.
    pub reference: String,
    pub reason: Option<String>,
    /// The hold's blocked part now, all blocks together.
    pub blocked: Amount,
    pub left: Amount,
}

/// A block went, or keeps less of the hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HoldUnblocked {
    pub block: &'static str,
    pub reference: String,
    pub blocked: Amount,
    pub left: Amount,
}

/// A refund or a lost chargeback took money out of the hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HoldConsumed {
    pub amount: Amount,
    pub left: Amount,
    pub refund_id: Option<RefundId>,
    pub dispute_id: Option<DisputeId>,
}

/// The order was cancelled; what was left of the hold no longer exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HoldReversed {
    pub amount: Amount,
    pub left: Amount,
}

/// The hold is older than its limit and waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HoldLimitReached {
    pub limit_at: Instant,
    pub left: Amount,
}

/// Where a refund's or lost chargeback's money came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefundApplied {
    /// Null for a lost chargeback.
    pub refund_id: Option<RefundId>,
    pub dispute_id: Option<DisputeId>,
    pub amount: Amount,
    /// What the merchant bears of it: the sum of the sources.
    pub charged: Amount,
    pub sources: Vec<Source>,
}

/// One source of a refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    pub kind: SourceKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_id: Option<HoldId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receivable_id: Option<ReceivableId>,
    pub amount: Amount,
}

/// Kinds of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    Reversed,
    Hold,
    Deposit,
    Receivable,
}

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
    /// `cancellation` here; recovery from releases comes with deposits.
    pub by: &'static str,
}

/// The decision that payout systems act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReleaseIssued {
    pub release_id: ReleaseId,
    pub attempt: u32,
    pub gross: Amount,
    pub recovered: Amount,
    pub to_deposit: Amount,
    pub amount: Amount,
    pub settlement_id: Option<SettlementId>,
    pub settlement_part: Option<u32>,
    pub settlement_date: Option<Date>,
    pub reason: ReleaseReason,
    pub issued_at: Instant,
}

/// Why a release happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseReason {
    Due,
    Early,
    Limit,
    Adjustment,
}

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

/// An agreement version is in the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgreementAccepted {
    pub agreement_id: AgreementId,
    pub agreement_version: u64,
    pub effective_from: Instant,
    /// Orders applied under another agreement that this one would have covered.
    pub late_for: u64,
}
