//! Reviews: a check of one order. The merchant answers by a deadline, a person decides; until then
//! the order's holds are blocked.
//!
//! A review always has a next moment ([`Review::next_at`]) until it is closed: half of the time to
//! answer, its end, and the deadline of the decision, from there on daily. Moments are computed
//! from what is kept, so that downtime moves none of them.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::agreement::Agreement;
use super::entry::{ReviewClosed, ReviewOverdue, ReviewReminded, ReviewRequested};
use super::fact::{Completed, ContentHash};
use super::ids::ReviewId;
use super::money::{Amount, Currency};
use super::order::{Noted, Order};
use super::time::Instant;

/// Hours between two alarms about a decision that is due.
const AGAIN_HOURS: u32 = 24;

/// What an agreement says of reviews.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewTerms {
    /// Orders of this amount or more are reviewed; `None`: none by its amount.
    pub threshold: Option<Decimal>,
    pub respond_within_hours: u32,
    pub on_silence: OnSilence,
    pub decide_within_hours: u32,
}

impl Default for ReviewTerms {
    fn default() -> Self {
        Self {
            threshold: None,
            respond_within_hours: 48,
            on_silence: OnSilence::Escalate,
            decide_within_hours: 72,
        }
    }
}

/// What follows when the merchant does not answer in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnSilence {
    /// Stays blocked; a person decides.
    Escalate,
    Pass,
    Reject,
}

/// How a review ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Clears the block.
    Passed,
    /// Keeps the block until a refund has consumed the money or a person clears it.
    Rejected,
}

/// One review of an order. Its block stands among the order's blocks under
/// [`Review::reference`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    pub id: ReviewId,
    /// Of the message that asked for it; `None`: the order's amount did.
    pub requested: Option<ContentHash>,
    /// Free text of the message.
    pub reason: Option<String>,
    pub opened_at: Instant,
    /// When the time to answer began.
    pub asked_at: Instant,
    pub respond_by: Instant,
    pub reminded: bool,
    /// The time to answer has ended without an answer.
    pub overdue: bool,
    pub answered: Option<Noted<Answer>>,
    /// Of the decision that came as a message, also when the review was closed before.
    pub decided: Option<ContentHash>,
    /// When a person should have decided; known once it is theirs to do.
    pub decide_by: Option<Instant>,
    /// Days, begun since `decide_by`, for which it was said that the decision is due.
    pub alerts: u32,
    pub closed: Option<Closed>,
}

/// What the merchant said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub at: Instant,
    pub text: String,
    /// https URLs; kept, never fetched.
    pub evidence: Vec<String>,
}

/// The end of a review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    pub decision: Decision,
    pub at: Instant,
    pub by: ClosedBy,
    /// Who decided; nobody when it was silence.
    pub name: Option<String>,
    pub reason: Option<String>,
}

/// What ended a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosedBy {
    /// A `review.decided` message.
    Event,
    /// The agreement's `on_silence`.
    Silence,
    /// A person, by holdback itself.
    Person,
}

/// What a person says of a review, by holdback itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    pub decision: Decision,
    pub actor: String,
    pub reason: String,
}

/// What may be decided by a message alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approval {
    /// Per currency, the order amount above which a second person is needed.
    pub above: BTreeMap<Currency, Amount>,
    /// Decisions by message are trusted whatever the amount.
    pub trust_events: bool,
}

impl Approval {
    /// Whether a message may decide about an order of this amount.
    #[must_use]
    pub fn allows(&self, currency: Currency, amount: Amount) -> bool {
        let limit = self.above.get(&currency);
        self.trust_events || limit.is_none_or(|limit| amount <= *limit)
    }
}

/// What a review's next moment is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Half of the time to answer is over.
    Reminder,
    /// The time to answer is over.
    Silence,
    /// A person should have decided by now.
    Decision,
}

/// Whether the order's amount alone asks for a review.
#[must_use]
pub fn is_asked_by_amount(agreement: &Agreement, sale: &Completed) -> bool {
    let threshold = agreement.review.threshold;
    let threshold = threshold.map(|value| Amount::from_plain(value, sale.currency));
    // A threshold that fits no amount of the currency is above all of them.
    threshold.is_some_and(|threshold| threshold.is_ok_and(|threshold| sale.amount >= threshold))
}

impl Order {
    /// The earliest moment of a review by `until`, and whose.
    pub(super) fn next_moment(&self, until: Instant) -> Option<(Instant, Moment, ReviewId)> {
        let reviews = self.reviews.iter();
        let moments = reviews.filter_map(|review| {
            let (at, moment) = review.next()?;
            (at <= until).then(|| (at, moment, review.id.clone()))
        });
        moments.min_by(|one, other| (one.0, &one.2).cmp(&(other.0, &other.2)))
    }
}

impl Review {
    /// The reference of its block.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("review/{}", self.id)
    }

    /// What comes next by the clock, and when; `None` once it is closed.
    #[must_use]
    pub fn next(&self) -> Option<(Instant, Moment)> {
        if self.closed.is_some() {
            return None;
        }
        if let Some(decide_by) = self.decide_by {
            let hours = self.alerts.checked_mul(AGAIN_HOURS)?;
            return Some((decide_by.plus_hours(hours)?, Moment::Decision));
        }
        if self.reminded {
            Some((self.respond_by, Moment::Silence))
        } else {
            Some((self.remind_at(), Moment::Reminder))
        }
    }

    /// When to look at it next.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        self.next().map(|(at, _)| at)
    }

    /// The middle of the time to answer; never after its end.
    fn remind_at(&self) -> Instant {
        let whole = self.respond_by.timestamp();
        let whole = whole.duration_since(self.asked_at.timestamp());
        let half = self.asked_at.timestamp() + whole / 2;
        Instant::new(half).min(self.respond_by)
    }

    /// Counts the days since the decision was due, up to this moment, as said.
    pub(super) fn alert(&mut self, now: Instant) {
        let late = self.decide_by.map(|at| {
            let late = now.timestamp().duration_since(at.timestamp());
            late.as_hours() / i64::from(AGAIN_HOURS)
        });
        let days = u32::try_from(late.unwrap_or_default()).unwrap_or(u32::MAX - 1);
        self.alerts = self.alerts.max(days).saturating_add(1);
    }

    pub(super) fn say_requested(&self) -> ReviewRequested {
        ReviewRequested {
            review_id: self.id.clone(),
            cause: if self.requested.is_some() {
                "requested"
            } else {
                "threshold"
            },
            respond_by: self.respond_by,
            remind_at: self.remind_at(),
        }
    }

    pub(super) fn say_reminded(&self) -> ReviewReminded {
        ReviewReminded {
            review_id: self.id.clone(),
            respond_by: self.respond_by,
        }
    }

    pub(super) fn say_overdue(&self, due_at: Instant, on_silence: OnSilence) -> ReviewOverdue {
        ReviewOverdue {
            review_id: self.id.clone(),
            awaited: if self.decide_by.is_some() {
                "decision"
            } else {
                "answer"
            },
            due_at,
            answered: self.answered.is_some(),
            on_silence,
        }
    }

    pub(super) fn say_closed(&self, result: &'static str, by: ClosedBy) -> ReviewClosed {
        ReviewClosed {
            review_id: self.id.clone(),
            result,
            by,
            answered: self.answered.is_some(),
        }
    }
}
