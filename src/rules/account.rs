//! The accounts that every merchant has per currency, and movements between them (contract, section
//! 3).

use serde::Serialize;

use super::money::Amount;

/// A movement of money between two accounts of one merchant and currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    pub debit: Account,
    pub credit: Account,
    /// Above zero.
    pub amount: Amount,
}

/// The accounts that every merchant has per currency, with the numbers under which they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Account {
    Proceeds = 1,
    Held = 2,
    Payable = 3,
    Refunded = 4,
    Deposit = 5,
    Receivable = 6,
    Paid = 7,
    Platform = 8,
}

impl Account {
    /// The number under which it is stored.
    #[must_use]
    pub fn number(self) -> i16 {
        match self {
            Self::Proceeds => 1,
            Self::Held => 2,
            Self::Payable => 3,
            Self::Refunded => 4,
            Self::Deposit => 5,
            Self::Receivable => 6,
            Self::Paid => 7,
            Self::Platform => 8,
        }
    }
}
