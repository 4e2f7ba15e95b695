//! What a merchant's history is told in: the agreement, the facts, and the releases that follow.

/// A sum in minor units.
pub type Cents = i64;
/// Seconds since the first midnight of a history.
pub type Seconds = i64;

pub const DAY: Seconds = 86_400;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    HoldFirst,
    Proportional,
    MerchantFirst,
}

/// What the one agreement of a history says.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Rate in hundredths of a percent, days.
    pub terms: Vec<(i64, i64)>,
    pub source: Source,
    pub fees_returned: bool,
    pub free_outside: bool,
    pub excess_receivable: bool,
    pub required: Cents,
    pub top_up_bps: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    Completed {
        amount: Cents,
        fees: Cents,
    },
    Cancelled,
    Refunded {
        id: u8,
        amount: Cents,
        dispute: Option<u8>,
    },
    /// A refund that did not go through after all.
    Reversed {
        id: u8,
    },
    /// A chargeback; without a sum it contests the whole order.
    Opened {
        dispute: u8,
        amount: Option<Cents>,
    },
    Closed {
        dispute: u8,
        lost: bool,
    },
}

/// One line of a history, in the order in which it arrives.
#[derive(Debug, Clone)]
pub enum Step {
    Order {
        order: u8,
        at: Seconds,
        what: What,
    },
    Deposit {
        id: u8,
        at: Seconds,
        credited: bool,
        amount: Cents,
    },
    Adjustment {
        id: u8,
        at: Seconds,
        credit: bool,
        amount: Cents,
    },
    /// The result of one of the releases that there are, whichever the pick hits.
    Payout {
        pick: usize,
        at: Seconds,
        paid: bool,
    },
}

impl Step {
    pub fn at(&self) -> Seconds {
        match self {
            Self::Order { at, .. }
            | Self::Deposit { at, .. }
            | Self::Adjustment { at, .. }
            | Self::Payout { at, .. } => *at,
        }
    }
}

/// A release of a hold by order, term and number; None is one of reason `adjustment`.
pub type Whence = Option<(u8, usize, u32)>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    pub whence: Whence,
    pub gross: Cents,
    pub recovered: Cents,
    pub to_deposit: Cents,
    pub amount: Cents,
}
