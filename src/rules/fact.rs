//! What the outside says happened, parsed. Wire forms and their checks are in `message`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::adjustment::Adjustment;
use super::agreement::Agreement;
use super::calendar::Calendar;
use super::deposit::DepositFact;
use super::ids::{DisputeId, MerchantId, OrderId, RefundId, ReleaseId, ReviewId, SettlementId};
use super::money::{Amount, Currency};
use super::review::Decision;
use super::time::Instant;

pub use super::fact_key::{FactKey, FactKind};

/// A digest of the fields that the contract names, as parsed: amounts by value, times as instants,
/// absent = null = default, sets without order. Same key and other digest is a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ContentHash(pub [u8; 16]);

/// Any accepted input message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    Order(OrderFact),
    Agreement(Box<Agreement>),
    Calendar(Box<Calendar>),
    Deposit(DepositFact),
    Adjustment(Box<Adjustment>),
    Payout(PayoutResult),
    Indirect(IndirectFact),
}

/// A fact about one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderFact {
    pub merchant: MerchantId,
    pub order: OrderId,
    pub content: ContentHash,
    /// W3C trace context of the message, carried through to what it causes.
    pub traceparent: Option<String>,
    /// Kafka's timestamp of the message: deadlines run from there. `None`: from the business time.
    pub recorded_at: Option<Instant>,
    pub what: OrderEvent,
}

/// A fact about an order that names something of the order's, and not the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndirectFact {
    pub merchant: MerchantId,
    pub names: Named,
    pub content: ContentHash,
    pub traceparent: Option<String>,
    pub recorded_at: Option<Instant>,
    /// `ReviewAnswered`, `ReviewDecided` or `RefundReversed`.
    pub what: OrderEvent,
}

/// What such a fact names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Named {
    Review(ReviewId),
    Refund(RefundId),
}

impl Named {
    /// The id, unique per merchant.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Review(id) => id.as_str(),
            Self::Refund(id) => id.as_str(),
        }
    }
}

impl IndirectFact {
    /// When it happened, by the message.
    #[must_use]
    pub fn business_at(&self) -> Instant {
        self.what.business_at()
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> FactKind {
        match self.what {
            OrderEvent::RefundReversed(_) => FactKind::RefundReversed,
            OrderEvent::ReviewAnswered(_) => FactKind::ReviewAnswered,
            _ => FactKind::ReviewDecided,
        }
    }

    /// The same about the order that it is of.
    #[must_use]
    pub fn about(self, order: OrderId) -> OrderFact {
        OrderFact {
            merchant: self.merchant,
            order,
            content: self.content,
            traceparent: self.traceparent,
            recorded_at: self.recorded_at,
            what: self.what,
        }
    }
}

/// What happened to the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderEvent {
    Completed(Completed),
    Confirmed { at: Instant, by: ConfirmedBy },
    Delivered { at: Instant },
    Cancelled { at: Instant, reason: Option<String> },
    Refunded(Refunded),
    RefundReversed(RefundReversed),
    DisputeOpened(DisputeOpened),
    DisputeUpdated(DisputeUpdated),
    DisputeClosed(DisputeClosed),
    ReviewRequested(ReviewRequest),
    ReviewAnswered(ReviewAnswered),
    ReviewDecided(ReviewDecided),
}

/// `order.completed`: the sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// Gross, above zero.
    pub amount: Amount,
    /// At most `amount`.
    pub fees: Amount,
    pub currency: Currency,
    pub at: Instant,
    pub attributes: BTreeMap<String, String>,
}

/// Who confirmed receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfirmedBy {
    Merchant,
    Buyer,
}

/// `refund.succeeded`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refunded {
    pub refund: RefundId,
    /// Above zero.
    pub amount: Amount,
    pub currency: Currency,
    pub at: Instant,
    pub reason: Option<String>,
    pub dispute: Option<DisputeId>,
}

/// `refund.reversed`: the refund did not go through after all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundReversed {
    pub refund: RefundId,
    pub at: Instant,
}

/// What kind of complaint stands behind a dispute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeKind {
    Complaint,
    Return,
    Exchange,
    Chargeback,
    Inquiry,
}

/// `dispute.opened`. The message names no currency: a contested amount is a plain number that must
/// fit the order's currency when the dispute is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeOpened {
    pub dispute: DisputeId,
    pub kind: DisputeKind,
    /// Absent: the whole order.
    pub amount: Option<rust_decimal::Decimal>,
    pub at: Instant,
}

