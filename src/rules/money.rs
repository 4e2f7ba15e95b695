//! Exact money: decimals with the currency's minor digits, checked arithmetic, no floats.
//!
//! An [`Amount`] is never negative and its scale is always its currency's ISO 4217 exponent, so it
//! prints with exactly the minor digits. The currency stands beside it once per order, hold or
//! row; currencies never mix inside one of those.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// An ISO 4217 currency with a minor unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// Reads an upper-case alphabetic code; `None` for unknown codes and those without a minor
    /// unit (precious metals, test codes).
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        let currency = iso_currency::Currency::from_code(code)?;
        currency.exponent()?;
        Some(Self(currency))
    }

    /// The alphabetic code, for instance `EUR`.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Digits after the point (0 to 4).
    #[must_use]
    pub fn exponent(self) -> u32 {
        u32::from(self.0.exponent().unwrap_or(0))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::from_code(&code).ok_or_else(|| serde::de::Error::custom("unknown currency"))
    }
}

/// What can be wrong with a sum of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a plain decimal: exponent, sign, blanks, separators.
    #[error("not a decimal amount")]
    NotADecimal,
    /// More than 15 digits before the point.
    #[error("more than 15 digits before the point")]
    TooLarge,
    /// More decimals than the currency has minor digits.
    #[error("more decimals than the currency's minor unit")]
    TooFine,
    /// A sum left the range of exact decimals.
    #[error("overflow")]
    Overflow,
    /// A difference went below zero.
    #[error("below zero")]
    BelowZero,
}

/// A sum of money, never negative, in minor digits of the currency that stands beside it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(Decimal);

impl Amount {
    /// Nothing, in this currency's digits.
    #[must_use]
    pub fn zero(currency: Currency) -> Self {
        Self(Decimal::new(0, currency.exponent()))
    }

    /// Takes an exact decimal that fits the currency.
    ///
    /// # Errors
    /// [`MoneyError::BelowZero`] or [`MoneyError::TooFine`] when it does not fit.
    pub fn new(value: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        if value.is_sign_negative() && !value.is_zero() {
            return Err(MoneyError::BelowZero);
        }
        let mut value = value.normalize();
        if value.scale() > currency.exponent() {
            return Err(MoneyError::TooFine);
        }
        value.rescale(currency.exponent());
        if value.scale() != currency.exponent() {
            return Err(MoneyError::Overflow);
        }
        Ok(Self(value))
    }

    /// The exact value, its scale the currency's exponent.
    #[must_use]
    pub fn decimal(self) -> Decimal {
        self.0
    }

    /// True for nothing.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
