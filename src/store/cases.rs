//! The orders that a transaction works on: loaded and locked, decided upon, then written back.
//! What is written is the difference between before and after, so a fact that changes nothing
//! writes nothing.

use std::collections::{BTreeMap, HashMap};

use crate::message::Record;
use crate::rules::fact::FactKey;
use crate::rules::ids::{MerchantId, OrderId};
use crate::rules::order::Order;

/// An order's identity.
pub type OrderKey = (MerchantId, OrderId);

/// One order under decision.
#[derive(Debug)]
pub struct Case {
    pub order: Order,
    /// As it was loaded; `None` for an order that is not in the database yet.
    pub(super) before: Option<Order>,
    /// The messages behind parked facts, as they came.
    pub messages: HashMap<FactKey, Record>,
    /// The message that brought the sale.
    pub source: Option<Source>,
}

/// Where a message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    pub topic: SourceTopic,
    pub partition: i32,
    pub offset: i64,
}

/// The input topics by their configured meaning, with the numbers under which they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[repr(i16)]
pub enum SourceTopic {
    OrderCompleted = 1,
    Refund = 2,
    Dispute = 3,
    Merchant = 4,
    PayoutResult = 5,
}

impl SourceTopic {
    /// Every input topic.
    pub const ALL: [Self; 5] = [
        Self::OrderCompleted,
        Self::Refund,
        Self::Dispute,
        Self::Merchant,
        Self::PayoutResult,
    ];

    /// The number under which the topic is stored.
    #[must_use]
    pub fn number(self) -> i16 {
        match self {
            Self::OrderCompleted => 1,
            Self::Refund => 2,
            Self::Dispute => 3,
            Self::Merchant => 4,
            Self::PayoutResult => 5,
        }
    }

    /// The topic's default name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OrderCompleted => "order-completed",
            Self::Refund => "refund",
            Self::Dispute => "dispute",
            Self::Merchant => "merchant",
            Self::PayoutResult => "payout-result",
        }
    }

    /// The topic stored under this number.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.number() == number)
    }
}

/// All orders of one transaction, by key.
pub type Cases = BTreeMap<OrderKey, Case>;

impl Case {
    /// True when the sale is new and something else had been heard of the order before.
    #[must_use]
    pub fn is_sold_late(&self) -> bool {
        let stub = self
            .before
            .as_ref()
            .is_some_and(|before| before.sale.is_none());
        stub && self.order.sale.is_some()
    }

    /// An order that nobody has heard of.
    #[must_use]
    pub fn unheard(merchant: MerchantId, order: OrderId) -> Self {
        Self {
            order: Order::stub(merchant, order),
            before: None,
            messages: HashMap::new(),
            source: None,
        }
    }
}
