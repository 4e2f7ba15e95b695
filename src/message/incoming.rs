//! From a consumed record to a fact, or to the reason why it is none.
//!
//! The way of a record: size, envelope, type, JSON, fields, business time. The first that is wrong
//! is the answer. Nothing is guessed: a message is accepted whole or refused whole.

use jiff::SignedDuration;

use super::fields::Fields;
use super::hints::Hints;
use super::rejection::{Fault, Reason, Rejection};
use super::{
    Record, UNREADABLE_HEADER, adjustment, agreement, calendar, content, deposit, envelope, order,
    payout, review,
};
use crate::rules::entry::Direction;
use crate::rules::fact::{ContentHash, Fact, FactKind, OrderEvent};
use crate::rules::review::Decision;
use crate::rules::time::Instant;

/// What a message may be at most (contract, section 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a value.
    pub max_bytes: usize,
    /// How far a business time may lie after its record's Kafka timestamp.
    pub ahead: SignedDuration,
    /// How far before.
    pub behind: SignedDuration,
    /// How far before at the very most: repeats of older messages are no longer recognised.
    pub horizon: SignedDuration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 1 << 20,
            ahead: SignedDuration::from_hours(24),
            behind: SignedDuration::from_hours(400 * 24),
            horizon: SignedDuration::from_hours(730 * 24),
        }
    }
}

/// A record that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// A null value: counted and skipped.
    Tombstone,
    Fact(Box<Accepted>),
}

/// A fact with what the loop needs to know of its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub fact: Fact,
    /// The digest of the content, also where the fact itself has no place for it.
    pub content: ContentHash,
    /// When it happened; `None` for agreements and calendars, which may lie at any distance.
    pub business_at: Option<Instant>,
    /// Its business time is further from the record's Kafka timestamp than the limits allow; it
    /// keeps money back and so is applied nevertheless, with an alarm.
    pub off_time: bool,
}

/// The types that this version reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InputType {
    OrderCompleted,
    OrderConfirmed,
    OrderDelivered,
    OrderCancelled,
    RefundSucceeded,
    RefundReversed,
    DisputeOpened,
    DisputeUpdated,
    DisputeClosed,
    AgreementPublished,
    CalendarPublished,
    DepositCredited,
    DepositWithdrawn,
    AdjustmentPosted,
    PayoutPaid,
    PayoutFailed,
    ReviewRequested,
    ReviewAnswered,
    ReviewDecided,
}

impl InputType {
    /// Every type.
    pub const ALL: [Self; 19] = [
        Self::OrderCompleted,
        Self::OrderConfirmed,
        Self::OrderDelivered,
        Self::OrderCancelled,
        Self::RefundSucceeded,
        Self::RefundReversed,
        Self::DisputeOpened,
        Self::DisputeUpdated,
        Self::DisputeClosed,
        Self::AgreementPublished,
        Self::CalendarPublished,
        Self::DepositCredited,
        Self::DepositWithdrawn,
        Self::AdjustmentPosted,
        Self::PayoutPaid,
        Self::PayoutFailed,
        Self::ReviewRequested,
        Self::ReviewAnswered,
        Self::ReviewDecided,
    ];

    /// The name on the wire, for instance `order.completed.v1`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OrderCompleted => "order.completed.v1",
            Self::OrderConfirmed => "order.confirmed.v1",
            Self::OrderDelivered => "order.delivered.v1",
            Self::OrderCancelled => "order.cancelled.v1",
            Self::RefundSucceeded => "refund.succeeded.v1",
            Self::RefundReversed => "refund.reversed.v1",
            Self::DisputeOpened => "dispute.opened.v1",
            Self::DisputeUpdated => "dispute.updated.v1",
            Self::DisputeClosed => "dispute.closed.v1",
            Self::AgreementPublished => "agreement.published.v1",
            Self::CalendarPublished => "calendar.published.v1",
            Self::DepositCredited => "deposit.credited.v1",
            Self::DepositWithdrawn => "deposit.withdrawn.v1",
            Self::AdjustmentPosted => "adjustment.posted.v1",
            Self::PayoutPaid => "payout.paid.v1",
            Self::PayoutFailed => "payout.failed.v1",
            Self::ReviewRequested => "review.requested.v1",
            Self::ReviewAnswered => "review.answered.v1",
            Self::ReviewDecided => "review.decided.v1",
        }
    }

    /// The type of this exact name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }
}

