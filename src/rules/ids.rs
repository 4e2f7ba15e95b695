//! Names of things. Outside ids are texts of 1–128 characters without control characters;
//! ours are UUIDv5 under one namespace, so the same facts give the same ids (contract, section 9).

use std::fmt;
use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use uuid::Uuid;

use super::money::Currency;

/// Namespace of every id of ours: UUIDv5 of `urn:holdback:v1` in the URL namespace.
pub const NAMESPACE: Uuid = Uuid::from_u128(0x8a05_ee90_e0d3_5cf6_89c2_6dd0_eb8c_5715);

/// Joins the parts of a name. Ids contain no control characters, so parts can't run together.
const SEPARATOR: &str = "\u{1f}";

/// What is wrong with an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Empty, or longer than 128 characters.
    #[error("an id has 1 to 128 characters")]
    Length,
    /// Contains a control character.
    #[error("an id has no control characters")]
    Control,
}

macro_rules! text_ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks length and characters.
            ///
            /// # Errors
            /// [`IdError`] says what is wrong.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                check(text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The text as it came.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    )+};
}

fn check(text: &str) -> Result<(), IdError> {
    let length = text.chars().count();
    if length == 0 || length > 128 {
        return Err(IdError::Length);
    }
    if text.chars().any(char::is_control) {
        return Err(IdError::Control);
    }
    Ok(())
}

text_ids! {
    /// A merchant, or `*` for the platform itself.
    MerchantId,
    /// An order; an order's identity is (merchant, order).
    OrderId,
    /// A refund.
    RefundId,
    /// A dispute of any kind.
    DisputeId,
    /// A review of an order.
    ReviewId,
    /// An agreement; its versions share the id.
    AgreementId,
    /// A calendar of working days.
    CalendarId,
    /// The name of a term, unique in its agreement.
    TermName,
    /// A payment into a deposit, or out of it.
    TransactionId,
    /// A correction of what a merchant has, posted by the platform's staff.
    AdjustmentId,
}

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )+};
}

uuid_ids! {
    /// One hold: one order under one term.
    HoldId,
    /// One release of one hold.
    ReleaseId,
    /// The releases of one merchant and currency on one date.
    SettlementId,
    /// What a merchant owes for one cause.
    ReceivableId,
    /// What a merchant is owed for one cause, apart from any hold.
    CreditId,
    /// A `CloudEvents` id of an event of ours.
    EventId,
}

/// A UUID of version 5 (RFC 9562, section 5.5), by a SHA-1 that uses the processor's instructions
/// for it: ids are a twentieth of what a long run of `simulate` computes.
fn derive(parts: &[&str]) -> Uuid {
    let mut name = Sha1::new_with_prefix(NAMESPACE);
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            name.update(SEPARATOR);
        }
        name.update(part);
    }
    let hash: [u8; 20] = name.finalize().into();
    let (first, _) = hash.split_first_chunk().expect("20 bytes");
    uuid::Builder::from_sha1_bytes(*first).into_uuid()
}

impl MerchantId {
    /// The platform itself: owner of default agreements and of events of no single merchant.
    #[must_use]
    pub fn platform() -> Self {
        Self(Arc::from("*"))
    }

    /// True for the platform itself.
    #[must_use]
    pub fn is_platform(&self) -> bool {
        self.as_str() == "*"
    }
}

impl HoldId {
    /// The hold of one order under the term of this name.
    #[must_use]
    pub fn of(merchant: &MerchantId, order: &OrderId, term: &TermName) -> Self {
        let parts = ["hold", merchant.as_str(), order.as_str(), term.as_str()];
        Self(derive(&parts))
    }
}

impl ReviewId {
    /// The review that the amount of an order asks for.
    #[must_use]
    pub fn by_amount(merchant: &MerchantId, order: &OrderId) -> Self {
        let id = derive(&["review", merchant.as_str(), order.as_str()]);
        Self(Arc::from(id.to_string()))
    }
}

impl ReleaseId {
    /// The nth release of a hold, from 1.
    #[must_use]
    pub fn of(hold: HoldId, n: u32) -> Self {
        let mut room = Uuid::encode_buffer();
        let hold = hold.0.hyphenated().encode_lower(&mut room);
        Self(derive(&["release", hold, &n.to_string()]))
    }

    /// The release of a credit; it has one.
    #[must_use]
    pub fn of_credit(credit: CreditId) -> Self {
        Self(derive(&["release", &credit.to_string(), "1"]))
    }
}

impl SettlementId {
    /// The settlement of a merchant and currency on a local date.
    #[must_use]
    pub fn of(merchant: &MerchantId, currency: Currency, date: Date) -> Self {
        let date = date.to_string();
        Self(derive(&[
            "settlement",
            merchant.as_str(),
            currency.code(),
            &date,
        ]))
    }
}

impl ReceivableId {
    /// What a merchant owes for one cause, for instance (`refund`, `R-1`).
    #[must_use]
    pub fn of(merchant: &MerchantId, cause_type: &str, cause_id: &str) -> Self {
        Self(derive(&[
            "receivable",
            merchant.as_str(),
            cause_type,
            cause_id,
        ]))
    }
}

impl CreditId {
    /// What a merchant is owed because of one fact, for instance `order.cancelled:O-1`.
    #[must_use]
    pub fn of(merchant: &MerchantId, cause: &str) -> Self {
        Self(derive(&["credit", merchant.as_str(), cause]))
    }
}

impl EventId {
    /// The `ce_id` of an event: its `ce_type`, the id of what it is about, and the business key of
    /// the fact that caused it.
    #[must_use]
    pub fn of(type_: &str, subject: &str, cause: &str) -> Self {
        Self(derive(&["event", type_, subject, cause]))
    }
}
