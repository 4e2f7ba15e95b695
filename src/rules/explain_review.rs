//! The reviews in an explanation: what was asked, said and decided, and what comes next.

use std::fmt;

use serde::Serialize;

use super::order::Order;
use super::review::{ClosedBy, Decision, Moment};
use super::time::Instant;

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

impl fmt::Display for ReviewExplained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Review {}, ", self.review_id)?;
        match &self.reason {
            Some(reason) => write!(f, "asked for because of: {reason}; ")?,
            None => f.write_str("asked for by the amount; ")?,
        }
        match self.answered_at {
            Some(at) => write!(f, "answered at {at}; ")?,
            None => write!(f, "to be answered by {}; ", self.respond_by)?,
        }
        match (self.decision, self.closed_at, self.next, self.next_at) {
            (Some(Decision::Passed), Some(at), ..) => write!(f, "passed at {at}."),
            (Some(Decision::Rejected), Some(at), ..) => {
                write!(f, "rejected at {at}: blocked until refunded or cleared.")
            }
            (_, _, Some(next), Some(at)) => write!(f, "open, next: {next} at {at}."),
            _ => f.write_str("open."),
        }
    }
}