/// Reads a record. `default_type` is what a value without an envelope is taken for; `None`: the
/// topic demands that each message names its type.
///
/// # Errors
/// [`Rejection`]: a dead letter, and possibly an order whose money has to wait.
pub fn parse(
    record: &Record,
    default_type: Option<&str>,
    limits: &Limits,
) -> Result<Parsed, Rejection> {
    let Some(value) = record.value.as_deref() else {
        return Ok(Parsed::Tombstone);
    };
    read(record, value, default_type, limits)
        .map(|accepted| Parsed::Fact(Box::new(accepted)))
        .map_err(|fault| reject(fault, record, value, default_type))
}

fn read(
    record: &Record,
    value: &[u8],
    default_type: Option<&str>,
    limits: &Limits,
) -> Result<Accepted, Fault> {
    if value.len() > limits.max_bytes {
        let what = format!("{} bytes, allowed are {}", value.len(), limits.max_bytes);
        return Err(Fault::new(Reason::TooLarge, what));
    }
    if record
        .headers
        .iter()
        .any(|(name, _)| name == UNREADABLE_HEADER)
    {
        return Err(Fault::new(Reason::Text, "a header's name is not UTF-8"));
    }
    let envelope = envelope::open(record, value, default_type)?;
    let name = envelope.type_name.as_ref();
    let input = InputType::from_name(name)
        .ok_or_else(|| Fault::new(Reason::UnknownType, format!("{name} is not read")))?;
    let fields = Fields::split(&envelope.data, String::new())?;
    let mut accepted = fact(input, &fields, envelope.traceparent)?;
    match &mut accepted.fact {
        Fact::Order(fact) => fact.recorded_at = record.timestamp,
        Fact::Indirect(fact) => fact.recorded_at = record.timestamp,
        Fact::Agreement(_)
        | Fact::Calendar(_)
        | Fact::Deposit(_)
        | Fact::Adjustment(_)
        | Fact::Payout(_) => {}
    }
    accepted.off_time = check_time(&accepted, record.timestamp, limits)?;
    Ok(accepted)
}

fn fact(
    input: InputType,
    fields: &Fields<'_>,
    traceparent: Option<String>,
) -> Result<Accepted, Fault> {
    let kind = match input {
        InputType::OrderCompleted => FactKind::Completed,
        InputType::OrderConfirmed => FactKind::Confirmed,
        InputType::OrderDelivered => FactKind::Delivered,
        InputType::OrderCancelled => FactKind::Cancelled,
        InputType::RefundSucceeded => FactKind::Refunded,
        InputType::DisputeOpened => FactKind::DisputeOpened,
        InputType::DisputeUpdated => FactKind::DisputeUpdated,
        InputType::DisputeClosed => FactKind::DisputeClosed,
        InputType::ReviewRequested => FactKind::ReviewRequested,
        InputType::RefundReversed | InputType::ReviewAnswered | InputType::ReviewDecided => {
            let fact = match input {
                InputType::RefundReversed => order::refund_reversed(fields, traceparent)?,
                InputType::ReviewAnswered => review::answered(fields, traceparent)?,
                _ => review::decided(fields, traceparent)?,
            };
            let (content, at) = (fact.content, fact.business_at());
            return Ok(accepted(Fact::Indirect(fact), content, Some(at)));
        }
        InputType::AgreementPublished => {
            let agreement = agreement::agreement(fields)?;
            let content = content::of_agreement(&agreement);
            return Ok(accepted(
                Fact::Agreement(Box::new(agreement)),
                content,
                None,
            ));
        }
        InputType::CalendarPublished => {
            let calendar = calendar::calendar(fields)?;
            let content = content::of_calendar(&calendar);
            return Ok(accepted(Fact::Calendar(Box::new(calendar)), content, None));
        }
        InputType::DepositCredited | InputType::DepositWithdrawn => {
            let withdrawn = input == InputType::DepositWithdrawn;
            let fact = deposit::fact(fields, withdrawn, traceparent)?;
            let (content, at) = (fact.content, fact.at);
            return Ok(accepted(Fact::Deposit(fact), content, Some(at)));
        }
        InputType::AdjustmentPosted => {
            let fact = adjustment::fact(fields, traceparent)?;
            let (content, at) = (fact.content, fact.at);
            let fact = Fact::Adjustment(Box::new(fact));
            return Ok(accepted(fact, content, Some(at)));
        }
        InputType::PayoutPaid | InputType::PayoutFailed => {
            let paid = input == InputType::PayoutPaid;
            let result = payout::result(fields, paid, traceparent)?;
            let (content, at) = (result.content, result.at);
            return Ok(accepted(Fact::Payout(result), content, Some(at)));
        }
    };
    let fact = order::fact(fields, kind, traceparent)?;
    let (content, at) = (fact.content, fact.business_at());
    Ok(accepted(Fact::Order(fact), content, Some(at)))
}

