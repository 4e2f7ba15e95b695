//! Exact money: decimals with the currency's minor digits, checked arithmetic, no floats.
//!
//! An [`Amount`] is never negative and its scale is always its currency's ISO 4217 exponent, so it
//! prints with exactly the minor digits. The currency stands beside it once per order, hold or
//! row; currencies never mix inside one of those.

use std::cmp::Reverse;
use std::fmt;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::Serialize;

pub use super::currency::Currency;

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
    /// A share of nothing, or a split by weights that are all zero.
    #[error("a share of nothing")]
    NoWhole,
    /// Amounts of currencies with different minor units met: a mistake in the code.
    #[error("amounts of different currencies")]
    Mixed,
}

/// The most digits before the point of an amount that comes in.
const MAX_WHOLE_DIGITS: usize = 15;
/// The finest minor unit of ISO 4217.
const MAX_DECIMALS: usize = 4;

/// Reads a plain number whose currency is not known yet: `[0-9]{1,15}(\.[0-9]{1,4})?`.
/// Leading zeros are allowed, as in `0.50` and `007`; a point needs digits on both sides.
///
/// # Errors
/// [`MoneyError`] says what is wrong with it.
pub fn plain(text: &str) -> Result<Decimal, MoneyError> {
    let (whole, decimals) = match text.split_once('.') {
        Some((whole, decimals)) => (whole, Some(decimals)),
        None => (text, None),
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !decimals.is_none_or(digits) {
        return Err(MoneyError::NotADecimal);
    }
    if whole.len() > MAX_WHOLE_DIGITS {
        return Err(MoneyError::TooLarge);
    }
    if decimals.is_some_and(|decimals| decimals.len() > MAX_DECIMALS) {
        return Err(MoneyError::TooFine);
    }
    Decimal::from_str_exact(text).map_err(|_| MoneyError::NotADecimal)
}

/// Bytes of 64 bits of minor units in digits, and the point.
const ROOM: usize = 24;

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

    /// Reads an amount of this currency as messages carry it: a [`plain`] number with no more
    /// decimals, zeros included, than the currency has minor digits.
    ///
    /// # Errors
    /// [`MoneyError`] says what is wrong with it.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let value = plain(text)?;
        if value.scale() > currency.exponent() {
            return Err(MoneyError::TooFine);
        }
        Self::new(value, currency)
    }

    /// An agreement's plain number in this currency, rounded half up to its minor unit.
    ///
    /// # Errors
    /// [`MoneyError::BelowZero`] or [`MoneyError::Overflow`] when it is no amount.
    pub fn from_plain(value: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        let half_up = RoundingStrategy::MidpointAwayFromZero;
        Self::new(
            value.round_dp_with_strategy(currency.exponent(), half_up),
            currency,
        )
    }

    /// The sum of amounts of one currency.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] beyond 96 bits of minor units.
    pub fn sum(
        currency: Currency,
        amounts: impl IntoIterator<Item = Self>,
    ) -> Result<Self, MoneyError> {
        amounts
            .into_iter()
            .try_fold(Self::zero(currency), Self::plus)
    }

    /// Both together.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] beyond 96 bits of minor units.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        self.same_unit(other)?;
        self.with_units(self.units() + other.units())
    }

    /// What is left without the other.
    ///
    /// # Errors
    /// [`MoneyError::BelowZero`] when the other is greater.
    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        self.same_unit(other)?;
        let units = self.units().checked_sub(other.units());
        self.with_units(units.ok_or(MoneyError::BelowZero)?)
    }

    /// `self × bps / 10000`, rounded half up to the minor unit. 10000 bps are the whole.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`], only above 10000 bps.
    pub fn share_bps(self, bps: u32) -> Result<Self, MoneyError> {
        self.with_units(share_half_up(self.units(), u128::from(bps), 10_000)?)
    }

    /// `self × part / whole`, rounded half up to the minor unit; exact at any size.
    ///
    /// # Errors
    /// [`MoneyError::NoWhole`] when `whole` is zero; [`MoneyError::Overflow`], only when `part` is
    /// greater than `whole`.
    pub fn proportion(self, part: Self, whole: Self) -> Result<Self, MoneyError> {
        part.same_unit(whole)?;
        self.with_units(share_half_up(self.units(), part.units(), whole.units())?)
    }

    /// Parts in proportion to the weights that add up to `self` exactly: each is rounded down, and
    /// the units left over go one each to the largest remainders, the first on ties. A weight of
    /// zero gets nothing.
    ///
    /// # Errors
    /// [`MoneyError::NoWhole`] when the weights are all zero, unless there is nothing to split.
    pub fn split(self, weights: &[Self]) -> Result<Vec<Self>, MoneyError> {
        if self.is_zero() {
            return Ok(vec![self; weights.len()]);
        }
        let Some((first, rest)) = weights.split_first() else {
            return Err(MoneyError::NoWhole);
        };
        let whole = rest.iter().copied().try_fold(*first, Self::plus)?.units();
        let mut parts = Vec::with_capacity(weights.len());
        let mut remainders = Vec::with_capacity(weights.len());
        let mut unassigned = self.units();
        for (position, weight) in weights.iter().enumerate() {
            let (units, remainder) = multiply_divide(self.units(), weight.units(), whole)?;
            parts.push(units);
            remainders.push((Reverse(remainder), position));
            unassigned -= units;
        }
        remainders.sort_unstable();
        // Fewer units are left over than there are remainders above zero: each gets at most one.
        for (_, position) in remainders {
            if unassigned == 0 {
                break;
            }
            parts[position] += 1;
            unassigned -= 1;
        }
        parts
            .into_iter()
            .map(|units| self.with_units(units))
            .collect()
    }

    /// Parts in proportion to the weights that add up to `self` exactly, as [`Self::split`] does,
    /// and never fall when `self` grows (largest remainders may). Each unit in turn goes to the
    /// weight that deserves it most: least (2 × part + 1) / weight, the first on ties. With one or
    /// two weights both splits are the same.
    ///
    /// # Errors
    /// [`MoneyError::NoWhole`] when the weights are all zero, unless there is nothing to split;
    /// [`MoneyError::Overflow`] beyond 62 bits of minor units.
    pub fn split_steadily(self, weights: &[Self]) -> Result<Vec<Self>, MoneyError> {
        if self.is_zero() {
            return Ok(vec![self; weights.len()]);
        }
        let weights: Vec<u128> = weights.iter().map(|weight| weight.units()).collect();
        let whole: u128 = weights.iter().sum();
        // No part is further than this below its exact share, whatever the weights.
        let count = u128::try_from(weights.len()).map_err(|_| MoneyError::Overflow)?;
        let surely = self.units().saturating_sub(count);
        let mut parts = Vec::with_capacity(weights.len());
        for weight in &weights {
            parts.push(multiply_divide(surely, *weight, whole)?.0);
        }
        let mut unassigned = self.units() - parts.iter().sum::<u128>();
        while unassigned > 0 {
            let mut next: Option<usize> = None;
            for (position, weight) in weights.iter().enumerate() {
                if *weight == 0 {
                    continue;
                }
                let claim = |of: usize, against: u128| {
                    let odd = parts[of] * 2 + 1;
                    odd.checked_mul(against).ok_or(MoneyError::Overflow)
                };
                let better = match next {
                    None => true,
                    Some(best) => claim(position, weights[best])? < claim(best, *weight)?,
                };
                if better {
                    next = Some(position);
                }
            }
            parts[next.ok_or(MoneyError::NoWhole)?] += 1;
            unassigned -= 1;
        }
        parts
            .into_iter()
            .map(|units| self.with_units(units))
            .collect()
    }

    /// As it is written, from the last digit to the first; `None` beyond 64 bits of minor units.
    /// Sums are most of what events say, and [`Decimal`]'s own way takes twice the instructions.
    fn digits(self, room: &mut [u8; ROOM]) -> Option<&str> {
        let mut rest = u64::try_from(self.units()).ok()?;
        let mut start = room.len();
        for place in 0.. {
            let decimals_end = place == self.0.scale() && place > 0;
            if decimals_end {
                start -= 1;
                room[start] = b'.';
            }
            start -= 1;
            room[start] = b'0' + u8::try_from(rest % 10).ok()?;
            rest /= 10;
            if rest == 0 && place >= self.0.scale() {
                break;
            }
        }
        std::str::from_utf8(&room[start..]).ok()
    }

    /// Minor units, below 2⁹⁶.
    fn units(self) -> u128 {
        self.0.mantissa().unsigned_abs()
    }

    /// The same currency with other minor units. Never through `Decimal`'s own arithmetic, which
    /// drops digits where a sum gets too long.
    fn with_units(self, units: u128) -> Result<Self, MoneyError> {
        let units = i128::try_from(units).map_err(|_| MoneyError::Overflow)?;
        Decimal::try_from_i128_with_scale(units, self.0.scale())
            .map(Self)
            .map_err(|_| MoneyError::Overflow)
    }

    fn same_unit(self, other: Self) -> Result<(), MoneyError> {
        if self.0.scale() == other.0.scale() {
            Ok(())
        } else {
            Err(MoneyError::Mixed)
        }
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

/// What is left of the first without the second, at least nothing; both of one currency.
#[must_use]
pub fn less(from: Amount, amount: Amount) -> Amount {
    from.minus(amount.min(from))
        .expect("at most the whole is taken")
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.digits(&mut [0; ROOM]) {
            Some(digits) => f.pad_integral(true, "", digits),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.digits(&mut [0; ROOM]) {
            Some(digits) => serializer.serialize_str(digits),
            None => Serialize::serialize(&self.0, serializer),
        }
    }
}

/// `a × b / c`, rounded half up.
fn share_half_up(a: u128, b: u128, c: u128) -> Result<u128, MoneyError> {
    let (quotient, remainder) = multiply_divide(a, b, c)?;
    let up = remainder >= c - remainder;
    Ok(quotient + u128::from(up))
}

/// Quotient and remainder of `a × b / c` for numbers below 2⁹⁶. The product may have 192 bits, so
/// it is divided as it is formed, 16 bits of `b` at a time: no step exceeds 113 bits.
fn multiply_divide(a: u128, b: u128, c: u128) -> Result<(u128, u128), MoneyError> {
    const STEP: u32 = 16;
    if c == 0 {
        return Err(MoneyError::NoWhole);
    }
    let (mut quotient, mut remainder) = (0_u128, 0_u128);
    for shift in [80, 64, 48, 32, 16, 0] {
        let digits = (b >> shift) & 0xFFFF;
        let dividend = (remainder << STEP) + a * digits;
        quotient = quotient
            .checked_mul(1 << STEP)
            .and_then(|quotient| quotient.checked_add(dividend / c))
            .ok_or(MoneyError::Overflow)?;
        remainder = dividend % c;
    }
    Ok((quotient, remainder))
}
