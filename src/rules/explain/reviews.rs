//! The reviews in an explanation: what was asked, said and decided, and what comes next.

use serde::Serialize;

use crate::rules::order::Order;
use crate::rules::review::{ClosedBy, Decision, Moment};
use crate::rules::time::Instant;

/// One review of the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReviewExplained {
    pub review_id: String,
    /// Free text of the request; null when the order's amount asked.
    pub reason: Option<String>,
    pub opened_at: Instant,
    pub respond_by: Instant,
    pub answered_at: Option<Instant>,
    pub decision: Option<Decision>,
    pub closed_at: Option<Instant>,
    pub closed_by: Option<ClosedBy>,
    /// What the clock brings next, and when; null once it is closed.
    pub next: Option<&'static str>,
    pub next_at: Option<Instant>,
}

pub(super) fn reviews(order: &Order) -> Vec<ReviewExplained> {
    let reviews = order.reviews.iter();
    reviews
        .map(|review| ReviewExplained {
            review_id: review.id.to_string(),
            reason: review.reason.clone(),
            opened_at: review.opened_at,
            respond_by: review.respond_by,
            answered_at: review.answered.as_ref().map(|noted| noted.value.at),
            decision: review.closed.as_ref().map(|closed| closed.decision),
            closed_at: review.closed.as_ref().map(|closed| closed.at),
            closed_by: review.closed.as_ref().map(|closed| closed.by),
            next: review.next().map(|(_, moment)| match moment {
                Moment::Reminder => "reminder",
                Moment::Silence => "end of the time to answer",
                Moment::Decision => "alarm about the decision",
            }),
            next_at: review.next_at(),
        })
        .collect()
}