fn accepted(fact: Fact, content: ContentHash, business_at: Option<Instant>) -> Accepted {
    Accepted {
        fact,
        content,
        business_at,
        off_time: false,
    }
}

/// Whether the fact brings a release nearer.
fn frees_money(fact: &Fact) -> bool {
    let what = match fact {
        Fact::Order(fact) => &fact.what,
        Fact::Indirect(fact) => &fact.what,
        Fact::Adjustment(fact) => return fact.direction == Direction::Credit,
        Fact::Agreement(_) | Fact::Calendar(_) | Fact::Deposit(_) | Fact::Payout(_) => {
            return false;
        }
    };
    match what {
        OrderEvent::Completed(_)
        | OrderEvent::Confirmed { .. }
        | OrderEvent::Delivered { .. }
        | OrderEvent::DisputeClosed(_) => true,
        OrderEvent::ReviewDecided(decided) => decided.decision == Decision::Passed,
        _ => false,
    }
}

/// Compares the business time with Kafka's; true when it is off and yet to be applied.
fn check_time(accepted: &Accepted, kafka: Option<Instant>, limits: &Limits) -> Result<bool, Fault> {
    let (Some(business), Some(kafka)) = (accepted.business_at, kafka) else {
        return Ok(false);
    };
    let ahead = business.timestamp().duration_since(kafka.timestamp());
    let what = |than: SignedDuration| {
        let hours = than.as_hours();
        Fault::new(
            Reason::Time,
            format!("{business} is more than {hours} h from {kafka}"),
        )
    };
    if -ahead > limits.horizon {
        return Err(Fault {
            reason: Reason::TooOld,
            ..what(limits.horizon)
        });
    }
    let limit = if ahead > limits.ahead {
        limits.ahead
    } else if -ahead > limits.behind {
        limits.behind
    } else {
        return Ok(false);
    };
    if frees_money(&accepted.fact) {
        Err(what(limit))
    } else {
        Ok(true)
    }
}

/// Finds out whom a refused record concerns, as far as anything of it can be read.
fn reject(fault: Fault, record: &Record, value: &[u8], default_type: Option<&str>) -> Rejection {
    let hints = Hints::find(value);
    let moves_money = envelope::type_hint(record, &hints, default_type).is_none_or(moves_money);
    let structured = envelope::mode(record) == envelope::Mode::Structured;
    Rejection {
        reason: fault.reason,
        detail: fault.detail,
        moves_money,
        about: if moves_money {
            hints.about(structured)
        } else {
            None
        },
    }
}

/// Whether messages of this type are about money that may be about to leave. Also for versions and
/// refinements of them that this version does not read; a message whose type can't be read at all
/// counts as one.
fn moves_money(type_name: &str) -> bool {
    [
        "refund.",
        "dispute.",
        "order.cancelled.",
        "order.completed.",
        "review.requested.",
    ]
    .iter()
    .any(|family| type_name.starts_with(family))
}