/// `dispute.updated`: the highest version counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeUpdated {
    pub dispute: DisputeId,
    pub version: u64,
    pub kind: Option<DisputeKind>,
    pub amount: Option<rust_decimal::Decimal>,
    pub at: Instant,
}

/// `dispute.closed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeClosed {
    pub dispute: DisputeId,
    pub outcome: DisputeOutcome,
    pub at: Instant,
    /// That much stays blocked until refunds naming the dispute reach it.
    pub refund_expected: Option<rust_decimal::Decimal>,
}

/// How a dispute ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeOutcome {
    Won,
    Withdrawn,
    Resolved,
    Lost,
}

/// `review.requested`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewRequest {
    pub review: ReviewId,
    pub reason: String,
    /// Absent: as many hours as the agreement says.
    pub respond_by: Option<Instant>,
    pub at: Instant,
}

/// `review.answered`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewAnswered {
    pub review: ReviewId,
    pub answer: String,
    pub evidence: Vec<String>,
    pub at: Instant,
}

/// `review.decided`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewDecided {
    pub review: ReviewId,
    pub decision: Decision,
    pub decided_by: String,
    pub reason: Option<String>,
    pub at: Instant,
}

/// `payout.paid` or `payout.failed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutResult {
    pub merchant: MerchantId,
    pub subject: PayoutSubject,
    pub attempt: u32,
    pub paid: bool,
    pub at: Instant,
    pub reason: Option<String>,
    pub content: ContentHash,
    pub traceparent: Option<String>,
}

impl OrderFact {
    /// What makes a second message "the same again".
    #[must_use]
    pub fn key(&self) -> FactKey {
        let (kind, id, version) = self.key_parts();
        FactKey {
            kind,
            id: id.to_owned(),
            version,
        }
    }

    /// The parts of [`Self::key`].
    #[must_use]
    pub fn key_parts(&self) -> (FactKind, &str, u64) {
        use {FactKind as K, OrderEvent as E};
        let order = self.order.as_str();
        match &self.what {
            E::Completed(_) => (K::Completed, order, 0),
            E::Confirmed { .. } => (K::Confirmed, order, 0),
            E::Delivered { .. } => (K::Delivered, order, 0),
            E::Cancelled { .. } => (K::Cancelled, order, 0),
            E::Refunded(it) => (K::Refunded, it.refund.as_str(), 0),
            E::RefundReversed(it) => (K::RefundReversed, it.refund.as_str(), 0),
            E::DisputeOpened(it) => (K::DisputeOpened, it.dispute.as_str(), 0),
            E::DisputeUpdated(it) => (K::DisputeUpdated, it.dispute.as_str(), it.version),
            E::DisputeClosed(it) => (K::DisputeClosed, it.dispute.as_str(), 0),
            E::ReviewRequested(it) => (K::ReviewRequested, it.review.as_str(), 0),
            E::ReviewAnswered(it) => (K::ReviewAnswered, it.review.as_str(), 0),
            E::ReviewDecided(it) => (K::ReviewDecided, it.review.as_str(), 0),
        }
    }

    /// From when its deadlines run.
    #[must_use]
    pub fn counted_from(&self) -> Instant {
        self.recorded_at.unwrap_or_else(|| self.business_at())
    }

    /// When it happened, by the message.
    #[must_use]
    pub fn business_at(&self) -> Instant {
        self.what.business_at()
    }
}

impl OrderEvent {
    /// When it happened, by the message.
    #[must_use]
    pub fn business_at(&self) -> Instant {
        match self {
            Self::Completed(it) => it.at,
            Self::Confirmed { at, .. } | Self::Delivered { at } | Self::Cancelled { at, .. } => *at,
            Self::Refunded(it) => it.at,
            Self::RefundReversed(it) => it.at,
            Self::DisputeOpened(it) => it.at,
            Self::DisputeUpdated(it) => it.at,
            Self::DisputeClosed(it) => it.at,
            Self::ReviewRequested(it) => it.at,
            Self::ReviewAnswered(it) => it.at,
            Self::ReviewDecided(it) => it.at,
        }
    }
}

impl DisputeKind {
    /// As it is written in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Complaint => "complaint",
            Self::Return => "return",
            Self::Exchange => "exchange",
            Self::Chargeback => "chargeback",
            Self::Inquiry => "inquiry",
        }
    }
}

/// What was paid or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PayoutSubject {
    Release(ReleaseId),
    /// Each of the settlement's releases.
    Settlement(SettlementId),
}
