//! Journal entries: the events of the contract's section 9 with the transfers that they stand for.
//!
//! One entry carries at most one transfer. The envelope (`merchant_id`, `occurred_at`, `sequence`,
//! `previous`) is added when the journal is written.
//!
//! An event's id is made of its type, its subject and its cause. The subject is what the event is
//! about: the hold for `hold.*`, the receivable for `receivable.*`, the credit for `credit.opened`, the currency for
//! `deposit.changed`, the release for
//! `release.*` and `payout.settled`, the settlement for `settlement.*`, the refund or dispute
//! for `refund.*`, the review for `review.*`, the order for `order.accepted`, the agreement for `agreement.accepted`,
//! the currency for `control.daily` (whose cause is the day).
//! The cause is the business key of the fact (`refund:R-1`), of the attempt for a release, of the
//! part for a settlement. One cause says at most one thing of a type about one subject. Ids that
//! come from outside are unique per merchant only, so the merchant goes before them.

use jiff::civil::Date;
use serde::Serialize;

use super::control::ControlDaily;
use super::ids::{
    AgreementId, DisputeId, EventId, HoldId, MerchantId, OrderId, ReceivableId, RefundId,
    ReleaseId, SettlementId, TermName,
};
use super::money::{Amount, Currency};
use super::time::Instant;

pub use super::account::{Account, Transfer};
pub use super::debt_events::{
    CreditOpened, DepositChanged, Direction, ReceivableOpened, ReceivableRecovered,
    ReceivableWrittenOff, RefundReversed,
};
pub use super::entry_review::{ReviewClosed, ReviewOverdue, ReviewReminded, ReviewRequested};
pub use super::entry_settlement::{PayoutSettled, SettlementClosed, SettlementSkipped};

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

impl Entry {
    /// The id of what the event is about, as the module's head lists it.
    #[must_use]
    pub fn subject(&self) -> String {
        let hold = || self.hold.map(|id| id.to_string()).unwrap_or_default();
        let order = || self.order.as_ref().map(ToString::to_string);
        match &self.event {
            Event::OrderAccepted(_) => order().unwrap_or_default(),
            Event::HoldCreated(_)
            | Event::HoldRescheduled(_)
            | Event::HoldBlocked(_)
            | Event::HoldUnblocked(_)
            | Event::HoldConsumed(_)
            | Event::HoldRestored(_)
            | Event::HoldReversed(_)
            | Event::HoldLimitReached(_) => hold(),
            Event::RefundApplied(it) => match (&it.refund_id, &it.dispute_id) {
                (Some(refund), _) => refund.to_string(),
                (None, Some(dispute)) => dispute.to_string(),
                (None, None) => order().unwrap_or_default(),
            },
            Event::RefundReversed(it) => it.refund_id.to_string(),
            Event::ReceivableOpened(it) => it.receivable_id.to_string(),
            Event::ReceivableRecovered(it) => it.receivable_id.to_string(),
            Event::ReceivableWrittenOff(it) => it.receivable_id.to_string(),
            Event::CreditOpened(it) => it.credit_id.to_string(),
            Event::DepositChanged(_) => {
                let code = self.currency.map(|currency| currency.code().to_owned());
                code.unwrap_or_default()
            }
            Event::ReleaseIssued(it) | Event::ReleaseShadowed(it) => it.release_id.to_string(),
            Event::SettlementClosed(it) | Event::SettlementShadowed(it) => {
                it.settlement_id.to_string()
            }
            Event::SettlementSkipped(it) => it.settlement_id.to_string(),
            Event::PayoutSettled(it) => it.release_id.to_string(),
            Event::AgreementAccepted(it) => it.agreement_id.to_string(),
            Event::ReviewRequested(it) => it.review_id.to_string(),
            Event::ReviewReminded(it) => it.review_id.to_string(),
            Event::ReviewOverdue(it) => it.review_id.to_string(),
            Event::ReviewClosed(it) => it.review_id.to_string(),
            Event::ControlDaily(_) => self.currency.map(|it| it.to_string()).unwrap_or_default(),
        }
    }

    /// The `ce_id`: the same facts give the same.
    #[must_use]
    pub fn event_id(&self, merchant: &MerchantId) -> EventId {
        self.event_id_about(merchant, &self.subject())
    }

