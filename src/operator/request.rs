//! What a person can ask for, and who asks.

use serde::{Deserialize, Serialize};

use super::OperatorError;
use crate::rules::ids::{CreditId, HoldId, MerchantId, OrderId, ReceivableId, ReleaseId, ReviewId};
use crate::rules::money::Currency;
use crate::rules::order::BlockKind;
use crate::rules::pause::Scope;
use crate::rules::review::Decision;
use crate::rules::time::Instant;
use crate::store::operations::About;
use crate::store::replays::Place;

/// One request, kept whole with its operation. Amounts are decimals in the order's currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Request {
    Pause {
        scope: Scope,
    },
    Resume {
        scope: Scope,
    },
    /// Keeps an order's money, now or when the order comes: all, a hold's, or a part of either.
    Block {
        merchant: MerchantId,
        order: OrderId,
        hold: Option<HoldId>,
        amount: Option<String>,
        /// Manual or legal.
        block: BlockKind,
    },
    /// Clears any block but a dispute's, those of refused messages too.
    Unblock {
        merchant: MerchantId,
        order: OrderId,
        reference: String,
    },
    /// Lets a hold's money go at once: all that is not blocked, or a part of that.
    Release {
        merchant: MerchantId,
        hold: HoldId,
        amount: Option<String>,
    },
    /// Ends a review, or (passed) clears what a rejected one keeps.
    Decide {
        merchant: MerchantId,
        review: ReviewId,
        decision: Decision,
    },
    /// Lets a credit go at once.
    ReleaseCredit {
        merchant: MerchantId,
        credit: CreditId,
    },
    /// The platform bears what a merchant will not pay. Always by two persons.
    WriteOff {
        merchant: MerchantId,
        receivable: ReceivableId,
        /// At most this much, in the receivable's currency.
        amount: String,
    },
    /// Issues a release again whose payout has failed, under the next attempt.
    Reissue {
        merchant: MerchantId,
        release: ReleaseId,
    },
    /// Keeps a hold's money at least until then.
    Extend {
        merchant: MerchantId,
        hold: HoldId,
        until: Instant,
    },
    /// Gives up on a message that waits for what never comes.
    DropParked {
        place: Place,
    },
    /// Charges a refund or lost chargeback whose order never comes to the merchant.
    ChargeParked {
        place: Place,
        /// Where the message does not say how much: in that currency.
        amount: Option<String>,
        /// A chargeback's, whose messages name none.
        currency: Option<Currency>,
    },
}

impl Request {
    /// The kind under which the operation is kept.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::Block { .. } => "block",
            Self::Unblock { .. } => "unblock",
            Self::Release { .. } => "release",
            Self::Decide { .. } => "decide",
            Self::ReleaseCredit { .. } => "release_credit",
            Self::WriteOff { .. } => "write_off",
            Self::Reissue { .. } => "reissue",
            Self::Extend { .. } => "extend",
            Self::DropParked { .. } => "drop_parked",
            Self::ChargeParked { .. } => "charge_parked",
        }
    }

    /// What can be said of its subject before anything is looked up.
    pub(super) fn about(&self) -> About {
        let mut about = About::default();
        match self {
            Self::Pause { scope } | Self::Resume { scope } => match scope {
                Scope::All => {}
                Scope::Currency(currency) => about.currency = Some(*currency),
                Scope::Merchant(merchant) => about.merchant = Some(merchant.clone()),
            },
            Self::DropParked { .. } | Self::ChargeParked { .. } => {}
            Self::Block {
                merchant,
                order,
                hold,
                ..
            } => {
                about.merchant = Some(merchant.clone());
                about.order = Some(order.clone());
                about.hold = *hold;
            }
            Self::Unblock {
                merchant, order, ..
            } => {
                about.merchant = Some(merchant.clone());
                about.order = Some(order.clone());
            }
            Self::Decide { merchant, .. }
            | Self::ReleaseCredit { merchant, .. }
            | Self::Reissue { merchant, .. }
            | Self::WriteOff { merchant, .. } => {
                about.merchant = Some(merchant.clone());
            }
            Self::Release { merchant, hold, .. } | Self::Extend { merchant, hold, .. } => {
                about.merchant = Some(merchant.clone());
                about.hold = Some(*hold);
            }
        }
        about
    }
}

/// Who asks, and why. The command line takes the name as it is given; who may give which is the
/// caller's affair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    pub actor: String,
    pub reason: String,
}

impl By {
    /// Longest name and longest reason, in characters.
    const MAX: usize = 500;

    /// Both trimmed.
    ///
    /// # Errors
    /// [`OperatorError::Refused`] when one is empty, too long or has control characters.
    pub fn new(actor: &str, reason: &str) -> Result<Self, OperatorError> {
        let checked = |what: &str, text: &str| {
            let text = text.trim();
            let sound = !text.is_empty() && !text.chars().any(char::is_control);
            if sound && text.chars().count() <= Self::MAX {
                return Ok(text.to_owned());
            }
            Err(OperatorError::Refused(format!(
                "{what} must be 1 to {} characters without control characters",
                Self::MAX
            )))
        };
        Ok(Self {
            actor: checked("the actor", actor)?,
            reason: checked("the reason", reason)?,
        })
    }
}
