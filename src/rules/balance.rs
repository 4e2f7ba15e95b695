//! What stands on a merchant's accounts in one currency: exact sums with a sign.
//!
//! An account's balance is what it was credited less what it was debited, so that what the
//! platform owes the merchant counts up; `receivable` is what the merchant owes and counts the
//! other way round.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

use super::entry::{Account, Transfer};
use super::money::{Amount, Currency, MoneyError};

/// A sum that may be below zero, in minor units of one currency.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    units: i128,
    /// Digits after the point.
    scale: u32,
}

impl Balance {
    /// Nothing.
    #[must_use]
    pub fn zero(currency: Currency) -> Self {
        Self {
            units: 0,
            scale: currency.exponent(),
        }
    }

    /// So much.
    #[must_use]
    pub fn of(amount: Amount) -> Self {
        let value = amount.decimal();
        Self {
            units: value.mantissa(),
            scale: value.scale(),
        }
    }

    /// Both together.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`], [`MoneyError::Mixed`] for different currencies.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        if self.scale != other.scale {
            return Err(MoneyError::Mixed);
        }
        let units = self.units.checked_add(other.units);
        let units = units.ok_or(MoneyError::Overflow)?;
        Ok(Self { units, ..self })
    }

    /// The same with the other sign.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn negated(self) -> Result<Self, MoneyError> {
        let units = self.units.checked_neg().ok_or(MoneyError::Overflow)?;
        Ok(Self { units, ..self })
    }

    /// The exact decimal.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] beyond 96 bits of minor units.
    pub fn decimal(self) -> Result<Decimal, MoneyError> {
        Decimal::try_from_i128_with_scale(self.units, self.scale).map_err(|_| MoneyError::Overflow)
    }

    /// True for nothing.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.units == 0
    }
}

impl fmt::Display for Balance {
    /// Exactly the minor digits, with `-` below zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = usize::try_from(self.scale).map_err(|_| fmt::Error)?;
        let digits = format!("{:0>least$}", self.units.unsigned_abs(), least = scale + 1);
        let (whole, decimals) = digits.split_at(digits.len() - scale);
        let point = if scale == 0 { "" } else { "." };
        f.pad_integral(self.units >= 0, "", &format!("{whole}{point}{decimals}"))
    }
}

impl fmt::Debug for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Balance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a merchant has and owes in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Balances {
    /// Kept back.
    pub held: Balance,
    /// Released and not yet paid.
    pub payable: Balance,
    /// Paid out.
    pub paid: Balance,
    pub deposit: Balance,
    /// What the merchant owes.
    pub receivable: Balance,
}

impl Balances {
    /// Nothing on any account.
    #[must_use]
    pub fn zero(currency: Currency) -> Self {
        let nothing = Balance::zero(currency);
        Self {
            held: nothing,
            payable: nothing,
            paid: nothing,
            deposit: nothing,
            receivable: nothing,
        }
    }

    /// What one transfer changes.
    ///
    /// # Errors
    /// [`MoneyError`] beyond all range.
    pub fn change(currency: Currency, transfer: &Transfer) -> Result<Self, MoneyError> {
        let amount = Balance::of(transfer.amount);
        let mut change = Self::zero(currency);
        change.credit(transfer.debit, amount.negated()?)?;
        change.credit(transfer.credit, amount)?;
        Ok(change)
    }

    /// Credits an account; accounts that are not among these are left aside.
    ///
    /// # Errors
    /// [`MoneyError`] beyond all range.
    pub fn credit(&mut self, account: Account, amount: Balance) -> Result<(), MoneyError> {
        let (balance, amount) = match account {
            Account::Held => (&mut self.held, amount),
            Account::Payable => (&mut self.payable, amount),
            Account::Paid => (&mut self.paid, amount),
            Account::Deposit => (&mut self.deposit, amount),
            Account::Receivable => (&mut self.receivable, amount.negated()?),
            Account::Proceeds | Account::Refunded | Account::Platform => return Ok(()),
        };
        *balance = balance.plus(amount)?;
        Ok(())
    }

    /// Both together, account by account.
    ///
    /// # Errors
    /// [`MoneyError`] beyond all range.
    pub fn plus(&self, other: &Self) -> Result<Self, MoneyError> {
        Ok(Self {
            held: self.held.plus(other.held)?,
            payable: self.payable.plus(other.payable)?,
            paid: self.paid.plus(other.paid)?,
            deposit: self.deposit.plus(other.deposit)?,
            receivable: self.receivable.plus(other.receivable)?,
        })
    }

    /// The merchant's net position: held + payable + paid + deposit − receivable.
    ///
    /// # Errors
    /// [`MoneyError`] beyond all range.
    pub fn net(&self) -> Result<Balance, MoneyError> {
        let owed = self.receivable.negated()?;
        let parts = [self.payable, self.paid, self.deposit, owed];
        parts.into_iter().try_fold(self.held, Balance::plus)
    }

    /// What of the deposit the merchant may have back: what is above `required` and above what they
    /// owe, at least nothing.
    ///
    /// # Errors
    /// [`MoneyError`] beyond all range.
    pub fn withdrawable(&self, required: Balance) -> Result<Balance, MoneyError> {
        let free = self.deposit.plus(required.negated()?)?;
        let free = free.plus(self.receivable.negated()?)?;
        Ok(Balance {
            units: free.units.max(0),
            ..free
        })
    }

    /// The accounts by their names, in the order of the fields.
    #[must_use]
    pub fn columns(&self) -> [(&'static str, Balance); 5] {
        [
            ("held", self.held),
            ("payable", self.payable),
            ("paid", self.paid),
            ("deposit", self.deposit),
            ("receivable", self.receivable),
        ]
    }

    /// True when nothing is on any account.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.columns().iter().all(|(_, balance)| balance.is_zero())
    }

    /// True when nothing but money paid out stands here: nothing is to happen any more.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.columns()
            .iter()
            .all(|(name, balance)| *name == "paid" || balance.is_zero())
    }
}

impl Account {
    /// Every account, in the order of the contract.
    pub const ALL: [Self; 8] = [
        Self::Proceeds,
        Self::Held,
        Self::Payable,
        Self::Refunded,
        Self::Deposit,
        Self::Receivable,
        Self::Paid,
        Self::Platform,
    ];

    /// The account stored under this number.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|account| account.number() == number)
    }

    /// As the contract names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Proceeds => "proceeds",
            Self::Held => "held",
            Self::Payable => "payable",
            Self::Refunded => "refunded",
            Self::Deposit => "deposit",
            Self::Receivable => "receivable",
            Self::Paid => "paid",
            Self::Platform => "platform",
        }
    }
}
