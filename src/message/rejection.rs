//! Why a record can't be accepted: one word of the contract's section 10, a sentence for people,
//! and the order whose money has to wait for the answer.

use std::fmt;

use crate::rules::decide::Refusal;
use crate::rules::ids::{MerchantId, OrderId};

/// The longest detail in characters; a detail quotes input, and input may be long.
const DETAIL_MAX: usize = 500;
/// The longest list of faults in characters.
const LIST_MAX: usize = 4_000;

/// What is wrong with a message, in the contract's words (section 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Not JSON, not UTF-8, a key twice in an object, nested too deeply.
    Malformed,
    /// JSON of the wrong shape: whatever a JSON Schema can see, amounts aside.
    Schema,
    /// A type that this version does not read, or no type at all.
    UnknownType,
    /// An amount that is no plain decimal, too fine, too large, zero or beyond its limit.
    Money,
    /// Longer than the limit.
    TooLarge,
    /// NUL or control characters.
    Text,
    /// Well formed, but there is no such thing: zone, currency, calendar day.
    Value,
    /// Other content under a known key.
    Conflict,
    /// Other currency than the order's, other merchant than its subject's.
    Mismatch,
    /// A business time too far from its record's Kafka timestamp.
    Time,
    /// A business time before the horizon within which repeats are recognised.
    TooOld,
    /// Refunds exceed the order, and its agreement says reject.
    RefundExceedsOrder,
    /// A decision about more than a message may decide.
    Approval,
    /// More facts, or kept bytes, than one order may have.
    TooMany,
    /// A person has given up waiting for what it belongs to.
    Dropped,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 15] = [
        Self::Malformed,
        Self::Schema,
        Self::UnknownType,
        Self::Money,
        Self::TooLarge,
        Self::Text,
        Self::Value,
        Self::Conflict,
        Self::Mismatch,
        Self::Time,
        Self::TooOld,
        Self::RefundExceedsOrder,
        Self::Approval,
        Self::TooMany,
        Self::Dropped,
    ];

    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Schema => "schema",
            Self::UnknownType => "unknown_type",
            Self::Money => "money",
            Self::TooLarge => "too_large",
            Self::Text => "text",
            Self::Value => "value",
            Self::Conflict => "conflict",
            Self::Mismatch => "mismatch",
            Self::Time => "time",
            Self::TooOld => "too_old",
            Self::RefundExceedsOrder => "refund_exceeds_order",
            Self::Approval => "approval",
            Self::TooMany => "too_many",
            Self::Dropped => "dropped",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&Refusal> for Reason {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Conflict(_) => Self::Conflict,
            Refusal::Mismatch(_) => Self::Mismatch,
            Refusal::Money(_) => Self::Money,
            Refusal::RefundExceedsOrder => Self::RefundExceedsOrder,
            Refusal::NeedsApproval => Self::Approval,
        }
    }
}

/// A record that can't be accepted: a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    pub reason: Reason,
    /// For people; at most 500 characters, a list of an agreement's faults 4,000.
    pub detail: String,
    /// The message concerns money about to leave, so its order must be looked at before it goes.
    pub moves_money: bool,
    /// That order, when `moves_money` and its ids could be read, however wrong the rest is.
    pub about: Option<About>,
}

/// The order that a refused message is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct About {
    pub merchant: MerchantId,
    pub order: OrderId,
}

/// What is wrong, before it is known whom it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub reason: Reason,
    pub detail: String,
    /// JSON pointer of the value that is wrong, as `detail` begins; empty for the whole.
    pub pointer: String,
}

impl Fault {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self::cut(reason, detail.into(), DETAIL_MAX)
    }

    /// Several as one, of the first one's reason.
    pub(super) fn all(faults: &[Self]) -> Self {
        let details: Vec<&str> = faults.iter().map(|it| it.detail.as_str()).collect();
        let reason = faults.first().map_or(Reason::Value, |it| it.reason);
        Self::cut(reason, details.join("; "), LIST_MAX)
    }

    fn cut(reason: Reason, mut detail: String, most: usize) -> Self {
        if let Some((cut, _)) = detail.char_indices().nth(most) {
            detail.truncate(cut);
        }
        Self {
            reason,
            detail,
            pointer: String::new(),
        }
    }

    /// The same fault, with the JSON pointer of where it lies; the whole value's is empty.
    pub(super) fn at(self, pointer: &str) -> Self {
        if pointer.is_empty() {
            return self;
        }
        let placed = Self::new(self.reason, format!("{pointer}: {}", self.detail));
        Self {
            pointer: pointer.to_owned(),
            ..placed
        }
    }
}