    /// The same for who has the subject at hand.
    #[must_use]
    pub fn event_id_about(&self, merchant: &MerchantId, subject: &str) -> EventId {
        let type_name = self.event.type_name();
        match &self.event {
            Event::OrderAccepted(_)
            | Event::RefundApplied(_)
            | Event::RefundReversed(_)
            | Event::DepositChanged(_)
            | Event::AgreementAccepted(_)
            | Event::ReviewRequested(_)
            | Event::ReviewReminded(_)
            | Event::ReviewOverdue(_)
            | Event::ReviewClosed(_) => {
                let subject = format!("{merchant}\u{1f}{subject}");
                EventId::of(type_name, &subject, &self.cause)
            }
            _ => EventId::of(type_name, subject, &self.cause),
        }
    }
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
    HoldRestored(HoldRestored),
    HoldReversed(HoldReversed),
    HoldLimitReached(HoldLimitReached),
    RefundApplied(RefundApplied),
    RefundReversed(RefundReversed),
    ReceivableOpened(ReceivableOpened),
    ReceivableRecovered(ReceivableRecovered),
    ReceivableWrittenOff(ReceivableWrittenOff),
    CreditOpened(CreditOpened),
    DepositChanged(DepositChanged),
    ReleaseIssued(ReleaseIssued),
    /// A release that another system pays.
    ReleaseShadowed(ReleaseIssued),
    SettlementClosed(SettlementClosed),
    SettlementShadowed(SettlementClosed),
    SettlementSkipped(SettlementSkipped),
    PayoutSettled(PayoutSettled),
    AgreementAccepted(AgreementAccepted),
    ReviewRequested(ReviewRequested),
    ReviewReminded(ReviewReminded),
    ReviewOverdue(ReviewOverdue),
    ReviewClosed(ReviewClosed),
    ControlDaily(Box<ControlDaily>),
}

impl Event {
    /// The `ce_type`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::OrderAccepted(_) => "holdback.order.accepted.v1",
            Self::HoldCreated(_) => "holdback.hold.created.v1",
            Self::HoldRescheduled(_) => "holdback.hold.rescheduled.v1",
            Self::HoldBlocked(_) => "holdback.hold.blocked.v1",
            Self::HoldUnblocked(_) => "holdback.hold.unblocked.v1",
            Self::HoldConsumed(_) => "holdback.hold.consumed.v1",
            Self::HoldRestored(_) => "holdback.hold.restored.v1",
            Self::HoldReversed(_) => "holdback.hold.reversed.v1",
            Self::HoldLimitReached(_) => "holdback.hold.limit_reached.v1",
            Self::RefundApplied(_) => "holdback.refund.applied.v1",
            Self::RefundReversed(_) => "holdback.refund.reversed.v1",
            Self::ReceivableOpened(_) => "holdback.receivable.opened.v1",
            Self::ReceivableRecovered(_) => "holdback.receivable.recovered.v1",
            Self::ReceivableWrittenOff(_) => "holdback.receivable.written_off.v1",
            Self::CreditOpened(_) => "holdback.credit.opened.v1",
            Self::DepositChanged(_) => "holdback.deposit.changed.v1",
            Self::ReleaseIssued(_) => "holdback.release.issued.v1",
            Self::ReleaseShadowed(_) => "holdback.release.shadowed.v1",
            Self::SettlementClosed(_) => "holdback.settlement.closed.v1",
            Self::SettlementShadowed(_) => "holdback.settlement.shadowed.v1",
            Self::SettlementSkipped(_) => "holdback.settlement.skipped.v1",
            Self::PayoutSettled(_) => "holdback.payout.settled.v1",
            Self::AgreementAccepted(_) => "holdback.agreement.accepted.v1",
            Self::ReviewRequested(_) => "holdback.review.requested.v1",
            Self::ReviewReminded(_) => "holdback.review.reminded.v1",
            Self::ReviewOverdue(_) => "holdback.review.overdue.v1",
            Self::ReviewClosed(_) => "holdback.review.closed.v1",
            Self::ControlDaily(_) => "holdback.control.daily.v1",
        }
    }
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
    Extended,
    Reapplied,
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

/// A lost chargeback turned out smaller, or a refund did not go through: money that it took comes
/// back into the hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HoldRestored {
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

/// One source of a refund, or where its money goes back to.
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
    /// The platform had written the debt off and gets its loss back.
    WrittenOff,
    /// Owed to the merchant apart from holds, where the money can't go back to its hold or debt.
    Credit,
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

/// An agreement version is in the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgreementAccepted {
    pub agreement_id: AgreementId,
    pub agreement_version: u64,
    pub effective_from: Instant,
    /// Orders applied under another agreement that this one would have covered.
    pub late_for: u64,
}
