//! What keeps an order's money back: disputes, and blocks by reviews, persons and bad messages.

use serde::{Deserialize, Serialize};

use super::fact::{ContentHash, DisputeKind, DisputeOutcome};
use super::ids::{DisputeId, HoldId};
use super::money::{Amount, less};
use super::order::Noted;
use super::time::Instant;

/// A dispute, open or closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    pub id: DisputeId,
    /// Of the highest version that names a kind; the opening is version 0.
    pub kind: DisputeKind,
    pub kind_version: u64,
    /// Of the highest version that names an amount; `None`: the whole order.
    pub amount: Option<Amount>,
    /// The version that `amount` comes from.
    pub version: u64,
    pub opened_at: Instant,
    pub opened: ContentHash,
    /// Every update seen, by version.
    pub updates: Vec<(u64, ContentHash)>,
    pub closed: Option<Noted<Closing>>,
    /// What a lost chargeback itself charged, by the refund sources (see [`super::order::Refund`]).
    pub charged: Amount,
    pub from_reversed: Amount,
    pub from_holds: Amount,
    pub from_deposit: Amount,
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
    /// The hold that it lies on; `None`: all of the order's.
    pub hold: Option<HoldId>,
    /// How much it keeps; `None`: all.
    pub amount: Option<Amount>,
    pub opened_at: Instant,
    pub cleared_at: Option<Instant>,
}

impl Block {
    /// The reason of a block that a bad message put there; `: ` and the dead letter's reason follow.
    pub const REFUSED: &'static str = "a message about this order was refused";
    /// The reason of a block because of another merchant's message.
    pub const OF_ANOTHER: &'static str = "a fact names this order under another merchant";
}

/// Why a person or the platform keeps a hold back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum BlockKind {
    Review = 1,
    Legal = 2,
    Manual = 3,
}

impl Block {
    /// Whether it keeps this hold, or may keep a part of it.
    #[must_use]
    pub fn lies_on(&self, hold: HoldId) -> bool {
        self.hold.is_none_or(|own| own == hold)
    }
}

impl Dispute {
    /// What a lost chargeback claims, of an order of this amount; nothing unless it is one.
    #[must_use]
    pub fn lost_chargeback(&self, whole: Amount) -> Amount {
        let lost = self
            .closed
            .as_ref()
            .is_some_and(|closing| closing.value.outcome == DisputeOutcome::Lost);
        if lost && self.kind == DisputeKind::Chargeback {
            self.amount.unwrap_or(whole)
        } else {
            less(whole, whole)
        }
    }

    /// When it was closed, never before its opening.
    #[must_use]
    pub fn cleared_at(&self) -> Option<Instant> {
        let closing = self.closed.as_ref()?;
        Some(closing.value.at.max(self.opened_at))
    }
}

impl BlockKind {
    /// As events name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Review => "review",
            Self::Legal => "legal",
            Self::Manual => "manual",
        }
    }
}
