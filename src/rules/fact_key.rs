//! What a fact about an order is known again by.

use std::fmt;

/// What makes a second message about an order "the same again".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FactKey {
    pub kind: FactKind,
    /// The id that the kind is known by; for an order's own events the order id.
    pub id: String,
    /// `dispute.updated` only, else 0.
    pub version: u64,
}

impl fmt::Display for FactKey {
    /// The business key as it goes into event ids: `refund:R-1`, `dispute.updated:D-1:3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, id, version } = self;
        match kind {
            FactKind::DisputeUpdated => write!(f, "{}:{id}:{version}", kind.name()),
            _ => write!(f, "{}:{id}", kind.name()),
        }
    }
}

/// The kinds of facts about an order, with the numbers under which they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FactKind {
    Completed = 1,
    Confirmed = 2,
    Delivered = 3,
    Cancelled = 4,
    Refunded = 5,
    DisputeOpened = 6,
    DisputeUpdated = 7,
    DisputeClosed = 8,
    ReviewRequested = 9,
    ReviewAnswered = 10,
    ReviewDecided = 11,
    RefundReversed = 12,
}

impl FactKind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Completed,
        Self::Confirmed,
        Self::Delivered,
        Self::Cancelled,
        Self::Refunded,
        Self::DisputeOpened,
        Self::DisputeUpdated,
        Self::DisputeClosed,
        Self::ReviewRequested,
        Self::ReviewAnswered,
        Self::ReviewDecided,
        Self::RefundReversed,
    ];

    /// Its name, in the keys of facts and in metrics. Part of event ids: it never changes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Completed => "order.completed",
            Self::Confirmed => "order.confirmed",
            Self::Delivered => "order.delivered",
            Self::Cancelled => "order.cancelled",
            Self::Refunded => "refund",
            Self::RefundReversed => "refund.reversed",
            Self::DisputeOpened => "dispute.opened",
            Self::DisputeUpdated => "dispute.updated",
            Self::DisputeClosed => "dispute.closed",
            Self::ReviewRequested => "review.requested",
            Self::ReviewAnswered => "review.answered",
            Self::ReviewDecided => "review.decided",
        }
    }
}
