//! What a person can ask for, and who asks.

use serde::{Deserialize, Serialize};

use super::OperatorError;
use crate::rules::ids::MerchantId;
use crate::rules::pause::Scope;
use crate::store::operations::About;

/// One request, kept whole with its operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Request {
    Pause { scope: Scope },
    Resume { scope: Scope },
}

impl Request {
    /// The kind under which the operation is kept.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
        }
    }

    /// What can be said of its subject before anything is looked up.
    pub(super) fn about(&self) -> About {
        let mut about = About::default();
        match self {
            Self::Pause { scope } | Self::Resume { scope } => match scope {
                Scope::All => {}
                Scope::Currency(currency) => about.currency = Some(*currency),
                Scope::Merchant(merchant) => about.merchant = Some(MerchantId::clone(merchant)),
            },
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
